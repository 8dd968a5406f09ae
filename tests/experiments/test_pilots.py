"""What development runs say beside the trials: counterparts, lengths, and whether two profiles agree."""

import pandas as pd
import pytest

from reidlib.app import regime
from reidlib.experiments import pilots, studies, trials
from tests.experiments.test_trials import write


def test_screen_and_cpu_are_compared_by_the_means_of_variants_that_both_have(tmp_path) -> None:
    file = tmp_path / "trials.csv"
    for k, name in enumerate("abcd"):
        write(file, (name, 0, 0.30 + k / 100, name), (name, 1, 0.30 + k / 100, name + "1"))
        write(file, (name, 0, 0.50 + (k if k < 2 else 5 - k) / 100, name + "2"), profile="cpu")
    write(file, ("screen alone", 0, 0.9, "x"))
    row = pilots.order(path=file).iloc[0]
    assert (row["dataset"], row["variants"]) == ("sysu", 4) and row["correlation"] == pytest.approx(0.8)
    assert pilots.order("screen", "gpu", file).empty


def test_a_variant_is_the_same_in_two_profiles_whatever_study_it_was_run_for(tmp_path) -> None:
    """MAUM is a rung of its ladder in one, and a side of its comparison in the other; at × 3 it is another training."""
    file, scores = tmp_path / "trials.csv", {"baseline": 0.3, "shared proxies": 0.4, "+ memory": 0.5}
    ladder, compared, long = (
        studies.get(f"maum-{study}", profile=profile)
        for study, profile in (("ladder", "screen"), ("comparison", "cpu"), ("training-length", "cpu"))
    )
    for label, score in scores.items():
        name = label.replace("+ memory", "MAUM-G")
        write(file, (f"{label} here", 0, score, ladder[label].digest), method=ladder[label].method)
        write(file, (name, 0, 1 - score, compared[name].digest), method=compared[name].method, profile="cpu")
    write(file, ("baseline, × 3", 0, 0.9, long["baseline, × 3"].digest), profile="cpu")
    row = pilots.order(path=file).iloc[0]
    assert (row["variants"], row["correlation"]) == (3, -1)


def test_a_difference_is_paired_by_seed_whatever_its_runs_were_made_for(tmp_path) -> None:
    """Gains of 1, 2 and 3 points: 2 with a standard error of 1 ÷ √3, and t = 4.303."""
    file, ladder = tmp_path / "trials.csv", studies.get("maum-ladder", profile="screen")
    for seed in range(4):
        runs = [("baseline", 0.30 + seed / 100)] + [("shared proxies", 0.31 + 2 * seed / 100)] * (seed < 3)
        for label, score in runs:
            recipe = ladder[label].replace(seed=seed)
            write(file, (f"{label}, else", seed, score, recipe.digest), method=recipe.method)
    row = pilots.differences(file).set_index(["variant", "reference"]).loc[("shared proxies", "baseline")]
    assert (row["runs"], row["mAP"], row["theirs"]) == (3, pytest.approx(33), pytest.approx(31))
    assert row["difference"] == pytest.approx(2) and row["high"] == pytest.approx(2 + 4.3027 / 3**0.5, abs=1e-3)
    text = regime.pilot(file)
    assert "| shared proxies against baseline, screen | 3 | 33.0 | 31.0 | +2.00 (−0.48 to 4.48) | 50, 50 |" in text


def test_lengths_take_the_runs_of_all_studies_and_those_of_today_alone(tmp_path) -> None:
    file, grid = tmp_path / "trials.csv", studies.get("maum-training-length", profile="screen")
    ladder = studies.get("maum-ladder", profile="screen")["baseline"]
    assert ladder == grid["baseline, × 3"]
    write(file, ("baseline", 0, 0.3, ladder.digest), ("of old", 0, 0.9, "0" * 8))
    write(file, ("baseline, × 1", 0, 0.1, grid["baseline, × 1"].digest))
    write(file, ("baseline, × 1", 1, 0.2, grid["baseline, × 1"].replace(seed=1).digest))
    found = pilots.lengths(file)
    assert found["trial"].tolist() == ["baseline, × 1", "baseline, × 1", "baseline, × 3"]
    assert "| SYSU-MM01 | baseline | 15.0 ± 7.1 (n = 2) | 30.0 (n = 1) |" in regime.lengths(file)


def test_without_rows_there_is_nothing_to_say(tmp_path) -> None:
    nowhere = tmp_path / "none.csv"
    assert pilots.differences(nowhere).empty and pilots.lengths(nowhere).empty
    assert "None is published yet." in regime.pilot(nowhere) and "None is published yet." in regime.lengths(nowhere)


def test_every_pair_is_of_variants_that_can_be_trained() -> None:
    for pair in pilots.PAIRS:
        assert {pair.variant, pair.reference} <= studies.get(pair.study, profile=pair.profile).keys()
    published = trials.rows()
    assert isinstance(pilots.differences(), pd.DataFrame) and len(pilots.differences()) <= len(published)
