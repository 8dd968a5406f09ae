"""Relays: cosines of centres and proxies as one would work them out by hand, for every kind of proxies."""

from collections.abc import Callable
from functools import cache

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F

from reidlib import evaluation, methods
from reidlib.data import ReIDDataset
from reidlib.methods import maum
from reidlib.methods.maum.explain import COSINES, DIFFERENT, UNSEEN
from reidlib.networks import ReIDModel


@pytest.fixture
def classes(dataset: ReIDDataset) -> np.ndarray:
    """Identities of the classes: not all of those to train on, and in no order."""
    pids = dataset.train_labels()[1]
    return np.random.default_rng(0).permutation(pids)[: len(pids) - 1]


@pytest.fixture
def build(classes: np.ndarray, dataset: ReIDDataset) -> Callable:
    """``build(method, **options)``: a model with an eye for the twin, at 64×32, whose running means have seen it."""

    def make(method: str, **options) -> ReIDModel:
        torch.manual_seed(0)
        model = methods.build(method, num_ids=len(classes), backbone="tiny", **options)
        model.image_size = (64, 32)
        rows = dataset.rows("train")[::3]
        images = dataset.images(64, 32, progress=False).tensor(rows)
        modality = torch.from_numpy(dataset.frame["modality"].to_numpy(copy=True)[rows])
        with torch.no_grad():
            model.train()(images.float() / 255, modality)
        return model.eval()

    return make


def by_hand(model: ReIDModel, dataset: ReIDDataset, pids: np.ndarray, proxies: list, parts: int) -> pd.DataFrame:
    """The table in loops; ``proxies[m][part]`` are weights (C, D)."""
    frame, cut = dataset.frame, {}
    for row, embedding in enumerate(evaluation.embed(model, dataset, np.arange(len(frame))).double()):
        cut[row] = [part / part.norm() for part in embedding.chunk(parts)]

    @cache
    def centre(pid: int, modality: int, part: int) -> torch.Tensor:
        rows = np.flatnonzero((frame["pid"] == pid) & (frame["modality"] == modality))
        mean = sum(cut[row][part] for row in rows) / len(rows)
        return mean / mean.norm()

    def direction(pid: int, kind: str, part: int) -> torch.Tensor:
        if kind.startswith("centre"):
            return centre(pid, int(kind[-1]), part)
        weight = proxies[int(kind[-1])][part][list(pids).index(pid)].detach().double()
        return weight / weight.norm()

    def cosine(one: tuple[int, str], other: tuple[int, str]) -> float:
        return sum(float(direction(*one, part) @ direction(*other, part)) for part in range(parts)) / parts

    pairs = {
        "centres": ("centre0", "centre1"),
        "visible_proxy": ("centre0", "proxy0"),
        "infrared_proxy": ("centre1", "proxy1"),
        "visible_counterpart": ("centre0", "proxy1"),
        "infrared_counterpart": ("centre1", "proxy0"),
        "proxies": ("proxy0", "proxy1"),
    }
    lines = []
    for seen, people in ((True, sorted(pids)), (False, sorted(set(frame.loc[frame["split"] == "test", "pid"])))):
        for pid in people:
            line = {"pid": pid, "seen": seen}
            for name, (one, other) in pairs.items():
                is_known = seen or name == "centres"
                others = [cosine((pid, one), (else_, other)) for else_ in people if else_ != pid] if is_known else []
                line[name] = cosine((pid, one), (pid, other)) if is_known else np.nan
                line[f"{name}_different"] = sum(others) / len(others) if others else np.nan
            lines.append(line)
    return pd.DataFrame(lines)


CASES = {
    "baseline": ("baseline", {}, 1),
    "MAUM-G": ("maum", {}, 1),
    "MAUM-P": ("maum", {"parts": True, "stripes": 4}, 4),
    "shared": ("maum", {"parts": True, "stripes": 4, "shared_proxies": True}, 4),
}


