"""Progress bars, where somebody can see them: in a notebook and in a terminal; never in a log file."""

import sys
from typing import Any

from tqdm.auto import tqdm


def is_watched() -> bool:
    """Whether bars are shown: in a notebook, or where stderr is a terminal."""
    return any(kind.__module__ == "tqdm.notebook" for kind in tqdm.__mro__) or sys.stderr.isatty()


def bar(*arguments: Any, shown: bool = True, **options: Any) -> tqdm:
    """A bar of tqdm, with its arguments; it is silent if nobody watches or if it is not to be shown.

    It appears after a second, since what is quicker needs none, and goes when it is full. ``$TQDM_DISABLE`` holds.
    """
    silent = {} if shown and is_watched() else {"disable": True}
    return tqdm(*arguments, **{"leave": False, "delay": 1, **options, **silent})
