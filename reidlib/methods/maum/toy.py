"""The relay effect in three dimensions: points that move freely under the losses of MAUM, in place of a network's.

Ours; it reproduces no figure. The points lie on a sphere: longitude tells the identity, latitude the modality, of which
no negative knows anything. The losses are those of :class:`reidlib.methods.maum.model.MAUM`, in its default form,
margin and scale; the stages differ in their weights and in the length of the memory alone, as in an ablation.
"""

from collections.abc import Sequence
from typing import NamedTuple

import pandas as pd
import torch
from torch import Tensor
from torch.nn.functional import normalize

from reidlib.losses._common import check_one_of
from reidlib.methods.maum.model import MAUM, Proxies
from reidlib.networks.base import Outputs

# Stage → weights of the loss terms, and length of the memory. The shared term is a mean over both modalities, the
# others are sums over them: with weight 2 it pulls every point as hard as one set of proxies for each modality does.
STAGES: dict[str, tuple[dict[str, float], int]] = {
    "shared proxy": ({"shared": 2.0}, 0),
    "MS-proxies": ({"proxy": 1.0}, 0),
    "+ unidirectional": ({"proxy": 1.0, "unidirectional": 1.0}, 0),
    "+ memory": ({"proxy": 1.0, "unidirectional": 1.0}, 4),
}
IDENTITIES, IMAGES, GAP = 3, 6, 110.0
"""People, evenly spaced on the equator; images of each in each modality, at random around the same longitude; degrees
of latitude between the modalities at first."""


class Toy(NamedTuple):
    """What happened to the points of a stage.

    Attributes:
        points: where everything is at the steps shown: ``stage``, ``step``, ``kind`` (``"image"``, ``"proxy"``,
            ``"memory"``), ``pid``, ``modality`` (0, 1; −1: shared by both), ``age`` (0 the latest copy in the memory),
            ``longitude`` and ``latitude`` in degrees, and ``cosine``, of the two centres at that step.
        cosines: at every step, means over the identities: ``stage``, ``step``, ``between`` (of the centres of the two
            modalities), ``own`` (of the centres and the proxies that learn from them).
    """

    points: pd.DataFrame
    cosines: pd.DataFrame


def relay_toy(
    stage: str,
    *,
    steps: int = 200,
    shown: Sequence[int] = (0, 10, 50, 200),
    rate: float = 0.01,
    memory_interval: int = 20,
    form: str = "circle",
    seed: int = 0,
) -> Toy:
    """Move points and proxies down the gradient of a stage's loss, and keep them on the sphere.

    Args:
        stage: a key of ``STAGES``.
        steps: of gradient descent.
        shown: steps whose points are kept.
        rate: of descent, for the proxies; the loss is a mean over ``IDENTITIES · IMAGES`` points, and each has it
            ``IMAGES`` times as large, so that it moves about as fast as a proxy.
        memory_interval: steps from one copy of the proxies to the next.
        form: of the metric.
        seed: of the points and the proxies.

    Raises:
        ValueError: an unknown stage or form, or a step to show that there is not.
    """
    check_one_of("stage", stage, STAGES)
    if not shown or not all(0 <= step <= steps for step in shown):
        raise ValueError(f"shown must name steps from 0 to {steps}, not {tuple(shown)}")
    weights, memory_length = STAGES[stage]
    random = torch.Generator().manual_seed(seed)
    pids = torch.arange(IDENTITIES).repeat_interleave(IMAGES).repeat(2)
    modality = torch.arange(2).repeat_interleave(IDENTITIES * IMAGES)
    points = _around(pids, GAP * (0.5 - modality), 8.0, random).requires_grad_()
    with torch.random.fork_rng(devices=[]):  # the network inside is not used, but it takes its random numbers
        model = MAUM(
            IDENTITIES, "tiny", parts=True, stripes=1, part_width=3, form=form, memory_length=memory_length,
            memory_interval=memory_interval, memory_start_epoch=0, shared_proxies="shared" in weights,
        ).double()  # fmt: skip
    sets = _sets(model, shared="shared" in weights)
    everyone = torch.arange(IDENTITIES)
    for proxies in sets.values():
        proxies.weight.data = _around(everyone, torch.zeros(IDENTITIES), 10.0, random)
    moving = [points, *(proxies.weight for proxies in sets.values())]
    tables, cosines = [], []
    for step in range(steps + 1):
        between, own = _cosines(points.detach().unflatten(0, (2, IDENTITIES, IMAGES)), sets)
        cosines.append((stage, step, between, own))
        if step in shown:
            table = _where(points, pids, modality, sets, model.memory_filled)
            tables.append(table.assign(step=step, cosine=between))
        terms = model.losses(Outputs({"shared": points}, {"shared": points}, {}), pids, modality)
        loss = sum(weight * terms[name] for name, weight in weights.items())
        with torch.no_grad():
            for tensor, gradient in zip(moving, torch.autograd.grad(loss, moving), strict=True):
                factor = IMAGES if tensor is points else 1
                tensor.copy_(normalize(tensor - rate * factor * gradient))
    found = pd.concat(tables, ignore_index=True)
    found.insert(0, "stage", stage)
    return Toy(found, pd.DataFrame(cosines, columns=["stage", "step", "between", "own"]))


def _sets(model: MAUM, *, shared: bool) -> dict[int, Proxies]:
    """Modality, or −1 for both, → the proxies that learn from it."""
    return {-1: model.shared_proxies[0]} if shared else {m: model.proxies[m][0] for m in (0, 1)}


def _around(pids: Tensor, latitude: Tensor, spread: float, random: torch.Generator) -> Tensor:
    """Points (N, 3) near the longitude of their identity and a latitude, in degrees."""
    noise = spread * torch.randn(2, len(pids), generator=random, dtype=torch.float64)
    longitude, latitude = torch.deg2rad(360 / IDENTITIES * pids + noise[0]), torch.deg2rad(latitude + noise[1])
    flat = latitude.cos()
    return torch.stack([flat * longitude.cos(), flat * longitude.sin(), latitude.sin()], dim=1)


def _cosines(points: Tensor, sets: dict[int, Proxies]) -> tuple[float, float]:
    """Of the centres of the two modalities; of the centres and their own proxies. Points (2, C, K, 3)."""
    centres = normalize(points.mean(2), dim=2)
    proxies = normalize(torch.stack([sets[-1 if -1 in sets else m].weight.detach() for m in (0, 1)]), dim=2)
    return float((centres[0] * centres[1]).sum(1).mean()), float((centres * proxies).sum(2).mean())


def _where(points: Tensor, pids: Tensor, modality: Tensor, sets: dict[int, Proxies], filled: int) -> pd.DataFrame:
    def rows(kind: str, places: Tensor, who: Tensor, where: Tensor | int, age: int = 0) -> pd.DataFrame:
        x, y, z = normalize(places.detach(), dim=1).unbind(1)
        longitude = (torch.rad2deg(torch.atan2(y, x)) + 60) % 360 - 60  # identity 0 stays in one piece
        columns = {"longitude": longitude, "latitude": torch.rad2deg(torch.asin(z.clamp(-1, 1)))}
        return pd.DataFrame({"kind": kind, "pid": who, "modality": where, "age": age, **columns})

    everyone = torch.arange(IDENTITIES)
    tables = [rows("image", points, pids, modality)]
    for m, proxies in sets.items():
        tables.append(rows("proxy", proxies.weight, everyone, m))
        tables += [rows("memory", proxies.memory[age], everyone, m, age) for age in range(filled)]
    return pd.concat(tables, ignore_index=True)
