"""Figures of FIENet: its parts, the maps on their way through it, losses on centres."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from reidlib.methods.fienet import METHOD
from reidlib.plots import panels, style
from reidlib.plots.diagrams import HEAD, LOSS, SHARED, arrow, boxes_and_arrows, head, note, pairs
from reidlib.plots.drawing import drawing

_KINDS = {"stem": "#7F7F7F", "stage": SHARED, "PFAM": "#CC79A7", "MPIM": "#E69F00", "head": "#4D4D4D"}


@drawing
def fienet_diagram(center_after_neck: bool = True) -> Figure:
    """The trunk of the baseline, PFAM after stages 2 and 3, MPIM after stage 3, IGCL before or after the neck."""
    centred, x = ("neck", 11.0) if center_after_neck else ("pool", 9.3)
    boxes = {
        **pairs("stem", 0.8, (2.1, 1.1)),
        **{f"stage {n}": (f"stage {n}", x, 1.6, SHARED) for n, x in enumerate((2.5, 4.2, 5.9, 7.6), start=1)},
        "PFAM 2": ("PFAM 2", 4.2, 2.9, _KINDS["PFAM"]),
        "PFAM 3": ("PFAM 3", 5.9, 2.9, _KINDS["PFAM"]),
        "MPIM": ("MPIM", 7.6, 2.9, _KINDS["MPIM"]),
        **head(9.3, 1.6, step=1.7, above=2.9, below=0.45),
        "IGCL": ("IGCL: centres\nof identities", x, 0.45, METHOD.colour),
    }
    if not center_after_neck:
        boxes["triplet"] = ("triplet loss", 9.3, 2.9, LOSS)
    arrows = [
        ("visible stem", "stage 1", "stage 2", "PFAM 2", "stage 3", "PFAM 3", "MPIM", "stage 4", "pool"),
        ("infrared stem", "stage 1", "PFAM 2", "PFAM 3"), (centred, "IGCL"), *HEAD,
    ]  # fmt: skip
    figure = boxes_and_arrows(boxes, arrows, (13.5, 3.4), width=1.32)
    text = "PFAM and MPIM add to the map what begins as zero:\nat step 0 this is the baseline"
    note(figure, text, 5.9, 0.55, fontsize=9)
    return figure


@drawing
def pfam_cell() -> Figure:
    """Inside a step of PFAM: the gate above, the block across the levels below, both added to the higher level."""
    low, high, colour = "#7F7F7F", SHARED, _KINDS["PFAM"]
    boxes = {
        "A": ("A, lower level\nlow × 2h × 2w", 1.0, 3.7, low),
        "X": ("X, higher level\nhigh × h × w", 1.0, 0.5, high),
        "L": ("L: 3×3, stride 2\nlow × h × w", 3.2, 3.7, low),
        "G": ("G = σ(1×1 [L, X])\nhow much to keep", 5.4, 2.75, colour),
        "P": ("P: mean of 2×2\nlow × h/2 × w/2", 3.2, 2.4, low),
        "gated": ("G ⊙ L", 7.6, 3.7, colour),
        "R": ("R: each place of X\nasks all of P", 7.6, 1.5, colour),
        "detail": ("BN₀ 1×1\nstarts at zero", 9.8, 3.7, colour),
        "answer": ("BN₀ 1×1\nstarts at zero", 9.8, 1.5, colour),
        "sum": ("A′ = X + both\nhigh × h × w", 11.9, 0.5, high),
    }
    arrows = [("A", "L", "P"), ("L", "gated", "detail"), ("P", "R", "answer"), ("X", "sum")]
    figure = boxes_and_arrows(boxes, arrows, (12.9, 4.3), width=1.72)
    for start, end in (((4.09, 3.5), (4.8, 3.09)), ((6.29, 2.9), (7.2, 3.36))):
        arrow(figure, start, end)
    for end in ((5.0, 2.41), (6.7, 1.4)):
        arrow(figure, (1.89, 0.6), end, color=high)
    arrow(figure, (10.69, 3.7), (12.1, 0.84))
    arrow(figure, (10.69, 1.5), (11.5, 0.84))
    note(figure, "detail that the gate lets pass", 8.7, 3.2)
    note(figure, "what X asks of the lower level", 8.7, 1.0)
    return figure


@drawing
def mpim_branches(dilations: tuple[int, ...] = (1, 2, 3)) -> Figure:
    """MPIM with its three perceptions: the places that each sees, whom it asks, and how all are put together.

    The dots in front of a branch are the nine places that its 3×3 convolution looks at around one cell.
    """
    colour, ys = _KINDS["MPIM"], (3.5, 2.1, 0.7)
    boxes = {"Y": ("Y\nC × h × w", 0.85, 2.1, SHARED)}
    for rate, y in zip(dilations, ys, strict=True):
        boxes[f"P{rate}"] = (f"P{rate}: 3×3,\ndilation {rate}", 4.1, y, colour)
        boxes[f"I{rate}"] = (f"I{rate}: asks the mean\nof the other two", 6.6, y, colour)
    boxes["fused"] = ("Σ sᵢ ⊙ Iᵢ\nshares add up to 1", 9.0, 2.1, colour)
    boxes["sum"] = ("Y + BN₀ 1×1\nstarts as Y", 11.2, 2.1, SHARED)
    arrows = [(f"P{rate}", f"I{rate}", "fused") for rate in dilations]
    figure = boxes_and_arrows(boxes, [*arrows, ("fused", "sum")], (12.2, 4.3), width=1.66)
    axis = figure.axes[0]
    for rate, y in zip(dilations, ys, strict=True):
        step = 0.13
        cells = [(2.45 + step * column, y + step * row) for column in range(-3, 4) for row in range(-3, 4)]
        axis.plot(*np.transpose(cells), "s", markersize=5.5, color="#E4E4E4", linestyle="", zorder=1)
        seen = [(2.45 + step * rate * i, y + step * rate * j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
        axis.plot(*np.transpose(seen), "s", markersize=5.5, color=colour, linestyle="", zorder=2)
        arrow(figure, (1.7, 2.1), (1.97, y))
        arrow(figure, (2.93, y), (3.25, y))
    for start, end in ((0, 1), (1, 0), (1, 2), (2, 1), (0, 2), (2, 0)):
        look = {"color": colour, "linewidth": 0.9, "linestyle": (0, (3, 2))}
        arrow(figure, (4.93, ys[start]), (5.76, ys[end]), **look)
    note(figure, "dashed: the answer comes from the other perceptions", 5.6, 0.13)
    return figure


@drawing
def map_sizes(table: pd.DataFrame, caption: str) -> Figure:
    """Every map on its way through networks, one a row: heights of the blocks are those of the maps.

    ``table``: of `reidlib.methods.fienet.explain.map_sizes`, one network below the other, with a column ``network``. A
    block is as wide as the channels are many, in steps of a factor of two. Below its name stand the module's
    parameters.
    """
    style.require(table, ["network", "module", "kind", "channels", "height", "width", "parameters"])
    networks, modules = (table[name].drop_duplicates().tolist() for name in ("network", "module"))
    size = 1.06 * len(modules) + 0.9, 2.05 * len(networks) + 0.4
    figure, axes = panels.images(len(networks), 1, size, dpi=85)
    for axis, network in zip(axes[:, 0], networks, strict=True):
        part = table[table["network"] == network]
        for row in part.itertuples():
            place, tall = modules.index(row.module), max(row.height / part["height"].max(), 0.04)
            wide, colour = 0.07 * np.log2(max(row.channels, 2)), _KINDS[row.kind]
            block = Rectangle((place - wide / 2, 0), wide, tall, facecolor=colour + "55", edgecolor=colour)
            axis.add_patch(block)
            maps = f"{row.channels}\n{row.height}×{row.width}" if row.height > 1 else f"{row.channels}"
            axis.text(place, tall + 0.05, maps, ha="center", va="bottom", fontsize=8.5)
            number = row.parameters
            number = f"{number / 1e6:.2f} M" if number >= 1e6 else f"{number / 1e3:.0f} k" if number > 999 else number
            axis.text(place, -0.08, f"{row.module}\n{number}", ha="center", va="top", fontsize=8.5, color=colour)
        axis.set(xlim=(-0.7, len(modules) - 0.4), ylim=(-0.42, 1.38))
        axis.set_ylabel(network, fontsize=10)
    return style.caption(figure, caption, "above: channels, height × width", "below: parameters")


@drawing
def center_losses(table: pd.DataFrame, caption: str) -> Figure:
    """The same points under several losses on centres, a panel each; arrows lead where the loss sends the points.

    ``table``: of `reidlib.methods.fienet.explain.center_toy`. In each panel the longest arrow has the same length.
    """
    style.require(table, ["loss", "value", "kind", "pid", "modality", "x", "y", "dx", "dy"])
    losses = table["loss"].drop_duplicates().tolist()
    across = min(3, len(losses))
    down = -(-len(losses) // across)
    size = 3.5 * across + 0.3, 2.25 * down + 0.7
    figure, axes = panels.grid(down, across, size, len(losses), dpi=85, sharex=True, sharey=True)
    for axis, loss in zip(axes.flat, losses, strict=False):
        part = table[table["loss"] == loss]
        images, centres = part[part["kind"] == "image"], part[part["kind"] == "centre"]
        turn = np.linspace(0, np.pi, 90)
        axis.plot(np.cos(turn), np.sin(turn), color=style.NEUTRAL, linewidth=0.7, linestyle=":", zorder=1)
        for m in (0, 1):
            colour, marker = style.MODALITY_COLOURS[m], style.MODALITY_MARKERS[m]
            of = images[images["modality"] == m]
            axis.plot(of["x"], of["y"], marker, color=colour, markersize=5, alpha=0.6, linestyle="", zorder=3)
            of = centres[centres["modality"] == m]
            axis.plot(of["x"], of["y"], marker, markersize=9, markerfacecolor="none", markeredgecolor=colour,
                      linestyle="", zorder=2)  # fmt: skip
        arrows = images[["dx", "dy"]].to_numpy(float)
        lengths = np.linalg.norm(arrows, axis=1)
        moved = lengths > 1e-9
        if moved.any():
            shown = 0.4 * arrows[moved] / lengths.max()
            axis.quiver(images["x"][moved], images["y"][moved], *shown.T, angles="xy", scale_units="xy", scale=1,
                        width=0.006, color="#333333", zorder=4)  # fmt: skip
        for pid, of in images.groupby("pid"):
            middle = of[["x", "y"]].mean()
            where = middle + 0.7 * middle / np.linalg.norm(middle)
            axis.text(*where, f"id {pid + 1}", ha="center", va="center", fontsize=8, color=style.NEUTRAL)
        axis.set_title(f"{loss}: loss {part['value'].iloc[0]:.2f}", fontsize=10)
        axis.set_aspect("equal")
        axis.grid(False)
    axes[0, 0].set(xlim=(-2.0, 1.6), ylim=(-0.2, 1.95), xticks=[-1, 0, 1], yticks=[0, 1])
    style.modality_legend(figure, ("visible", "infrared"))
    return style.caption(figure, caption, "large and hollow: centres of a modality", "dotted: unit circle",
                  "arrows: minus the gradient, the longest of each panel equally long")  # fmt: skip
