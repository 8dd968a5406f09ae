"""Compile a function with numba, keeping the result on disk where that is possible."""

from collections.abc import Callable

import numba


def compiled(**options) -> Callable[[Callable], Callable]:
    """`numba.njit` with a cache on disk; without one where no folder can be written, as in some containers.

    numba notices changes only in the file of the function it compiles: keep functions that call each other in one file.
    """

    def decorate(function: Callable) -> Callable:
        try:
            return numba.njit(cache=True, **options)(function)
        except RuntimeError:  # numba found no place for its cache: compile in every process
            return numba.njit(**options)(function)

    return decorate
