"""The same losses as loops: slow, one line per line of the equation. Test oracles and lesson material."""

import torch
import torch.nn.functional as F
from torch import Tensor

from reidlib.losses.reference import distance, mean

Graph = list[list[Tensor]]


def tgsa(
    shared: Tensor, specific: Tensor, pids: Tensor, modality: Tensor, *, preset: str = "paper"
) -> dict[str, Tensor]:
    """See :func:`reidlib.methods.idkl.losses.tgsa`."""
    if preset == "released":
        return _released_tgsa(shared, specific, modality)
    both = [p for p in _known(pids) if _of(pids, modality, p, 0) and _of(pids, modality, p, 1)]
    visible, infrared = ([_of(pids, modality, p, m) for p in both] for m in (0, 1))
    intra = _triplet_of_graphs(shared, visible, shared, infrared)
    distil = 0
    for m in (0, 1):
        rows = [_of(pids, modality, p, m) for p in _known(pids) if _of(pids, modality, p, m)]
        distil = distil + _triplet_of_graphs(specific, rows, shared, rows)
    return {"intra": intra, "distil": distil}


def csa(
    shared_logits: Tensor, specific_logits: Tensor, pids: Tensor, modality: Tensor, *, preset: str = "paper"
) -> dict[str, Tensor]:
    """See :func:`reidlib.methods.idkl.losses.csa`."""
    z, y = shared_logits, specific_logits
    if preset == "released":
        return _released_csa(z, y, pids, modality)
    terms = {name: [] for name in ("sample_intra", "class_intra")}
    distil = {(kind, m): [] for kind in ("sample", "class") for m in (0, 1)}
    for p in _known(pids):
        visible, infrared = _of(pids, modality, p, 0), _of(pids, modality, p, 1)
        terms["sample_intra"] += [_skl(z[i], z[j]) for i in visible for j in infrared]
        if visible and infrared:
            terms["class_intra"].append(_skl(_centre(z, visible), _centre(z, infrared)))
        for m, rows in enumerate((visible, infrared)):
            distil["sample", m] += [_skl(z[i], y[i]) for i in rows]
            if rows:
                distil["class", m].append(_skl(_centre(z, rows), _centre(y, rows)))
    means = {name: mean(values, z) for name, values in terms.items()}
    for kind in ("sample", "class"):
        means[f"{kind}_distil"] = mean(distil[kind, 0], z) + mean(distil[kind, 1], z)
    return means


def purifier(
    raw: Tensor,
    gated: Tensor,
    raw_normed: Tensor,
    gated_normed: Tensor,
    classifier,
    pids: Tensor,
    modality: Tensor,
    *,
    margin: float = 0.0,
) -> dict[str, Tensor]:
    """See :func:`reidlib.methods.idkl.losses.purifier`."""
    entropy, centroid = [], []
    for before, after in zip(raw, gated, strict=True):
        difference = _entropy(classifier(after)) - _entropy(classifier(before))
        entropy.append(torch.exp(F.relu(difference + margin)) - 1)
    for p in _known(pids):
        visible, infrared = _of(pids, modality, p, 0), _of(pids, modality, p, 1)
        if visible and infrared:
            before, after = (
                torch.linalg.vector_norm(_centre(x, visible) - _centre(x, infrared)) for x in (raw_normed, gated_normed)
            )
            centroid.append(F.relu(after - before + margin))
    return {"entropy": mean(entropy, raw), "centroid": mean(centroid, raw_normed)}


def confusion_labels(modality: Tensor) -> Tensor:
    """See :func:`reidlib.methods.idkl.losses.confusion_labels`."""
    seen, labels = [0, 0], []
    for m in modality.tolist():
        labels.append(m if seen[m] % 2 == 0 else 1 - m)
        seen[m] += 1
    return torch.tensor(labels)


