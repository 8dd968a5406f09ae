"""How messages spell an argument: as Python takes it (``split=3``), or as the command line does (``--split 3``).

Who raises an error does not know who will read it. So messages name arguments through :func:`argument`, and
``reidlib.app.cli`` runs its commands within :func:`for_command_line`.
"""

import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

_is_for_command_line: ContextVar[bool] = ContextVar("is_for_command_line", default=False)
_LEFT_OUT = object()
_OPTIONS = {"": "--{} {}", "recipe": "--set {}={}", "protocol": "--protocol {}={}", "data": "--data {}={}"}


@contextmanager
def for_command_line() -> Iterator[None]:
    """Within it, messages are spelled for somebody who typed a command."""
    token = _is_for_command_line.set(True)
    try:
        yield
    finally:
        _is_for_command_line.reset(token)


def kept() -> Callable[[], object]:
    """A function for another process, which can be sent there: messages are spelled there as they are here."""
    return partial(_spell, _is_for_command_line.get())


def _spell(for_command_line: bool) -> None:
    _is_for_command_line.set(for_command_line)


def either(python: str, command: str) -> str:
    """The one of two phrases that fits the reader."""
    return command if _is_for_command_line.get() else python


def argument(name: str, value: Any = _LEFT_OUT, *, of: str = "") -> str:
    """An argument of the function that was called, or the option of the command that does the same.

    Args:
        name: as Python spells it.
        value: to write behind it; none: the name alone.
        of: whose it is: ``"recipe"`` for a field (``--set``), ``"protocol"`` for an option (``--protocol``), ``"data"``
            for what says where one's own data are (``--data``), ``""`` for an argument that has an option of its own.

    >>> argument("split"), argument("gallery", "agw", of="protocol")
    ('split=', "gallery='agw'")
    >>> with for_command_line():
    ...     argument("batch_size", 64), argument("gallery", "agw", of="protocol")
    ('--batch-size 64', '--protocol gallery=agw')
    """
    option = _OPTIONS[of].format(name if of else name.replace("_", "-"), "{}")
    if value is _LEFT_OUT:
        return either(f"{name}=", option.removesuffix("{}").rstrip())
    return either(f"{name}={value!r}", option.format(shlex.quote(_as_typed(value))))


def _as_typed(value: Any) -> str:
    if isinstance(value, tuple) and all(isinstance(each, str) for each in value):
        return ",".join(value)
    try:
        return value if isinstance(value, str) else json.dumps(value)
    except TypeError:  # a path, for example
        return str(value)
