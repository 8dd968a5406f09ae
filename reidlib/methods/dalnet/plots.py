"""Figures of DALNet: its parts, what its generator draws, what drawings show, and how far the modalities are apart."""

import base64
import io
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from PIL import Image

from reidlib.methods.dalnet.geometry import cosine_plane, dalnet_motivation  # noqa: F401 (their place for readers)
from reidlib.plots import panels, style, tables
from reidlib.plots.diagrams import LOSS, SHARED, boxes_and_arrows, note
from reidlib.plots.drawing import drawing
from reidlib.plots.photos import Photos, photo

if TYPE_CHECKING:
    from reidlib.data.dataset import ReIDDataset

_INSIDE, _DIFFERENT = "gradient inside, ", ", different identities"
_MEAN = {"markersize": 7, "linewidth": 2}


@drawing
def dalnet_diagram() -> Figure:
    """From a photo to its auxiliary image, three stems, the attention between modalities, and the losses."""
    real, sketch, drawn = style.MODALITY_COLOURS.values()
    boxes = {
        "photo": ("photo", 0.95, 3.7, real),
        "donor": ("sketch of\nanother identity", 0.95, 2.3, sketch),
        "sketch": ("sketch", 0.95, 0.9, sketch),
        "DAG": ("DAG: mask,\nedges, style", 2.95, 2.3, drawn),
        "stem P": ("photo stem", 4.95, 3.7, real),
        "stem A": ("auxiliary stem", 4.95, 2.3, drawn),
        "stem S": ("sketch stem", 4.95, 0.9, sketch),
        "trunk": ("shared trunk,\nGeM", 6.95, 2.3, SHARED),
        "g": ("global g of\n3 modalities", 8.95, 3.2, SHARED),
        "h": ("MIA: shared h of\n3 modalities", 8.95, 1.4, SHARED),
        "test": ("real images: triplet,\ntest feature", 11.0, 4.1, LOSS),
        "identity": ("identity loss", 11.0, 2.3, LOSS),
        "cross": ("circle loss across\nmodalities", 11.0, 3.2, LOSS),
        "intra": ("circle loss within\neach modality", 11.0, 1.4, LOSS),
    }
    arrows = [
        ("photo", "DAG", "stem A", "trunk", "h", "intra"), ("photo", "stem P", "trunk", "g", "test"), ("donor", "DAG"),
        ("sketch", "stem S", "trunk"), ("g", "identity"), ("g", "cross"), ("g", "intra"), ("h", "identity"),
    ]  # fmt: skip
    figure = boxes_and_arrows(boxes, arrows, (12.0, 4.7), width=1.7)
    note(figure, "MIA: the auxiliary image asks, the real image answers.\nIn training only, like the DAG.", 8.95, 0.5)
    return figure


def generation_table(
    dataset: "ReIDDataset", rows: Sequence[int], donors: Sequence[int], stages: Mapping[str, Mapping[str, np.ndarray]]
) -> pd.DataFrame:
    """What a generator of auxiliary images made of some photos, at several stages of its training.

    Args:
        rows: of the photos. ``donors``: of the sketches whose style each took.
        stages: "epoch 3" → what `reidlib.methods.dalnet.explain.drawings` returned then, for these rows.

    Returns:
        One line an image, photo by photo: ``path``, ``pid``, ``camid``, ``modality``, ``place`` (number of the photo),
        ``stage``, ``step`` and ``picture``. It is missing for images of the data set: the photo, a sketch of the same
        identity if there is one, the donor. It is a grey PNG in base64 for what was drawn; at the step ``"cleaned"`` it
        is the mask.
    """
    frame, lines = dataset.frame, []
    steps = {"mask": "cleaned", "edges": "edges", "auxiliary": "auxiliary"}
    for place, (row, donor) in enumerate(zip(rows, donors, strict=True)):
        about = {**frame.loc[row, tables.WHO], "place": place}
        lines.append(about | {"step": "photo"})
        for stage, drawn in stages.items():
            for name in (name for name in steps if name in drawn):
                lines.append(about | {"stage": stage, "step": steps[name], "picture": _png(drawn[name][place])})
        own = frame.index[(frame["pid"] == about["pid"]) & (frame["modality"] == 1)]
        lines += [{**frame.loc[other, tables.WHO], "place": place, "step": "sketch"} for other in own[:1]]
        lines.append({**frame.loc[donor, tables.WHO], "place": place, "step": "donor"})
    return pd.DataFrame(lines, columns=[*tables.WHO, "place", "stage", "step", "picture"])


def _png(image: np.ndarray) -> str:
    """A grey image in 0–1 as a small text: few of them fit into the table of a figure."""
    image = image if image.ndim == 2 else image @ tables.GREY
    stream = io.BytesIO()
    Image.fromarray((255 * image).round().clip(0, 255).astype(np.uint8)).save(stream, "PNG", optimize=True)
    return base64.b64encode(stream.getvalue()).decode("ascii")


