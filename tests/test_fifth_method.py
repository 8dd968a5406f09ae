"""A method in one file outside the package is known like the others, from its recipe to the benchmark's table."""

import importlib
import logging
import sys
from pathlib import Path

import pandas as pd
import pytest

from reidlib import data, evaluation, methods, training
from reidlib.experiments import benchmark, claims, ledger, studies, sweep
from reidlib.methods import registry
from reidlib.training import provenance

TEMPLATE = Path(__file__).parent / "assets" / "fifth_method.py"
HELPED = ("import TwoStream\n", "import TwoStream\n\nimport helper_of_fifth\n")


@pytest.fixture
def fifth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_ledger: Path):
    """``fifth(old, new)`` writes the module with a change, and imports it anew."""
    monkeypatch.setattr(registry, "_registered", registry.registered())
    monkeypatch.setenv("REIDLIB_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "helper_of_fifth.py").write_text("SHIFT = 1\n")
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write(old: str = "", new: str = "", file: str = "fifth.py") -> None:
        path = folder / file
        text = (path if path.exists() else TEMPLATE).read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))
        for name in ("fifth", "helper_of_fifth"):
            sys.modules.pop(name, None)
        importlib.invalidate_caches()
        importlib.import_module("fifth")

    yield write
    for name in ("fifth", "helper_of_fifth"):
        sys.modules.pop(name, None)


@pytest.fixture
def twin_of_sysu(ci_twin: Path) -> data.ReIDDataset:
    return data.open("sysu", root=ci_twin)


def made(rows: pd.DataFrame) -> list[str]:
    return rows["code"].tolist()


@pytest.mark.slow
def test_a_fifth_method_is_known_like_the_others(fifth, twin_of_sysu, tmp_path, monkeypatch) -> None:
    assert len(TEMPLATE.read_text().splitlines()) <= 60
    fifth(*HELPED)
    recipe = methods.recipe("fifth", profile="ci").replace(epochs=1, warmup=0)
    run = training.fit(recipe, twin_of_sysu, tmp_path / "run", progress=False)
    assert "loss.size" in run.history and run.model.strength == 1
    protocol = evaluation.protocols.get("sysu", num_trials=1)
    assert 0 < evaluation.evaluate(run.model, twin_of_sysu, protocol).mean["mAP"] < 1
    assert training.runs.load(run.folder).model.strength == 1

    swept = {"fifth": recipe, "stronger": recipe.replace(model={"strength": 2.0})}
    fits = []
    fit = training.fit
    monkeypatch.setattr(training, "fit", lambda *arguments, **options: fits.append(1) or fit(*arguments, **options))
    options = {"seeds": [0], "threads": 1, "measures": ["fifth"]}
    first = sweep.run(swept, twin_of_sysu, protocol, **options)
    assert first["error"].isna().all() and first["method"].tolist() == ["fifth", "fifth"] and len(fits) == 2
    assert studies.measures(swept, measure="fifth")["value"].tolist() == [1, 2]
    again = sweep.run(swept, twin_of_sysu, protocol, **options)
    assert made(again) == made(first) and len(fits) == 2, "nothing runs a second time"

    fifth("square().mean()", "abs().mean()")
    changed = sweep.run(swept, twin_of_sysu, protocol, **options)
    assert len(fits) == 4 and set(made(changed)).isdisjoint(made(first)), "changed code runs again"
    fifth("features are kept short", "features shall be short")
    assert made(sweep.run(swept, twin_of_sysu, protocol, **options)) == made(changed) and len(fits) == 4
    fifth("1", "2", file="helper_of_fifth.py")
    assert set(made(sweep.run(swept, twin_of_sysu, protocol, **options))).isdisjoint(made(changed)) and len(fits) == 6

    assert set(ledger.table(method="fifth")["method"]) == {"fifth"}
    assert set(studies.get("fifth-strength", profile="ci")) == {"as it is", "twice"}
    assert ledger.recipe(ledger.table(variant="stronger").to_dict("records")[0]) == swept["stronger"]


def test_the_benchmark_shows_it_beside_the_others(fifth, finished, imageless) -> None:
    fifth()
    protocol = evaluation.protocols.get("sysu", gallery="agw", num_trials=2)
    for name in ("fifth", "baseline"):
        ledger.record(*finished(methods.recipe(name, profile="screen"), imageless, protocol))
    table = benchmark.table()
    assert table["model"].tolist() == ["baseline", "Fifth"] and table["method"].tolist() == ["baseline", "fifth"]
    assert "Fifth" in studies.get("branches", profile="screen")
    assert set(claims.registered()) == {*["M1", "M2", "M3", "F1", "F2", "I1", "I2", "I3", "D1", "D2", "D3", "D4"]}


