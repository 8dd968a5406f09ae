"""Focus: maps whose scores are known, controls of the same modality, differences that one can add up by hand."""

import numpy as np
import pandas as pd
import pytest
import torch

from reidlib import explain
from reidlib.data import ReIDDataset
from reidlib.explain import focus
from reidlib.explain.cam import Cams


@pytest.mark.integration
def test_rows_are_of_both_modalities_and_always_the_same(dataset: ReIDDataset) -> None:
    rows = explain.focus_rows(dataset, images=4)
    frame = dataset.frame.iloc[rows]
    assert (frame["split"] == "test").all() and frame["pid"].nunique() == 4
    assert frame.groupby("modality")["pid"].nunique().tolist() == [4, 4] and len(rows) == 8
    assert np.array_equal(rows, explain.focus_rows(dataset, images=4))
    assert not np.array_equal(rows, explain.focus_rows(dataset, images=4, seed=1))
    people = dataset.frame.iloc[explain.sample_rows(dataset)]["pid"].nunique()
    more = dataset.frame.iloc[explain.focus_rows(dataset, images=people + 1)]
    assert more.groupby(["pid", "modality"]).size().tolist() == [2] * (2 * people)


@pytest.fixture
def planted(monkeypatch: pytest.MonkeyPatch, dataset: ReIDDataset):
    """``planted(rows)`` → table of a Grad-CAM that is the person, and of an occlusion that found nothing."""

    def make(rows: np.ndarray) -> pd.DataFrame:
        def cams(model, dataset, rows, *, branch=None) -> Cams:
            person = torch.from_numpy(explain.masks(dataset, rows)[0]).float()
            return Cams(person, torch.ones(len(rows)), torch.ones(len(rows)))

        def hidden(model, dataset, rows, *, person, branch=None) -> dict:
            share = torch.from_numpy(person.mean(axis=(1, 2)))
            return {"nothing": share, "background": share + 1, "person": share + 2}

        monkeypatch.setattr(focus, "cams", cams)
        monkeypatch.setattr(focus, "occlusion_maps", lambda model, dataset, rows, **_: torch.zeros(len(rows), 8, 4))
        monkeypatch.setattr(focus, "hidden_cosines", hidden)
        return explain.focus_table(None, dataset, rows)

    return make


@pytest.mark.integration
def test_scores_of_known_maps(planted, dataset: ReIDDataset) -> None:
    rows = explain.focus_rows(dataset, images=4)
    table = planted(rows)
    assert len(table) == len(rows) * 6
    scores = {name: part.set_index("row") for name, part in table.groupby("map")}
    perfect, nothing, uniform = (scores[name] for name in ("Grad-CAM", "occlusion", "uniform"))
    assert (perfect[["energy", "pointing", "parts"]] == 1).all(axis=None) and not perfect["empty"].any()
    assert nothing["empty"].all(), "and it counts as a map that says nothing"
    pd.testing.assert_frame_equal(nothing[list(focus.SCORES)], uniform.loc[nothing.index, list(focus.SCORES)])
    np.testing.assert_allclose(uniform["energy"], uniform["person"])
    np.testing.assert_allclose(table["cosine"], table["person"])
    np.testing.assert_allclose(table["person hidden"], table["person"] + 2)