@pytest.mark.integration
@pytest.mark.parametrize("case", CASES)
def test_table_is_what_the_definitions_say(build: Callable, dataset: ReIDDataset, classes: np.ndarray, case) -> None:
    method, options, parts = CASES[case]
    model, shared = build(method, **options), case == "shared"
    if method == "baseline":
        weights = 2 * [[model.classifier.weight]]
    else:
        weights = [[part.weight for part in of] for of in (2 * [model.shared_proxies] if shared else model.proxies)]
    table = maum.explain.relay_table(model, dataset, classes, shared=shared)
    expected = by_hand(model, dataset, classes, weights, parts)
    assert list(table) == ["pid", "seen", *(n for name in COSINES for n in (name, f"{name}_different"))]
    pd.testing.assert_frame_equal(table, expected[list(table)], check_dtype=False, atol=2e-5, rtol=0)
    assert table.loc[table["seen"], "pid"].tolist() == sorted(classes), "those held out are not among them"
    if shared or method == "baseline":
        assert np.allclose(table.loc[table["seen"], "proxies"], 1, atol=1e-6)


def test_values_are_means_of_the_table() -> None:
    random = np.random.default_rng(0)
    table = pd.DataFrame({"pid": [3, 5, 9, 11, 12], "seen": [True, True, True, False, False]})
    for name in COSINES:
        for column in (name, f"{name}_different"):
            table[column] = random.uniform(-1, 1, 5)
            table.loc[3:, column] = table.loc[3:, column] if name == "centres" else np.nan
    values = maum.explain.relay_values(table)
    for column, name in COSINES.items():
        assert values[name] == pytest.approx(table[column][:3].mean())
        assert values[name + DIFFERENT] == pytest.approx(table[f"{column}_different"][:3].mean())
    assert values["visible–infrared centres" + UNSEEN] == pytest.approx(table["centres"][3:].mean())
    both = UNSEEN + DIFFERENT
    assert values["visible–infrared centres" + both] == pytest.approx(table["centres_different"][3:].mean())
    to_proxy = [(table["visible_proxy"][i] + table["infrared_proxy"][i]) / 2 for i in range(3)]
    assert values["relay gap"] == pytest.approx(np.mean([to_proxy[i] - table["centres"][i] for i in range(3)]))
    ways = [table["visible_proxy"][i] * table["proxies"][i] * table["infrared_proxy"][i] for i in range(3)]
    assert values["by way of the proxies"] == pytest.approx(np.mean(ways))
    assert (values["people"], values["unseen people"]) == (3, 2)
    assert all(type(value) is float for value in values.values())


class Planted(torch.nn.Module):
    """Test features in three dimensions: a relay along the first, the modality along the second, the rest nought."""

    image_size = (64, 32)

    def __init__(self, angle: float, num_ids: int):
        super().__init__()
        self.angle, self.classifier = angle, torch.nn.Linear(3, num_ids, bias=False)
        self.classifier.weight.data = torch.tensor([[5.0, 0, 0]]).repeat(num_ids, 1)

    def embed(self, images: torch.Tensor, modality: torch.Tensor) -> torch.Tensor:
        side = np.sin(self.angle) * (1 - 2.0 * modality)
        return torch.stack([torch.full_like(side, np.cos(self.angle)), side, 0 * side], dim=1)


@pytest.mark.integration
def test_a_planted_relay_is_found(dataset: ReIDDataset, classes: np.ndarray) -> None:
    values = maum.explain.relay_values(maum.explain.relay_table(Planted(np.pi / 6, len(classes)), dataset, classes))
    near = np.cos(np.pi / 6)
    assert values["visible centre–own proxy"] == pytest.approx(near, abs=1e-5)
    assert values["visible–infrared centres"] == pytest.approx(0.5, abs=1e-5), "twice the angle"
    assert values["relay gap"] == pytest.approx(near - 0.5, abs=1e-5)
    assert values["by way of the proxies"] == pytest.approx(near**2, abs=1e-5), "more: they lie on opposite sides"
    together = maum.explain.relay_values(maum.explain.relay_table(Planted(0.0, len(classes)), dataset, classes))
    assert together["relay gap"] == pytest.approx(0, abs=1e-5)


