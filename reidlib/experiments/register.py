"""The register: what was claimed, and how it will be judged, hashed and committed before the runs are made.

``reidlib/published/register.csv`` has a row for each registered part: its rule as canonical text, the digests of the
recipes of all planned runs, the SHA-256 of both, and the digest of the code that trains each of its methods. Rows are
added and never changed. One command fills it once a regime is chosen: ``reidlib claims register``, after which the file
is committed. That command refuses parts whose recipes were tested already, a rule that would be
registered twice, and recipes that cannot be made. From then to the last planned run of a part its code is frozen: a
test holds :func:`thawed` empty, and a part whose runs were made with other code has deviated. Once all its runs are in
the ledger, the code may change again.

To choose a regime: give recipes their new defaults, name the regime in `reidlib.experiments.part.REGIME`, look at
``reidlib claims`` (what the planned runs can decide; ``--pilot`` names a ledger of development runs), and register.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import pandas as pd

from reidlib.experiments import ledger, tables
from reidlib.experiments.part import Part, canonical
from reidlib.training import provenance

COLUMNS = ("date", "part", "hash", "rule", "recipes", "code")
REGISTER = tables.Format("register", dict.fromkeys(COLUMNS, "str"), "register.csv")


@dataclass(frozen=True)
class Entry:
    """A registered part: ``date`` of the registration, ``hash`` (SHA-256) of ``rule`` and ``recipes`` as they were, and
    ``code``, the digest of the code of every method at that time, by its name, as JSON."""

    date: str
    part: str
    hash: str
    rule: str
    recipes: str
    code: str

    @property
    def codes(self) -> dict[str, str]:
        """Method → digest of its code, see :func:`reidlib.training.provenance.code_digest`."""
        return json.loads(self.code)


def file(path: Path | None = None) -> Path:
    """Where the register lies: beside the ledger at ``path``; default: the published one."""
    return REGISTER.beside(ledger.PUBLISHED if path is None else path)


def digest(part: Part) -> str:
    """SHA-256 (hexadecimal) of the canonical text of a part and of its recipes."""
    return _hash(part.text, canonical(part.recipes))


def entries(path: Path | None = None) -> dict[str, Entry]:
    """Name of a part → its entry.

    Args:
        path: of a ledger, beside which the register lies; default: the published one.

    Raises:
        ValueError: the file is no register, an entry does not have the hash it says, or a part is there twice.
    """
    found: dict[str, Entry] = {}
    for row in REGISTER.frame(REGISTER.read(file(path))).itertuples(index=False):
        entry = Entry(*row)
        if entry.part in found:
            raise ValueError(f"{file(path)}: {entry.part} is registered twice, which the register never does")
        if _hash(entry.rule, entry.recipes) != entry.hash:
            raise ValueError(f"{file(path)}: what is written of {entry.part} does not have its hash {entry.hash[:12]}")
        found[entry.part] = entry
    return found


def codes(part: Part) -> dict[str, str]:
    """Method → digest of the code that it is trained with on the data set of a part, as it lies here now."""
    variants = part.runs.variants
    used = sorted({variants[name].method for name in part.recipes})
    return {method: _code(method, part.runs.dataset) for method in used}


def thawed(known: Mapping[str, Part], path: Path | None = None) -> list[str]:
    """The parts with runs left to make whose methods have other code now than when they were registered, in words.

    Args:
        known: name → part, of today.
        path: of a ledger, with the register beside it; default: the published one, and the local ledger with it.
    """
    registered = entries(path)
    rows = ledger.table(path, error=None, processes=1) if registered else None
    found = []
    for name, entry in registered.items():
        if _is_complete(entry, rows):
            continue
        now = codes(known[name]) if name in known else {}
        for method, then in entry.codes.items():
            if now.get(method) != then:
                found.append(f"{name}: the code of {method} is {now.get(method, 'none')}, registered was {then}")
    return found


def _is_complete(entry: Entry, rows: pd.DataFrame) -> bool:
    """Whether the ledger holds every planned run of a part, made with the code that was registered."""
    made = rows[rows["code"].isin(entry.codes.values())]
    made = set(zip(made["recipe"], made["split"].fillna(0).astype(int), strict=True))
    splits = range(1, json.loads(entry.rule)["runs"]["splits"] + 1) or [0]
    digests = (digest for several in json.loads(entry.recipes).values() for digest in several)
    return all((digest, split) in made for digest in digests for split in splits)


def deviations(part: Part, entry: Entry) -> list[str]:
    """In what a part differs now from its entry, in words."""
    pairs = {"rule": (part.text, entry.rule), "recipes": (canonical(part.recipes), entry.recipes)}
    return [f"not the {name} that was registered" for name, (now, then) in pairs.items() if now != then]


def tested(parts: Iterable[Part], path: Path | None = None) -> pd.DataFrame:
    """Rows of the ledger, and of measures, of recipes that some parts plan, whatever their seed; ``part`` comes first.

    Runs that failed have no scores and do not count.
    """
    scored = ledger.table(path, error=None)
    file = None if path is None else ledger.MEASUREMENTS.beside(path)
    measured = ledger.MEASUREMENTS.collect(ledger.files(None, ledger.MEASUREMENTS) if file is None else [file])
    columns = ["dataset", "profile", "variant", "seed", "split", "date", "recipe"]
    rows = pd.concat([scored[columns], measured[columns]], ignore_index=True).drop_duplicates()
    seeds, found = sorted(rows["seed"].dropna().unique()), [rows[:0].assign(part="")]
    for part in parts:
        variants = part.runs.variants
        digests = {variants[name].replace(seed=int(seed)).digest for name in part.recipes for seed in seeds}
        found.append(rows[rows["recipe"].isin(digests)].assign(part=part.name))
    found = pd.concat(found, ignore_index=True)
    return found[["part", *columns]]


def add(parts: Iterable[Part], path: Path | None = None) -> list[Entry]:
    """Register parts, all or none; returns their entries.

    Args:
        path: of a ledger, beside which the register is written; default: the published one of a clone.

    Raises:
        ValueError: a part is registered already, or recipes were tested; the message says which, and which rows.
        FileNotFoundError: there is no clone around this package to commit a register in.
    """
    parts = list(parts)
    if path is None:
        ledger.require_clone()
    with tables.locked(file(path)):
        known = entries(path)
        if twice := [part.name for part in parts if part.name in known]:
            entry = known[twice[0]]
            raise ValueError(
                f"{', '.join(twice)}: registered already ({twice[0]} on {entry.date}, {entry.hash[:12]}). The register "
                "only grows: a changed rule is a part with a new name"
            )
        if len(rows := tested(parts, path)):
            raise ValueError(_refusal(rows))
        today = datetime.now(UTC).date().isoformat()
        found = [
            Entry(today, part.name, digest(part), part.text, canonical(part.recipes), canonical(codes(part)))
            for part in parts
        ]
        REGISTER.append(file(path), [vars(entry) for entry in found])
    return found


def _refusal(rows: pd.DataFrame) -> str:
    lines = [
        f"{row.dataset}, {row.profile}, {row.variant or 'no label'}, seed {row.seed}"
        + ("" if pd.isna(row.split) else f", split {row.split}")
        + f", {row.date.date()}, recipe {row.recipe} ({row.part})"
        for row in rows.drop_duplicates("recipe").head(10).itertuples()
    ]
    more = rows["recipe"].nunique() - len(lines)
    return "\n  ".join(
        [
            f"{rows['part'].nunique()} part(s) plan recipes that were tested already, which rules come too late for:",
            *lines,
            *([f"and {more} more"] if more > 0 else []),
        ]
    )


@lru_cache
def _code(method: str, dataset: str) -> str:
    return provenance.code_digest(method, dataset)


def _hash(rule: str, recipes: str) -> str:
    return hashlib.sha256(f"{rule}\n{recipes}".encode()).hexdigest()