@pytest.mark.integration
def test_the_other_image_is_of_the_same_modality_and_of_another_person(planted, dataset: ReIDDataset) -> None:
    rows = explain.focus_rows(dataset, images=4)
    table = planted(rows[::-1])
    person = dict(zip(rows, explain.masks(dataset, rows)[0], strict=True))
    for modality in (0, 1):
        own = sorted((row for row in rows if dataset.frame["modality"][row] == modality), key=dataset.frame["pid"].get)
        part = table[(table["map"] == "Grad-CAM of another image") & (table["modality"] == modality)].set_index("row")
        for place, row in enumerate(own):
            other = own[place - len(own) // 2]
            assert dataset.frame["pid"][other] != dataset.frame["pid"][row]
            energy = (person[other] & person[row]).sum() / person[other].sum()
            assert part.loc[row, "energy"] == pytest.approx(energy)


def test_values_are_means_by_modality() -> None:
    maps = ("Grad-CAM", "occlusion", "Grad-CAM of another image", "occlusion of another image", *focus.FIXED)
    table = pd.DataFrame(
        [(row, row // 3, name) for row in range(6) for name in maps], columns=["row", "modality", "map"]
    )
    random = np.random.default_rng(0)
    for score in (*focus.SCORES, "empty"):
        table[score] = random.uniform(size=len(table))
    for name in focus.COSINES:
        table[name] = table["row"].map(dict(enumerate(random.uniform(size=6))))
    values = explain.focus_values(table)
    assert len(values) == 2 * (3 * 6 + 2 + 3 + 1) and all(type(value) is float for value in values.values())
    for number, modality in enumerate(("visible", "infrared")):
        part = table[table["modality"] == number]
        for name in maps:
            mean = part.loc[part["map"] == name, "pointing"].mean()
            assert values[f"pointing, {name}, {modality}"] == pytest.approx(mean)
        assert values[f"empty, occlusion, {modality}"] == pytest.approx(
            part[part["map"] == "occlusion"]["empty"].mean()
        )
        mean = part.groupby("row")["background hidden"].first().mean()
        assert values[f"background hidden, {modality}"] == pytest.approx(mean)
        assert values[f"images, {modality}"] == 3


@pytest.fixture
def measured() -> pd.DataFrame:
    """Three seeds; energy of Grad-CAM 0.5 + seed/100, and 0.1 more with FIENet; all controls 0.55, others' maps 0.3."""
    lines = []
    for variant, more in (("baseline", 0.0), ("FIENet", 0.1), ("alone", 0.0)):
        for seed in (0, 1, 2) if variant != "alone" else (7,):
            for score in focus.SCORES:
                for modality in ("visible", "infrared"):
                    for name in focus.MAPS:
                        value = 0.5 + seed / 100 + more * (1 if name == "Grad-CAM" else 1 + seed)
                        lines.append((variant, seed, f"{score}, {name}, {modality}", value))
                        lines.append((variant, seed, f"{score}, {name} of another image, {modality}", 0.3))
                    lines += [(variant, seed, f"{score}, {name}, {modality}", 0.55) for name in focus.FIXED]
    return pd.DataFrame(lines, columns=["variant", "seed", "name", "value"])


def test_differences_are_paired_by_seed(measured: pd.DataFrame) -> None:
    table = explain.focus_differences(measured, "FIENet", "baseline")
    assert len(table) == 2 * 3 * 2 * 4 and set(table["seeds"]) == {3}
    lines = table.set_index(["map", "score", "modality", "against"]).sort_index()
    one = lines.loc[("Grad-CAM", "energy", "visible")]
    assert one["difference"].to_dict() == pytest.approx(
        {"baseline": 0.1, "another image": 0.31, "centred Gaussian": 0.06, "uniform": 0.06}
    )
    assert one.loc["baseline", "low"] == pytest.approx(0.1), "the same with every seed"
    # 0.05, 0.06, 0.07: standard deviation 0.01, and Student's t of two degrees of freedom is 4.303
    assert one.loc["uniform", "high"] - 0.06 == pytest.approx(4.303 * 0.01 / 3**0.5, rel=1e-3)
    assert one["verdict"].tolist() == ["more"] * 4
    spread = lines.loc[("occlusion", "parts", "infrared")].loc["baseline"]  # 0.1, 0.2, 0.3
    assert (spread["difference"], spread["verdict"]) == (pytest.approx(0.2), "undecided")
    back = explain.focus_differences(measured, "baseline", "FIENet").query("map == 'Grad-CAM'")
    verdicts = back.groupby("against")["verdict"].first().to_dict()
    assert verdicts == {"FIENet": "less", "another image": "more", "centred Gaussian": "less", "uniform": "less"}


def test_one_seed_decides_nothing_and_none_is_refused(measured: pd.DataFrame) -> None:
    first = explain.focus_differences(measured[measured["seed"] == 0], "FIENet", "baseline")
    assert set(first["verdict"]) == {"undecided"} and np.isinf(first["high"]).all()
    for name in ("alone", "somebody"):
        with pytest.raises(ValueError, match=f"'{name}' and 'baseline' have not been measured with the same seed"):
            explain.focus_differences(measured, name, "baseline")


@pytest.mark.integration
def test_focus_of_a_network(dataset: ReIDDataset, trained) -> None:
    rows = explain.focus_rows(dataset, images=3)
    table = explain.focus_table(trained, dataset, rows)
    assert set(table["row"]) == set(rows) and table[list(focus.SCORES)].notna().all(axis=None)
    pd.testing.assert_frame_equal(table, explain.focus_table(trained, dataset, rows[::-1]))
    cams = explain.cams(trained, dataset, rows)
    person = explain.masks(dataset, rows)[0]
    own = table[table["map"] == "Grad-CAM"].set_index("row").loc[rows]
    energy = np.where(cams.empty, person.mean(axis=(1, 2)), explain.energy_inside(cams.maps, person))
    np.testing.assert_allclose(own["energy"], energy, atol=1e-6)
    values = explain.focus_values(table)
    assert all(-1 <= value <= 1 for name, value in values.items() if not name.startswith("images"))
