"""The register: rules before runs, hashed, added and never changed."""

import hashlib
from collections.abc import Callable

import pytest

from reidlib.experiments import claims, ledger, register
from reidlib.experiments.claims import SUPPORTED
from reidlib.training import provenance

PARTS = claims.parts()
M2 = [PARTS["M2a"], PARTS["M2b"]]


def test_what_is_registered_is_hashed_and_read_back(own_ledger) -> None:
    assert register.entries() == {}
    added = register.add(M2)
    known = register.entries()
    assert list(known) == ["M2a", "M2b"] and list(known.values()) == added
    entry = known["M2a"]
    assert entry.hash == hashlib.sha256(f"{entry.rule}\n{entry.recipes}".encode()).hexdigest()
    assert entry.hash == register.digest(PARTS["M2a"]) and register.deviations(PARTS["M2a"], entry) == []
    register.add([PARTS["M1a"]])
    assert list(register.entries()) == ["M2a", "M2b", "M1a"]


def test_nothing_is_registered_twice_and_all_or_none(own_ledger) -> None:
    register.add(M2[:1])
    with pytest.raises(ValueError, match=r"M2a: registered already \(M2a on .* The register only grows"):
        register.add(M2)
    assert list(register.entries()) == ["M2a"]


def test_recipes_that_were_tested_are_refused_and_their_rows_named(add: Callable, measure: Callable) -> None:
    runs = M2[0].runs
    add(runs, {"+ memory": [0.5, 0.5]})
    with pytest.raises(ValueError, match=r"2 part\(s\) plan recipes that were tested already") as error:
        register.add(M2)
    assert "sysu, screen, + memory, seed 1" in str(error.value) and "(M2" in str(error.value)
    assert register.entries() == {}
    register.add([PARTS["F2a"]])  # of other recipes
    measure(PARTS["F2b"].runs, "attention", {"+ MPIM": {"energy": [0.5]}})  # measured, if not scored
    with pytest.raises(ValueError, match=r"sysu, screen, \+ MPIM, seed 0"):
        register.add([PARTS["F2b"]])


def test_runs_that_failed_were_not_tested(add: Callable) -> None:
    add(M2[0].runs, {"+ memory": [0.5]}, error="FloatingPointError: loss is nan")
    assert len(register.add(M2)) == 2


def test_an_altered_register_is_noticed(own_ledger) -> None:
    register.add(M2)
    file = register.file()
    text = file.read_text()
    file.write_text(text.replace('""smallest"":1.5', '""smallest"":0.5', 1))
    with pytest.raises(ValueError, match=r"register\.csv: what is written of M2a does not have its hash"):
        register.entries()
    line = text.splitlines()[1]
    file.write_text(f"{text}{line}\n")
    with pytest.raises(ValueError, match="M2a is registered twice"):
        register.entries()


def test_a_verdict_on_registered_parts_names_their_hash(add: Callable) -> None:
    register.add(M2)
    steps = {"+ memory": [0.5] * 5, "+ unidirectional": [0.45] * 5}
    add(M2[0].runs, steps, other=0.3, code=register.codes(M2[0])["maum"])
    found = claims.verdict("M2")
    assert found.word == SUPPORTED
    assert all(f"rule {register.digest(part)[:12]}, registered 20" in str(found) for part in M2)
    assert "not registered" in str(claims.verdict("M0"))


def test_an_installed_package_keeps_no_register(monkeypatch, own_ledger, tmp_path) -> None:
    monkeypatch.setattr(ledger, "CLONE", tmp_path)
    with pytest.raises(FileNotFoundError, match="an installed package is not written to"):
        register.add(M2)


def test_the_committed_register_is_in_order() -> None:
    for name, entry in register.entries(ledger.PUBLISHED).items():
        assert name == entry.part and len(entry.hash) == 64


def test_the_code_that_trains_is_frozen_with_a_part(own_ledger, monkeypatch) -> None:
    register.add(M2)
    assert register.entries()["M2a"].codes == {"maum": provenance.code_digest("maum", "sysu")}
    assert register.thawed(PARTS) == []
    monkeypatch.setattr(register, "_code", lambda method, dataset: "0" * 16)
    (first, second) = register.thawed(PARTS)
    assert first.startswith("M2a: the code of maum is 0000000000000000, registered was ") and second.startswith("M2b")


def test_the_code_of_the_published_register_is_the_code_here() -> None:
    assert register.thawed(PARTS) == [], "between the register and its last run, what runs depend on stays as it is"


@pytest.mark.parametrize(("runs", "code", "frozen"), [(5, None, []), (4, None, ["M2a"]), (5, "d" * 16, ["M2a"])])
def test_it_is_frozen_to_the_last_planned_run_and_no_longer(add, monkeypatch, runs, code, frozen) -> None:
    part = PARTS["M2a"]
    register.add([part])
    made = {variant: [0.5] * runs for variant in part.recipes}
    add(part.runs, made, code=code or provenance.code_digest("maum", "sysu"))
    monkeypatch.setattr(register, "_code", lambda method, dataset: "0" * 16)
    assert [line.partition(":")[0] for line in register.thawed(PARTS)] == frozen