@pytest.mark.integration
def test_the_model_stays_as_it_is_and_nothing_is_drawn(build: Callable, dataset: ReIDDataset, classes) -> None:
    model = build("maum").train()
    before, state = {k: v.clone() for k, v in model.state_dict().items()}, torch.get_rng_state()
    maum.explain.relay_table(model, dataset, classes)
    assert model.training and torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_proxies_have_unit_length_in_each_part() -> None:
    torch.manual_seed(0)
    model = methods.build("maum", num_ids=5, backbone="tiny", parts=True, stripes=4, shared_proxies=True)
    for shared in (False, True):
        for modality, proxies in enumerate(maum.explain.class_proxies(model, shared=shared)):
            sets = model.shared_proxies if shared else model.proxies[modality]
            assert proxies.shape == (5, 4, sets[0].weight.shape[1]) and not proxies.requires_grad
            for part in range(4):
                assert torch.allclose(proxies[:, part], F.normalize(sets[part].weight, dim=1))


def test_models_without_proxies_are_told(imageless: ReIDDataset) -> None:
    with pytest.raises(ValueError, match="Linear has no proxies: neither a linear `classifier` nor `proxies`"):
        maum.explain.class_proxies(torch.nn.Linear(3, 2))
    plain = methods.build("maum", num_ids=2, backbone="tiny")
    with pytest.raises(ValueError, match="MAUM has no proxies: neither a linear `classifier` nor `shared_proxies`"):
        maum.explain.class_proxies(plain, shared=True)


def test_what_does_not_fit_is_said(imageless: ReIDDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    model = methods.build("maum", num_ids=2, backbone="tiny")
    with pytest.raises(ValueError, match="proxies of 2 classes, and pids name 3 identities"):
        maum.explain.relay_table(model, imageless, np.array([1, 2, 6]))
    with pytest.raises(ValueError, match="identity 6 of pids has no training image"):
        maum.explain.relay_table(model, imageless, np.array([1, 6]))
    monkeypatch.setattr(evaluation, "embed", lambda model, dataset, rows: torch.ones(len(rows), 7))
    with pytest.raises(ValueError, match="do not fit a test feature"):
        maum.explain.relay_table(model, imageless, np.array([1, 2]))


def test_people_seen_in_one_modality_do_not_take_part(imageless: ReIDDataset, monkeypatch) -> None:
    generator = torch.Generator().manual_seed(0)
    monkeypatch.setattr(
        evaluation, "embed", lambda model, dataset, rows: torch.randn(len(rows), 128, generator=generator)
    )
    frame = imageless.frame
    lone = (frame["pid"] == 2) & (frame["modality"] == 1) | (frame["pid"] >= 6) & (frame["modality"] == 0)
    dataset = type(imageless)("sysu", imageless.root, frame[~lone], imageless.reader)
    model = methods.build("maum", num_ids=2, backbone="tiny")
    monkeypatch.setattr(model, "proxies", _of_width(128))
    table = maum.explain.relay_table(model, dataset, np.array([2, 1]))
    assert table["pid"].tolist() == [1] and table["centres_different"].isna().all(), "nobody else is left"
    values = maum.explain.relay_values(table)
    assert values["people"] == 1 and values["unseen people"] == 0 and np.isfinite(values["relay gap"])
    assert np.isnan(values["visible–infrared centres" + UNSEEN])
    visible = type(imageless)("sysu", imageless.root, frame[frame["modality"] == 0], imageless.reader)
    with pytest.raises(ValueError, match="no identity of pids has training images of both modalities"):
        maum.explain.relay_table(model, visible, np.array([1, 2]))


def _of_width(width: int) -> torch.nn.ModuleList:
    from reidlib.methods.maum.model import Proxies

    return torch.nn.ModuleList(torch.nn.ModuleList([Proxies(2, width)]) for _ in range(2))