@drawing
def generation(table: pd.DataFrame, dataset: "ReIDDataset | Photos", caption: str) -> Figure:
    """Photos in rows; from left to right what the generator makes of each, at several stages of training.

    Args:
        table: as `generation_table` gives it: a line an image, with its ``place`` (row), ``stage``, ``step`` and, if
            it was drawn, its pixels in ``picture``.
    """
    style.require(table, [*tables.WHO, "place", "stage", "step", "picture"])
    table = table.assign(stage=table["stage"].fillna(""))
    columns = list(dict.fromkeys(zip(table["stage"], table["step"], strict=True)))
    places = sorted(table["place"].unique())
    images = [_image(record, dataset) for record in table.itertuples()]
    aspect = np.median([image.shape[0] / image.shape[1] for image in images])
    size = 0.84 * len(columns) + 0.3, 0.84 * aspect * len(places) + 0.9
    figure, axes = panels.images(len(places), len(columns), size)
    for record, image in zip(table.itertuples(), images, strict=True):
        column = columns.index((record.stage, record.step))
        axis = axes[places.index(record.place), column]
        axis.imshow(image, aspect="auto", cmap="gray", vmin=0, vmax=1)
        if record.place == places[0]:
            is_first = column == 0 or columns[column - 1][0] != record.stage
            colour = style.MODALITY_COLOURS[2 if isinstance(record.picture, str) else record.modality]
            axis.set_title(f"{record.stage if is_first else ''}\n{record.step}", fontsize=9, color=colour, loc="left")
        if not isinstance(record.picture, str):
            axis.set_xlabel(f"id {record.pid}", fontsize=8, labelpad=2)
    return style.caption(figure, caption, "drawn in the style of the donor, a sketch of another identity")


def _image(record: Any, dataset: "ReIDDataset | Photos") -> np.ndarray:
    """An image of the data set, or the drawing that the table holds; of a mask, the photo behind it."""
    if not isinstance(record.picture, str):
        return photo(dataset, record.path)
    with Image.open(io.BytesIO(base64.b64decode(record.picture, validate=True)), formats=["PNG"]) as picture:
        drawn = np.asarray(picture.convert("L"), np.float32) / 255
    if record.step != "cleaned":
        return drawn
    original = Image.fromarray(photo(dataset, record.path)).resize(drawn.shape[::-1], Image.Resampling.BILINEAR)
    return 1 - drawn[..., None] * (1 - np.asarray(original, np.float32) / 255)


@drawing
def gradient_shares(table: pd.DataFrame, caption: str) -> Figure:
    """How much of an image's gradient lies on the true person: photo, edges of the whole photo, auxiliary image.

    Args:
        table: a line a number and run: ``seed``, ``name`` and ``value`` of the measure ``auxiliary``.
    """
    style.require(table, ["seed", "name", "value"])
    table = style.require(table[table["name"].str.startswith(_INSIDE) & table["value"].notna()])
    table = table.assign(row=table["name"].str.removeprefix(_INSIDE))
    chance, table = table.loc[table["row"] == "chance", "value"], table[table["row"] != "chance"]
    names = table["row"].drop_duplicates().tolist()
    figure, axis = plt.subplots(figsize=(7.4, 0.5 * len(names) + 1.2), layout="constrained")
    if len(chance):
        axis.axvline(100 * chance.mean(), color=style.NEUTRAL, linestyle="--", linewidth=1.4)
    for row, name in enumerate(names):
        values = 100 * table.loc[table["row"] == name, "value"]
        colour = style.MODALITY_COLOURS[2] if name == "auxiliary" else style.MODALITY_COLOURS[0]
        panels.means(axis, values, row, color=colour, marker="s" if name == "auxiliary" else "o", **_MEAN)
        axis.scatter(values, np.full(len(values), row + 0.2), color=colour, s=10, alpha=0.5, linewidth=0)
    panels.name_rows(axis, names, xlim=(0, 100), xlabel="per cent of the gradient inside the true mask")
    dashed = "dashed: share of the area inside" if len(chance) else ""
    return style.caption(figure, caption, dashed, style.bars(table, "runs", "split", "seed"))


@drawing
def modality_distances(table: pd.DataFrame, caption: str) -> Figure:
    """Distances between sketches, photos and auxiliary images: of the same identity, and, hollow, of different ones.

    Args:
        table: a line a number and run: ``method``, ``seed``, ``name`` and ``value`` of the measure ``auxiliary``.
    """
    style.require(table, ["method", "seed", "name", "value"])
    is_different = table["name"].str.endswith(_DIFFERENT)
    table = table.assign(pair=table["name"].str.removesuffix(_DIFFERENT), different=is_different)
    table = style.require(table[table["pair"].str.contains("–") & table["value"].notna()])
    names, looks = table["pair"].drop_duplicates().tolist(), list(panels.side_by_side(table["method"], 0.15))
    figure, axis = plt.subplots(figsize=(7.8, 0.62 * len(names) + 1.3), layout="constrained")
    for method, offset, look in looks:
        for (pair, different), part in table[table["method"] == method].groupby(["pair", "different"]):
            fill = {"markerfacecolor": "white"} if different else {}
            panels.means(axis, part["value"], names.index(pair) + offset, **look, **_MEAN, **fill)
    panels.name_rows(axis, names, xlabel="cosine distance of test features, mean over identities")
    axis.set_xlim(left=0)
    style.legend(figure, {style.label(method): look for method, _, look in looks}, ncols=4)
    return style.caption(figure, caption, "hollow: different identities", style.bars(table, "runs", "split", "seed"))
