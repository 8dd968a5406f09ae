"""Verdicts follow the rules that were fixed before the runs, claim by claim."""

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reidlib.experiments import claims, ledger
from reidlib.experiments.claims import NO_RUNS, NOT_SUPPORTED, SUPPORTED, UNDECIDED, Runs
from reidlib.experiments.uncertainty import half_width

NOISE = np.array([0.001, -0.001, 0.0005])
WIDE = 100 * NOISE


def word(name: str) -> str:
    return claims.verdict(name).word


def runs_of(name: str) -> Runs:
    return claims.get(name).runs[0]


# ---- MAUM


@pytest.mark.parametrize(
    ("change", "expected"),
    [(-0.05 + NOISE, SUPPORTED), (0.05 + NOISE, NOT_SUPPORTED), (-0.05 + WIDE, UNDECIDED), ([-0.05], UNDECIDED)],
)
def test_m1_asks_for_a_smaller_gap(measure: Callable, change, expected: str) -> None:
    gaps = {"baseline": [0.1, 0.2, 0.3], "+ memory": np.array([0.1, 0.2, 0.3])[: len(change)] + change}
    measure(runs_of("M1"), "relay", {variant: {"relay gap": values} for variant, values in gaps.items()})
    (finding,) = claims.verdict("M1").findings
    assert word("M1") == finding.word == expected and finding.runs == len(change)
    assert finding.difference == pytest.approx(np.mean(change), abs=1e-5)
    if len(change) > 1:
        assert finding.high - finding.difference == pytest.approx(half_width(change), abs=1e-5)
    else:
        assert math.isnan(finding.low) and "one run" in str(finding)


def test_m1_is_not_judged_by_shared_proxies_other_profiles_or_photographs(measure: Callable) -> None:
    gaps = {"shared proxies": {"relay gap": [0.1, 0.1, 0.2]}, "+ memory": {"relay gap": [0.0, 0.0, 0.1]}}
    measure(runs_of("M1"), "relay", gaps)
    found = claims.verdict("M1")
    assert found.word == NO_RUNS and [finding.decides for finding in found.findings] == [False]
    measure(replace(runs_of("M1"), profile="screen"), "relay", {"baseline": {"relay gap": [0.5, 0.5, 0.5]}})
    measure(runs_of("M1"), "relay", {"baseline": {"relay gap": [0.5, 0.5, 0.5]}}, source="real")
    assert word("M1") == NO_RUNS
    measure(runs_of("M1"), "relay", {"baseline": {"relay gap": [0.2, 0.2, 0.3]}})
    assert word("M1") == SUPPORTED


@pytest.mark.parametrize(
    ("unidirectional", "memory", "expected"),
    [
        (0.45 + NOISE, 0.5 + NOISE, SUPPORTED),
        (0.45 + NOISE, 0.44 + NOISE, NOT_SUPPORTED),
        (0.3 + NOISE, 0.5 + NOISE, NOT_SUPPORTED),
        (0.45 + NOISE, 0.451 + WIDE, UNDECIDED),
        ([0.45], [0.5], UNDECIDED),
    ],
)
def test_m2_asks_for_both_steps(add: Callable, unidirectional, memory, expected: str) -> None:
    add(runs_of("M2"), {"+ unidirectional": unidirectional, "+ memory": memory}, other=0.4)
    found = claims.verdict("M2")
    assert found.word == expected and found.runs == len(memory)
    assert found.findings[0].difference == pytest.approx(100 * np.mean(unidirectional) - 40, abs=1e-3)
    assert [finding.decides for finding in found.findings] == [True, True, False]


def test_m2_waits_for_the_whole_ladder_and_looks_at_the_usual_protocol_alone(add: Callable) -> None:
    better = {"+ unidirectional": [0.45, 0.46], "+ memory": [0.5, 0.51]}
    add(runs_of("M2"), better)  # without the other rungs nothing is paired
    add(runs_of("M2"), better, other=0.4, protocol="sysu-indoor-1shot-official")
    add(runs_of("M2"), better, other=0.4, reranking="k-reciprocal")
    add(replace(runs_of("M2"), profile="screen"), better, other=0.4)
    assert word("M2") == NO_RUNS


@pytest.mark.parametrize(
    ("seeds", "scarce", "expected"),
    [(5, 0.45, SUPPORTED), (5, 0.2, NOT_SUPPORTED), (4, 0.45, UNDECIDED), (1, 0.45, UNDECIDED)],
)
def test_m3_compares_losses_and_asks_for_five_seeds(add: Callable, seeds: int, scarce: float, expected: str) -> None:
    noise = 0.001 * np.arange(seeds)
    for runs in claims.get("M3").runs:
        scores = {}
        for variant, recipe in runs.variants.items():
            full = 0.8 if recipe.method == "baseline" else 0.5
            left = full if not recipe.subsample else 0.5 * full if recipe.method == "baseline" else scarce
            scores[variant] = left + (noise if recipe.subsample else 0 * noise)
        add(runs, scores)
    (finding,) = claims.verdict("M3").findings
    assert word("M3") == expected and finding.runs == seeds
    lost = {"maum": 1 - (scarce + noise) / 0.5, "baseline": 1 - (0.4 + noise) / 0.8}
    assert finding.difference == pytest.approx(100 * (lost["maum"] - lost["baseline"]).mean(), abs=1e-3)