def _released_tgsa(shared: Tensor, specific: Tensor, modality: Tensor) -> dict[str, Tensor]:
    f_visible, f_infrared = shared[modality == 0], shared[modality == 1]
    half = len(f_visible) // 2
    visible, infrared = _without_diagonal(f_visible), _without_diagonal(f_infrared)
    intra = _skl_of_rows(visible, infrared)
    if len(shared) == 120:
        block = _without_diagonal([*f_visible[:half], *f_infrared[:half]])
        intra = intra + _skl_of_rows(visible, block) + _skl_of_rows(block, infrared)
    distil = 0
    for graph, m in ((visible, 0), (infrared, 1)):
        distil = distil + _skl_of_rows(graph, _without_diagonal(specific[modality == m]))
    return {"intra": intra, "distil": distil}


def _released_csa(z: Tensor, y: Tensor, pids: Tensor, modality: Tensor) -> dict[str, Tensor]:
    size = pids.tolist().count(pids[0].item()) // 2
    rows = {"z_V": z[modality == 0], "z_I": z[modality == 1], "y_V": y[modality == 0], "y_I": y[modality == 1]}
    chunked = {name: _side_by_side(values, size) for name, values in rows.items()}
    terms = {}
    for kind, x in (("sample", rows), ("class", chunked)):
        terms[f"{kind}_intra"] = _skl_of_rows(x["z_V"], x["z_I"])
        terms[f"{kind}_distil"] = _skl_of_rows(x["z_V"], x["y_V"]) + _skl_of_rows(x["z_I"], x["y_I"])
    return terms


def _triplet_of_graphs(a: Tensor, rows_a: list[list[int]], b: Tensor, rows_b: list[list[int]]) -> Tensor:
    if not rows_a:
        return 0 * a.sum() + 0 * b.sum()
    aa, bb, ab = _affinity(a, rows_a, a, rows_a), _affinity(b, rows_b, b, rows_b), _affinity(a, rows_a, b, rows_b)
    return _skl_of_rows(aa, bb) + _skl_of_rows(aa, ab) + _skl_of_rows(bb, ab)


def _affinity(a: Tensor, rows_a: list[list[int]], b: Tensor, rows_b: list[list[int]]) -> Graph:
    """Mean distance between the rows of one identity and those of another, for all pairs of identities."""
    return [
        [torch.stack([distance(a[i], b[j]) for i in of_p for j in of_q]).mean() for of_q in rows_b] for of_p in rows_a
    ]


def _without_diagonal(rows: Tensor | list[Tensor]) -> Graph:
    return [[distance(x, y).clamp(min=1e-3) for j, y in enumerate(rows) if i != j] for i, x in enumerate(rows)]


def _side_by_side(rows: Tensor, size: int) -> list[Tensor]:
    """Row r of the result: row r of each chunk of ``size`` rows, one after another."""
    return [torch.cat([rows[start + r] for start in range(0, len(rows), size)]) for r in range(size)]


def _skl_of_rows(a: Tensor | Graph, b: Tensor | Graph) -> Tensor:
    pairs = zip(a, b, strict=True)
    return torch.stack([_skl(*(x if isinstance(x, Tensor) else torch.stack(x) for x in pair)) for pair in pairs]).mean()


def _skl(a: Tensor, b: Tensor) -> Tensor:
    p, q = a.softmax(dim=0), b.softmax(dim=0)
    log_p, log_q = a.log_softmax(dim=0), b.log_softmax(dim=0)
    return (p * (log_p - log_q)).sum() + (q * (log_q - log_p)).sum()


def _entropy(logits: Tensor) -> Tensor:
    return -(logits.softmax(dim=0) * logits.log_softmax(dim=0)).sum()


def _centre(rows: Tensor, chosen: list[int]) -> Tensor:
    return torch.stack([rows[i] for i in chosen]).mean(dim=0)


def _known(pids: Tensor) -> list[int]:
    return sorted(set(pids.tolist()))


def _of(pids: Tensor, modality: Tensor, pid: int, m: int) -> list[int]:
    """The rows of modality m that show an identity."""
    return [i for i in range(len(pids)) if pids[i] == pid and modality[i] == m]
