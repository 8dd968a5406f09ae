"""Regions hidden in pairs: as one would do it by hand, on a network that sees the upper half of an image alone."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from reidlib import evaluation, explain
from reidlib.data import ReIDDataset, normalise
from reidlib.explain.regions import REGIONS
from reidlib.twins import PARTS

pytestmark = pytest.mark.integration


class UpperHalf(torch.nn.Module):
    """Its embedding is the upper half of the image, pixel by pixel."""

    branches, image_size = ("shared",), (64, 32)

    def check_branch(self, branch: str | None) -> str:
        if branch not in (None, "shared"):
            raise ValueError(f"no branch {branch!r}")
        return "shared"

    def branch_embedding(self, images: torch.Tensor, modality: torch.Tensor, branch: str) -> torch.Tensor:
        return F.normalize(images[:, :, :32].flatten(1), dim=1)


@pytest.fixture(scope="module")
def pairs(dataset: ReIDDataset) -> tuple[np.ndarray, np.ndarray]:
    """Four infrared queries and visible images; one of these comes twice."""
    query = dataset.rows("test", modality=1)[[0, 7, 40, 65]]
    gallery = dataset.rows("test", modality=0)[[3, 50, 3, 120]]
    return query, gallery


@pytest.fixture(scope="module")
def drops(dataset: ReIDDataset, pairs: tuple) -> pd.DataFrame:
    return explain.region_drops(UpperHalf(), dataset, *pairs)


def test_pairs_are_right_matches_one_a_person(dataset: ReIDDataset) -> None:
    protocol = evaluation.protocols.get("sysu", num_trials=1)
    rows = dataset.rows("test")
    pids = torch.from_numpy(dataset.frame["pid"].to_numpy()[rows].copy())
    random = torch.Generator().manual_seed(0)
    codes = torch.randn(int(pids.max()) + 1, 6, generator=random)[pids]
    embeddings = codes + torch.randn(codes.shape, generator=random)
    retrieval = evaluation.retrieve(embeddings, dataset, protocol, depth=20)
    pairs = explain.matched_pairs(retrieval, dataset)
    unit = F.normalize(embeddings, dim=1)
    pid = dataset.frame["pid"].to_numpy()
    assert 3 < len(pairs) < len(retrieval.query_rows) and pid[pairs["query"]].tolist() == sorted(
        set(pid[pairs["query"]])
    )
    answered = {pid[row] for row, first in zip(retrieval.query_rows, retrieval.first_match, strict=True) if first == 1}
    assert set(pid[pairs["query"]]) == answered
    gallery = protocol.trials(dataset)[0].gallery_rows
    for query, match, stranger in pairs.itertuples(index=False):
        ignored = protocol.exclude(dataset.frame.iloc[[query]], dataset.frame.iloc[gallery])[0]
        seen = gallery[~ignored]
        cosines = unit[np.searchsorted(rows, seen)] @ unit[np.searchsorted(rows, query)]
        others = np.flatnonzero(pid[seen] != pid[query])
        assert seen[int(cosines.argmax())] == match and pid[match] == pid[query]
        assert seen[others[int(cosines[others].argmax())]] == stranger
    pd.testing.assert_frame_equal(pairs, explain.matched_pairs(retrieval, dataset))
    never = replace(retrieval, first_match=np.zeros_like(retrieval.first_match))
    assert len(explain.matched_pairs(never, dataset)) == 0


def test_each_part_is_in_one_region() -> None:
    assert sorted(part for parts in REGIONS.values() for part in parts) == sorted(PARTS)


def test_drops_are_those_of_a_loop(dataset: ReIDDataset, pairs: tuple, drops: pd.DataFrame) -> None:
    model = UpperHalf()
    found = drops.set_index(["pair", "region"])
    for pair, rows in enumerate(zip(*pairs, strict=True)):
        images = normalise(dataset.images(64, 32, progress=False).tensor(np.array(rows)))
        parts = torch.from_numpy(explain.masks(dataset, np.array(rows))[1])
        assert parts.shape[1:] == images.shape[2:], "the twin's images have the size of the model's"
        cosine = torch.dot(*model.branch_embedding(images, None, "shared"))
        for region, names in REGIONS.items():
            line, colour = found.loc[(pair, region)], images.mean((2, 3), keepdim=True)
            where = sum(parts == PARTS.index(name) for name in names).bool()
            assert (line["query"], line["gallery"]) == rows
            assert line["pid"] == dataset.frame["pid"].iloc[rows[0]]
            areas = where.double().mean((1, 2))
            assert [line["query area"], line["gallery area"]] == pytest.approx(areas.tolist())
            for side, chosen in (("query", [True, False]), ("gallery", [False, True]), ("both", [True, True])):
                hide = where[:, None] & torch.tensor(chosen)[:, None, None, None]
                left = torch.dot(*model.branch_embedding(torch.where(hide, colour, images), None, "shared"))
                if (areas[torch.tensor(chosen)] < 0.005).any():
                    assert np.isnan(line[f"{side} hidden"])
                else:
                    assert line[f"{side} hidden"] == pytest.approx(float(cosine - left), abs=2e-6)
    assert found["query hidden"].notna().any() and len(found) == 4 * len(REGIONS)


def test_what_the_network_does_not_see_makes_no_match(drops: pd.DataFrame) -> None:
    feet = drops[drops["region"] == "feet"][["query hidden", "gallery hidden"]].to_numpy()
    background = drops[drops["region"] == "background"]["query hidden"]
    assert np.nanmax(np.abs(feet)) < 1e-6 < background.abs().max()


def test_maps_have_the_drop_of_their_region(dataset: ReIDDataset, drops: pd.DataFrame) -> None:
    for side in ("query", "gallery"):
        maps = explain.region_maps(drops, dataset, side)
        rows = drops.drop_duplicates("pair")[side].to_numpy()
        parts = explain.masks(dataset, rows)[1]
        assert maps.shape == parts.shape and maps.min() >= 0 and maps.max() > 0
        wide = drops.pivot(index="pair", columns="region", values=f"{side} hidden").fillna(0).clip(lower=0)
        for region, names in REGIONS.items():
            where = np.isin(parts, [PARTS.index(name) for name in names])
            expected = np.broadcast_to(wide[region].to_numpy(np.float32)[:, None, None], maps.shape)
            np.testing.assert_allclose(maps[where], expected[where], rtol=1e-6)
    with pytest.raises(ValueError, match="unknown side 'both'"):
        explain.region_maps(drops, dataset, "both")


def test_a_network_stays_as_it_is(dataset: ReIDDataset, pairs: tuple, trained, monkeypatch: pytest.MonkeyPatch) -> None:
    trained.train()
    before = {name: tensor.clone() for name, tensor in trained.state_dict().items()}
    try:
        first = explain.region_drops(trained, dataset, *pairs, branch="specific")
        assert trained.training
    finally:
        trained.eval()
    monkeypatch.setattr(explain.common, "BATCH", 3)
    pd.testing.assert_frame_equal(first, explain.region_drops(trained, dataset, *pairs, branch="specific"))
    assert all(torch.equal(before[name], tensor) for name, tensor in trained.state_dict().items())


def test_what_cannot_be_asked_is_said(dataset: ReIDDataset, pairs: tuple) -> None:
    query, gallery = pairs
    with pytest.raises(ValueError, match="got 4 and 3"):
        explain.region_drops(UpperHalf(), dataset, query, gallery[:3])
    with pytest.raises(ValueError, match="got 0 and 0"):
        explain.region_drops(UpperHalf(), dataset, query[:0], gallery[:0])
    with pytest.raises(ValueError, match="twins of whole people"):
        explain.region_drops(UpperHalf(), replace(dataset, is_twin=False), query, gallery)
    with pytest.raises(ValueError, match="no branch 'auxiliary'"):
        explain.region_drops(UpperHalf(), dataset, query, gallery, branch="auxiliary")
