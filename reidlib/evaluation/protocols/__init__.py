"""The rules a data set is scored by, one file per data set, as values that can be printed and saved.

``get("sysu", search="all", shots=1)`` → a frozen ``Protocol``; ``protocol.trials(dataset)`` draws from the data set.
"""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from reidlib.evaluation.protocols.base import Protocol, Trial
from reidlib.evaluation.protocols.cross_modality import NAME as ANY
from reidlib.evaluation.protocols.cross_modality import CrossModalityProtocol
from reidlib.evaluation.protocols.cufsf import CufsfProtocol
from reidlib.evaluation.protocols.llcm import LlcmProtocol
from reidlib.evaluation.protocols.market_sketch import MarketSketchProtocol
from reidlib.evaluation.protocols.pku_sketch import PkuSketchProtocol
from reidlib.evaluation.protocols.qmul import ChairProtocol, ShoeProtocol
from reidlib.evaluation.protocols.regdb import RegdbProtocol
from reidlib.evaluation.protocols.sysu import SysuProtocol

PROTOCOLS: dict[str, type[Protocol]] = {
    "sysu": SysuProtocol,
    "regdb": RegdbProtocol,
    "llcm": LlcmProtocol,
    "pku-sketch": PkuSketchProtocol,
    "market-sketch-1k": MarketSketchProtocol,
    "cufsf": CufsfProtocol,
    "shoe": ShoeProtocol,
    "chair": ChairProtocol,
    ANY: CrossModalityProtocol,
}

__all__ = ["ANY", "PROTOCOLS", "Protocol", "Trial", "available", "from_dict", "get"]


def get(name: str, **options: Any) -> Protocol:
    """Return the protocol of a data set.

    Args:
        name: name of the data set; ``"cross-modality"`` for one of one's own.
        options: see the protocol's class, for example :class:`~reidlib.evaluation.protocols.sysu.SysuProtocol`.

    Raises:
        ValueError: an unknown name, option or value; the message lists the known ones.
    """
    if name not in PROTOCOLS:
        raise ValueError(f"unknown protocol {name!r}; known: {', '.join(PROTOCOLS)}")
    known = _options(name)
    if unknown := [option for option in options if option not in known]:
        raise ValueError(f"protocol {name!r} has no option {', '.join(unknown)}; known: {', '.join(known)}")
    return PROTOCOLS[name](**options)


def available(dataset: Any, **options: Any) -> Protocol:
    """For notebooks and commands: the protocol of a data set, or ``"cross-modality"`` where it has none.

    Of a choice that was not made, this takes what can be scored with the files that are there, and a warning says so:
    SYSU-MM01 is shipped without its official gallery draws, and then has those of AGW.

    Args:
        dataset: a ``reidlib.data.ReIDDataset``.
        options: as for :func:`get`.
    """
    if dataset.name not in PROTOCOLS:
        first, second = dataset.reader.modalities
        return get(ANY, **{"direction": f"{second}-{first}", **options})
    return get(dataset.name, **options).available(dataset, options)


def from_dict(record: Mapping[str, Any]) -> Protocol:
    """Rebuild the protocol that ``to_dict`` wrote.

    Raises:
        ValueError: the record names an unknown protocol or option, or rules that this version does not score by.
    """
    name = record.get("dataset")
    rules = set() if name not in PROTOCOLS else {field.name for field in fields(PROTOCOLS[name]) if not field.init}
    protocol = get(name, **{key: value for key, value in record.items() if key not in rules})
    written, present = dict(record), protocol.to_dict()
    if differing := sorted(key for key in written.keys() | present.keys() if written.get(key) != present.get(key)):
        key = differing[0]
        raise ValueError(
            f"protocol {protocol.name!r} was recorded under other rules ({', '.join(differing)}): "
            f"{key}={written.get(key)!r} there, {present.get(key)!r} here"
        )
    return protocol


def _options(name: str) -> list[str]:
    return [field.name for field in fields(PROTOCOLS[name]) if field.init]