# ---- FIENet


def energies(ours: float, theirs: float, seeds: int = 3) -> dict[str, dict[str, np.ndarray]]:
    """Maps of ``+ PFAM + MPIM`` and of the baseline, everything else at 0.3."""
    maps = [f"{instrument}{of}" for instrument in ("Grad-CAM", "occlusion") for of in ("", " of another image")]
    names = [
        f"{score}, {name}, {modality}"
        for score in ("energy", "pointing", "parts")
        for name in (*maps, "centred Gaussian", "uniform")
        for modality in ("visible", "infrared")
    ]
    found = {}
    for variant, value in (("+ PFAM + MPIM", ours), ("baseline", theirs)):
        own = {f"energy, {name}, {modality}" for name in maps[::2] for modality in ("visible", "infrared")}
        found[variant] = {name: (value if name in own else 0.3) + NOISE[:seeds] * (name in own) for name in names}
    return found


@pytest.mark.parametrize(
    ("ours", "theirs", "seeds", "expected"),
    [
        (0.5, 0.4, 3, SUPPORTED),
        (0.2, 0.1, 3, NOT_SUPPORTED),
        (0.5, 0.6, 3, NOT_SUPPORTED),
        (0.5, 0.4, 1, UNDECIDED),
    ],
)
def test_f1_asks_for_more_than_the_baseline_and_all_controls(
    measure: Callable, ours: float, theirs: float, seeds: int, expected: str
) -> None:
    measure(runs_of("F1"), "focus", energies(ours, theirs, seeds))
    found = claims.verdict("F1")
    assert found.word == expected and len(found.findings) == 2 and found.runs == seeds
    assert found.findings[0].what.startswith("+ PFAM + MPIM, Grad-CAM")


def test_f1_shows_the_difference_that_decides(measure: Callable) -> None:
    values = energies(0.5, 0.4)
    values["+ PFAM + MPIM"]["energy, occlusion, infrared"] = 0.3 + WIDE
    measure(runs_of("F1"), "focus", values)
    grad_cam, occlusion = claims.verdict("F1").findings
    assert (grad_cam.word, occlusion.word, word("F1")) == (SUPPORTED, UNDECIDED, UNDECIDED)
    assert "infrared" in occlusion.what and occlusion.low < 0 < occlusion.high


def test_f1_without_common_seeds_has_no_runs(measure: Callable) -> None:
    measure(runs_of("F1"), "focus", {"+ PFAM + MPIM": energies(0.5, 0.4)["+ PFAM + MPIM"]})
    assert word("F1") == NO_RUNS


def test_f2_asks_for_every_ingredient_and_for_both_together(add: Callable) -> None:
    scores = {"baseline": 0.3, "+ PFAM": 0.4, "+ MPIM": 0.4, "+ PFAM + MPIM": 0.5, "+ IGCL": 0.4, "FIENet": 0.3}
    for change, expected in (({}, SUPPORTED), ({"+ MPIM": 0.3}, UNDECIDED), ({"+ PFAM + MPIM": 0.35}, NOT_SUPPORTED)):
        ledger.local().unlink(missing_ok=True)
        ledger.IDENTITIES.beside(ledger.local()).unlink(missing_ok=True)
        add(runs_of("F2"), {name: value + NOISE for name, value in (scores | change).items()})
        found = claims.verdict("F2")
        assert found.word == expected
        assert sum(finding.decides for finding in found.findings) == 5 and len(found.findings) == 8


# ---- IDKL


def probes(**scores: object) -> dict[str, object]:
    """Scores by branch, the same of all questions but ``modality`` where that is named apart."""
    questions = ("top hue, visible images", "top NIR albedo, infrared images", "identity, visible images")
    questions += ("identity across cameras", "identity across modalities", "modality", "hat")
    return {f"{branch}: {question}": values for branch, values in scores.items() for question in questions}


@pytest.mark.parametrize(
    ("shared", "specific", "expected"),
    [
        (0.3 + 0 * NOISE, 0.4 + NOISE, SUPPORTED),
        (0.4 + 0 * NOISE, 0.3 + NOISE, NOT_SUPPORTED),
        (0.3 + 0 * NOISE, 0.31 + WIDE, UNDECIDED),
        ([0.3], [0.4], UNDECIDED),
    ],
)
def test_i1_compares_what_one_modality_shows(measure: Callable, shared, specific, expected: str) -> None:
    values = probes(shared=shared, specific=specific)
    values |= {f"{branch}: identity across cameras": len(shared) * [0.9] for branch in ("shared", "specific")}
    measure(runs_of("I1"), "probes", {"+ IP": values})
    found = claims.verdict("I1")
    assert found.word == expected and [finding.decides for finding in found.findings] == [True, False]
    assert found.findings[0].difference == pytest.approx(np.mean(specific) - np.mean(shared), abs=1e-5)


