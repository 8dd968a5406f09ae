"""Code in colours, in a notebook: what a lesson has built, as the library writes it."""

import inspect
import textwrap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from IPython.display import Code


def source(*things: Any) -> "Code":
    """The source of functions, methods or classes, one after the other, in the colours of a notebook.

    Raises:
        TypeError: one of them has no source in Python, such as a number or a function written in C.
    """
    from IPython.display import Code

    return Code("\n\n".join(textwrap.dedent(inspect.getsource(thing)).strip() for thing in things), language="python")