def test_it_is_sent_to_other_processes(fifth) -> None:
    import pickle

    fifth('"as it is": {}', '"as it is": {"recipe": lambda recipe: recipe}')  # cannot be sent, and need not
    sent = pickle.dumps(methods.recipe("fifth", profile="ci"))
    registry._registered.pop("fifth")
    assert pickle.loads(sent).method == "fifth" and "fifth" in methods.names()


def test_its_class_and_helpers_are_covered(fifth) -> None:
    fifth(*HELPED)
    files = provenance.source_files("fifth", "sysu")
    assert {"fifth fifth.py", "helper_of_fifth helper_of_fifth.py", "networks/two_stream.py"} <= set(files)
    assert not provenance.classes_without_file("fifth")


NOTEBOOK_CELL = """
class Celled(TwoStream):
    def losses(self, outputs, pids, modality):
        return {name: FACTOR * term for name, term in super().losses(outputs, pids, modality).items()}
"""


@pytest.fixture
def celled(monkeypatch: pytest.MonkeyPatch, new_method):
    """``celled(text)``: a method whose class has no file, of which Python keeps the text as IPython does."""
    import linecache

    from reidlib.networks import TwoStream

    def make(text: str = NOTEBOOK_CELL, kept: bool = True) -> methods.Method:
        name = f"<ipython-input-{abs(hash((text, kept)))}>"
        scope = {"TwoStream": TwoStream, "FACTOR": 1, "__name__": "__main__"}
        exec(compile(text, name, "exec"), scope)
        if kept:
            monkeypatch.setitem(linecache.cache, name, (len(text), None, text.splitlines(keepends=True), name))
        return new_method("celled", model=scope["Celled"])

    return make


def test_a_class_of_a_notebook_has_the_digest_of_its_text(celled) -> None:
    celled()
    assert [kind.__name__ for kind in provenance.classes_without_file("celled")] == ["Celled"]
    first = provenance.code_digest("celled", "sysu")
    celled(NOTEBOOK_CELL.replace("):\n        return", '):\n        """Words."""\n        return'))
    assert provenance.code_digest("celled", "sysu") == first
    celled(NOTEBOOK_CELL.replace("FACTOR *", "2 *"))
    second = provenance.code_digest("celled", "sysu")
    assert second != first
    celled(kept=False)
    assert provenance.code_digest("celled", "sysu") not in (first, second)


def test_what_cannot_be_registered_is_said(fifth, new_method) -> None:
    fifth()
    baseline = methods.get("baseline")
    for change, message in (
        ({"name": "../up"}, "lower-case letters and digits"),
        ({"name": "maum"}, "'maum' is a method of reidlib itself"),
        ({"name": "sixth", "model": dict}, "must be a subclass of ReIDModel"),
        ({"name": "sixth", "title": "two\nlines"}, "one printable line"),
        ({"name": "sixth", "recipes": {"sysu": {"ci": 3}}}, r"recipes\['sysu'\] must be fields by profile"),
        ({"name": "sixth", "studies": {"maum-ladder": None}}, "'maum-ladder' of its studies is one of 'maum'"),
        ({"name": "sixth", "measures": {"fifth": None}}, "'fifth' of its measures is one of 'fifth'"),
    ):
        with pytest.raises(ValueError, match=message):
            new_method(**change)
    assert methods.get("baseline") is baseline and "sixth" not in methods.names()
    with pytest.raises(TypeError, match="takes a reidlib"):
        methods.register("fifth")


class FakeEntry:
    name, value = "mine", "mine.module:METHOD"

    def __init__(self, load) -> None:
        self.load = load


def test_installed_packages_offer_methods_by_an_entry_point(monkeypatch, caplog, new_method) -> None:
    from dataclasses import replace
    from types import SimpleNamespace

    ours = replace(methods.get("baseline"), name="installed", studies={}, plans=None, is_reference=False)

    def broken():
        raise ImportError("no such thing")

    entries = [FakeEntry(lambda: SimpleNamespace(METHOD=ours)), FakeEntry(broken)]
    monkeypatch.setattr(registry, "entry_points", lambda group: entries if group == "reidlib.methods" else [])
    monkeypatch.setattr(registry, "_own", set())
    monkeypatch.setattr(registry, "_registered", {})
    with caplog.at_level(logging.WARNING, "reidlib"):
        assert methods.names()[-1] == "installed" and methods.names()[0] == "baseline"
    assert "mine = mine.module:METHOD offers no method: no such thing" in caplog.text