@pytest.mark.parametrize(
    ("modality", "identity", "expected"),
    [
        (0.5 + NOISE, 0.9 + NOISE, SUPPORTED),
        (0.5 + NOISE, 0.7 + NOISE, NOT_SUPPORTED),
        (0.9 + NOISE / 10, 0.9 + NOISE, NOT_SUPPORTED),  # a loss of a hundredth is excluded
        (0.9 + WIDE, 0.9 + NOISE, UNDECIDED),
        (0.5 + NOISE, 0.87 + WIDE, UNDECIDED),
        (0.5 + NOISE, 0.89 + NOISE / 10, SUPPORTED),  # less than two hundredths of identity
        ([0.5], [0.9], UNDECIDED),
    ],
)
def test_i2_asks_for_the_modality_gone_and_identity_kept(measure: Callable, modality, identity, expected: str) -> None:
    before = np.full(len(modality), 0.9)
    values = {"specific: modality": before, "specific: identity across cameras": before}
    values |= {"purified: modality": modality, "purified: identity across cameras": identity}
    measure(runs_of("I2"), "probes", {"+ IP": values})
    assert word("I2") == expected


def test_i3_compares_shared_features_with_and_without_distillation(measure: Callable) -> None:
    measure(runs_of("I3"), "probes", {"+ IP": probes(shared=0.3 + NOISE, specific=0.9 + NOISE)})
    assert word("I3") == NO_RUNS
    measure(runs_of("I3"), "probes", {"+ MDR": probes(shared=0.4 + 2 * NOISE)})
    found = claims.verdict("I3")
    assert found.word == SUPPORTED and [finding.decides for finding in found.findings] == [True, False, False, False]


# ---- DALNet


@pytest.mark.parametrize(
    ("auxiliary", "between", "d1", "d2"),
    [
        (0.8, 0.1, SUPPORTED, SUPPORTED),
        (0.5, -0.1, NOT_SUPPORTED, NOT_SUPPORTED),  # more than chance, less than edges
    ],
)
def test_d1_and_d2_are_judged_over_splits(
    measure: Callable, auxiliary: float, between: float, d1: str, d2: str
) -> None:
    runs, inside = runs_of("D1"), "gradient inside, "
    for split, noise in enumerate(NOISE, 1):
        values = {f"{inside}auxiliary": auxiliary + noise, f"{inside}fixed XDoG": 0.6, f"{inside}chance": 0.4}
        values |= {"sketch–photo": 0.5, "sketch–auxiliary": 0.4 + noise, "between": between + noise}
        named = {name: [value] for name, value in values.items()}
        measure(runs, "auxiliary", {"DALNet": named, "baseline": {"sketch–photo": [0.6]}}, split=split)
    assert (word("D1"), word("D2")) == (d1, d2)
    first, second = claims.verdict("D1").findings
    assert first.runs == 3 and first.difference == pytest.approx(auxiliary + NOISE.mean() - 0.6, abs=1e-5)
    assert second.word == SUPPORTED


@pytest.mark.parametrize(
    ("one_sketch", "expected"),
    [(0.5 + NOISE, SUPPORTED), (0.41 + NOISE, NOT_SUPPORTED), (0.43 + WIDE, UNDECIDED), ([0.5], UNDECIDED)],
)
def test_d3_compares_gains(add: Callable, one_sketch, expected: str) -> None:
    seeds = len(one_sketch)
    scores = {"circle, 1 of the sketches": seeds * [0.43], "circle, 0.2 of the sketches": one_sketch}
    add(runs_of("D3"), scores, other=0.4)
    (finding,) = claims.verdict("D3").findings
    assert finding.word == word("D3") == expected
    assert finding.difference == pytest.approx(100 * (np.mean(one_sketch) - 0.43), abs=1e-3)


@pytest.mark.parametrize(
    ("shoe", "chair", "faces", "expected"),
    [
        ((0.5, 0.5), (0.5, 0.5), (0.5, 0.5), SUPPORTED),
        ((0.5, 0.5), (0.5, 0.5), (0.5, 0.7), UNDECIDED),  # of the faces one baseline is better, one is not
        ((0.5, 0.5), (0.7, 0.7), (0.5, 0.5), NOT_SUPPORTED),
        ((0.5, 0.5), (0.5, 0.5), None, UNDECIDED),
        ((0.5, 0.5), (0.5, None), (0.5, 0.5), UNDECIDED),
    ],
)
def test_d4_asks_for_all_three_sets_and_both_baselines(add: Callable, shoe, chair, faces, expected: str) -> None:
    for runs, theirs in zip(claims.get("D4").runs, (shoe, chair, faces), strict=True):
        if theirs is not None:
            scores = dict(zip(("baseline", "baseline, trained longer"), theirs, strict=True))
            found = {name: value + NOISE for name, value in scores.items() if value is not None}
            add(runs, found | {"DALNet": 0.6 + 2 * NOISE})
    assert word("D4") == expected
    assert all("points of rank-1" in str(finding) for finding in claims.verdict("D4").findings)
