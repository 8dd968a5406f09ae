"""What ``reidlib list`` shows: name → a line about it."""

from collections.abc import Callable
from dataclasses import fields
from textwrap import shorten

from reidlib import methods, profiles
from reidlib.console import spelling
from reidlib.data import registry as registry_of_data
from reidlib.evaluation import protocols
from reidlib.experiments import claims, measures, studies
from reidlib.methods import registry


def lines(what: str) -> list[str]:
    """Names in a column of their own, their texts cut to a line."""
    found = LISTS[what]()
    width = max(map(len, found))
    return [f"{name:{width}}  {shorten(text, 160, placeholder=' …')}" for name, text in found.items()]


def _methods() -> dict[str, str]:
    return {name: f"{each.title} · {', '.join(each.recipes)}" for name, each in methods.registered().items()}


def _datasets() -> dict[str, str]:
    found = {}
    for name in registry_of_data.names():
        each = registry_of_data.find(name)
        splits = f" · splits {' '.join(map(str, each.splits))}" if each.splits else ""
        found[name] = f"{each.title} · {' and '.join(each.modalities)}{splits}"
    return found


def _studies() -> dict[str, str]:
    found = studies.registered().items()
    return {name: f"{methods.get(study.method).title} · {', '.join(study.variants)}" for name, study in found}


def _profiles() -> dict[str, str]:
    return {name: f"{each.height}×{each.width} · {each.purpose}" for name, each in profiles.PROFILES.items()}


def _protocols() -> dict[str, str]:
    """Data set → its default protocol, and the options as ``--protocol`` takes them."""
    found = {}
    for name in protocols.PROTOCOLS:
        protocol = protocols.get(name)
        options = [field.name for field in fields(protocol) if field.init]
        typed = [spelling.argument(option, getattr(protocol, option), of="protocol") for option in options]
        found[name] = f"{protocol} · {' '.join(each.removeprefix('--protocol ') for each in typed)}"
    return found


def _measures() -> dict[str, str]:
    of = {name: method.title for method, named in registry.parts("measures") for name in named}
    known = measures.registered().items()
    texts = {name: (function.__doc__ or "").partition("\n")[0] for name, function in known}
    return {name: f"{of.get(name, 'any model')} · {text}".removesuffix(" · ") for name, text in texts.items()}


def _claims() -> dict[str, str]:
    return {name: f"{each.paper} · {each.statement}" for name, each in claims.known().items()}


LISTS: dict[str, Callable[[], dict[str, str]]] = {
    "methods": _methods,
    "datasets": _datasets,
    "studies": _studies,
    "profiles": _profiles,
    "protocols": _protocols,
    "measures": _measures,
    "claims": _claims,
}
