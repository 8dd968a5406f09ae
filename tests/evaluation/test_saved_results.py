"""What is saved loads again, for every protocol; what is no such file is named."""

import json
from dataclasses import fields
from pathlib import Path

import hypothesis
import numpy as np
import pandas as pd
import pytest
from hypothesis import strategies

from reidlib.evaluation import EvaluationResult, RankResult, TrialResult, protocols

VALUES = {
    "search": ("all", "indoor"),
    "shots": (1, 10, np.int64(10), True),
    "gallery": ("official", "agw"),
    "cameras": ("all", "other"),
    "cmc": ("images", "identities"),
    "direction": ("visible-infrared", "infrared-visible"),
    "preset": protocols.llcm.PRESETS,
    "queries": ("single", "multi"),
    "artists": ("ABCDEF", "AB", "C"),
    "flip": (False, True, np.bool_(True), 1),
    "reranking": ("none", "k-reciprocal", "k-reciprocal-queries"),
    "k1": (None, 5, np.int64(7)),
    "k2": (None, 3, np.int32(2)),
    "lam": (None, 0, 1, 0.1, np.float32(0.3), np.float64(0.25)),
    "num_trials": (1, 3, np.int64(2)),
}


@strategies.composite
def made(draw: strategies.DrawFn) -> protocols.Protocol:
    name = draw(strategies.sampled_from(list(protocols.PROTOCOLS)))
    known = [field.name for field in fields(protocols.PROTOCOLS[name]) if field.init]
    assert set(known) <= VALUES.keys(), "this test knows every option"
    options = {option: draw(strategies.sampled_from(VALUES[option])) for option in known if draw(strategies.booleans())}
    try:
        return protocols.get(name, **options)
    except ValueError:  # options that do not go together
        hypothesis.reject()


@strategies.composite
def trials(draw: strategies.DrawFn) -> TrialResult:
    first = draw(strategies.lists(strategies.integers(0, 10**6), min_size=1, max_size=4).filter(any))
    share = strategies.floats(0, 1, exclude_min=True)
    scores = [np.array([draw(share) if rank else np.nan for rank in first]) for _ in range(2)]
    pids = np.array([draw(strategies.integers(-(2**63), 2**63 - 1)) for _ in first], dtype=np.int64)
    ranking = RankResult((1, 5), np.array(first, dtype=np.int64), *scores)
    return TrialResult(ranking, pids, draw(strategies.integers(1, 10**6)))


TEXT = strategies.text(strategies.characters(exclude_categories=["Cs"]), max_size=9)


@hypothesis.given(
    made(),
    strategies.lists(trials(), min_size=1, max_size=2),
    strategies.none() | strategies.integers(1, 10),
    strategies.none() | TEXT,
)
@hypothesis.settings(max_examples=80)
def test_what_is_saved_loads_again(tmp_path_factory, protocol, of, split, version) -> None:
    result = EvaluationResult(protocol, protocol.dataset, split, version is not None, version, version, tuple(of), 1, 3)
    loaded = EvaluationResult.load(result.save(tmp_path_factory.mktemp("saved") / "result.json"))
    assert loaded.protocol == protocol and str(loaded) == str(result) and loaded.reranking == result.reranking
    for name in ("dataset", "split", "is_twin", "twin_version", "profile", "seen", "identities"):
        assert getattr(loaded, name) == getattr(result, name)
    pd.testing.assert_frame_equal(loaded.table(), result.table(), check_exact=True)
    for ours, theirs in zip(result.trials, loaded.trials, strict=True):
        assert np.array_equal(ours.query_pids, theirs.query_pids) and ours.gallery_size == theirs.gallery_size


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    ranking = RankResult((1, 5), np.array([1, 2]), np.array([1.0, 0.5]), np.array([1.0, 0.5]))
    trial = TrialResult(ranking, np.array([3, 4]), 4)
    result = EvaluationResult(protocols.get("sysu", num_trials=1), "sysu", None, True, "1", "cpu", (trial,))
    return result.save(tmp_path / "result.json")


@pytest.mark.parametrize("text", ["[" * 10**5, '{"format": ' + "[" * 10**5, "1" * 10**5, "null", '{"format": 1}'])
def test_json_that_is_nested_too_deep_or_no_result_is_named(saved: Path, text: str) -> None:
    saved.write_text(text)
    with pytest.raises(ValueError, match=r"result\.json is not a saved evaluation result"):
        EvaluationResult.load(saved)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_another_encoding_is_named(saved: Path, encoding: str) -> None:
    saved.write_bytes(saved.read_text().encode(encoding))
    with pytest.raises(ValueError, match=r"result\.json is not a saved evaluation result"):
        EvaluationResult.load(saved)


@pytest.mark.parametrize(
    "value", ["gone", None, -3, 1.5, "x", [], {}, True, 10**400, [[]], ["a"]], ids=lambda v: str(v)[:9]
)
def test_every_value_of_another_kind_is_named(saved: Path, value: object) -> None:
    """Each entry in turn; the file is refused, or what is read can be shown."""
    whole, refused = json.loads(saved.read_text()), 0
    places = [(whole, key) for key in whole] + [(whole["protocol"], key) for key in whole["protocol"]]
    for inside, key in places + [(whole["trials"][0], key) for key in whole["trials"][0]]:
        before, order = inside[key], dict(inside)
        if value == "gone":
            del inside[key]
        else:
            inside[key] = value
        saved.write_text(json.dumps(whole))
        try:
            str(EvaluationResult.load(saved))
        except ValueError as error:
            refused += "result.json is not a saved evaluation result" in str(error)
            assert "result.json" in str(error)
        inside[key] = before
        assert inside == order
    assert refused > 10


def test_a_result_appears_as_a_whole(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from reidlib import paths

    written = []
    monkeypatch.setattr(paths, "write", lambda path, content: written.append((path, content)))
    before = saved.read_bytes()
    EvaluationResult.load(saved).save(saved, overwrite=True)
    assert written == [(saved, before)] and saved.read_bytes() == before
