"""Methods: one folder each with all that is about it, and the registry through which the library knows them.

``recipe("idkl", dataset="sysu", profile="cpu")`` → :class:`Recipe`, a frozen value with everything that decides a
training run; ``recipe.replace(...)`` → a changed copy; ``build("idkl", num_ids=395)`` → the network.
``register(Method(...))`` adds a method from outside this package.

A folder holds ``model``, its own ``losses`` (with slow references), ``recipes``, ``studies``, ``claims``, ``measures``,
instruments (``explain``), figures (``plots``) and a page, as far as the method needs them.
"""

# ruff: noqa: F401 (what is imported here is what the package offers)

from reidlib import submodules
from reidlib.methods.method import Method
from reidlib.methods.recipes import Recipe
from reidlib.methods.registry import build, get, names, recipe, reference, register, registered
from reidlib.methods.study import Study, at_lengths, crossed

__getattr__ = submodules(__name__)
