"""FIENet's modules: PFAM, which takes mid-level detail along, and MPIM, in which several perceptions interact.

Each is a residual whose last layer starts at zero, so that it changes nothing at first: a network with it starts as the
network without. In the first step of training only that layer has a gradient other than zero; the others follow.
Documented for non-local blocks (AGW, Ye et al., TPAMI 2021; DEEN, Zhang and Wang, CVPR 2023); here reconstructed.

Convolutions have no bias where a normalisation or a softmax after them would take it away again.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reidlib.losses._common import check_one_of

AGGREGATIONS = ("gated", "two_step", "one_shot")
INTERACTIONS = ("none", "gate", "attention")
DILATIONS = (1, 2, 3)


class GatedStep(nn.Module):
    """A step of PFAM: of a lower level, what a gate lets pass and what the higher level asks for.

    Documented (FIENet, abstract): mid-level features are aggregated progressively. Reconstructed (ours): all layers.
    With X the higher level and A the running aggregate below it, ``L = ReLU BN Conv3×3,stride 2 (A)``:

    * ``G = sigmoid Conv1×1 [L, X]``, how much detail to keep at each position and channel.
    * ``R = softmax(θ(X) φ(P)ᵀ / √d) g(P)``, a non-local block across the levels, P the 2×2 averages of L, d at most 64.
    * X becomes ``X + BN₀ Conv1×1 (G · L) + BN₀ Conv1×1 (R)``, BN₀ starting at zero.

    Args:
        low, high: channels of A and X.
    """

    def __init__(self, low: int, high: int):
        super().__init__()
        width = min(64, low)
        self.align = nn.Sequential(_conv(low, low, 3, stride=2, padding=1), nn.BatchNorm2d(low), nn.ReLU())
        self.gate = nn.Conv2d(low + high, low, 1)
        self.query, self.key, self.value = _conv(high, width), _conv(low, width), _conv(low, width)
        self.detail, self.answer = _into_residual(low, high), _into_residual(width, high)

    def forward(self, maps: Tensor, lower: Sequence[Tensor]) -> Tensor:
        """X (B, high, h, w) and the running aggregates below, the last of which is A (B, low, 2h, 2w) -> as X."""
        aligned = self.align(lower[-1])
        gate = self.gate(torch.cat([aligned, maps], dim=1)).sigmoid()
        pooled = F.avg_pool2d(aligned, 2, ceil_mode=True)
        answer = attend(self.query(maps), self.key(pooled), self.value(pooled))
        return maps + self.detail(gate * aligned) + self.answer(answer)


class TwoStep(nn.Module):
    """A step of PFAM in another reading: two non-local blocks across the levels, over channels and over positions.

    Documented as the aggregation block of DEEN (Zhang and Wang, "Diverse Embedding Expansion Network and
    Low-Light Cross-Modality Benchmark for Visible-Infrared Person Re-identification", CVPR 2023, and its released
    code): affinities divided by their number instead of a softmax. Reconstructed: its use in FIENet, and that it works
    on the same two pairs of levels as :class:`GatedStep` (DEEN's also on the stem and the first stage).

    Both blocks are ``X + BN₀ Conv1×1 (affinities · g(A))``. Without a softmax the products may be taken in either
    order: the block over positions multiplies keys and values first, so that no affinities of all positions with all
    positions exist.

    Args:
        low, high: channels of the running aggregate A below and of the higher level X.
    """

    def __init__(self, low: int, high: int):
        super().__init__()
        half = low // 2
        self.channel_query = _conv(high, low)
        self.channel_key, self.channel_value = _conv(low, low, stride=2), _conv(low, low, stride=2)
        self.channel_out = _into_residual(low, high)
        self.query, self.key, self.value = _conv(high, half), _conv(low, half), _conv(low, half)
        self.out = _into_residual(half, high)

    def forward(self, maps: Tensor, lower: Sequence[Tensor]) -> Tensor:
        """See :meth:`GatedStep.forward`."""
        below = lower[-1]
        across = self.channel_query(maps), self.channel_key(below), self.channel_value(below)
        with torch.autocast(maps.device.type, enabled=False):  # sums over positions leave the range of float16
            query, key, value = map(_flat, across)
            channels = (query @ key.transpose(1, 2) / key.shape[1] @ value).unflatten(2, maps.shape[2:])
        maps = maps + self.channel_out(channels)
        along = self.query(maps), self.key(below), self.value(below)
        with torch.autocast(maps.device.type, enabled=False):
            query, key, value = map(_flat, along)
            positions = (value @ key.transpose(1, 2) / key.shape[2] @ query).unflatten(2, maps.shape[2:])
        return maps + self.out(positions)


class OneShot(nn.Module):
    """What PFAM is compared with: all levels brought to one size, put together and mixed by a 1×1 convolution, once.

    Reconstructed (ours), for the ablation of "progressive": ``X₃ + BN₀ Conv1×1 [avg₄ X₁, avg₂ X₂, X₃]``.

    Args:
        channels: of the levels, the highest last.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        self.mix = _into_residual(sum(channels), channels[-1])

    def forward(self, maps: Tensor, lower: Sequence[Tensor]) -> Tensor:
        """The highest level and all those below, each twice the size of the next -> as the highest."""
        factors = (2**power for power in range(len(lower), 0, -1))
        levels = [F.avg_pool2d(level, n, ceil_mode=True) for level, n in zip(lower, factors, strict=True)]
        return maps + self.mix(torch.cat([*levels, maps], dim=1))


def aggregation_steps(aggregation: str, channels: Sequence[int]) -> nn.ModuleDict:
    """PFAM: the stage after which a module stands → the module, called with the maps and all levels below.

    Args:
        aggregation: one of ``AGGREGATIONS``.
        channels: of the maps of stages 0 to 4.

    Raises:
        ValueError: an unknown aggregation.
    """
    check_one_of("aggregation", aggregation, AGGREGATIONS)
    if aggregation == "one_shot":
        return nn.ModuleDict({"3": OneShot(channels[1:4])})
    step = {"gated": GatedStep, "two_step": TwoStep}[aggregation]
    return nn.ModuleDict({str(stage): step(channels[stage - 1], channels[stage]) for stage in (2, 3)})


class MPIM(nn.Module):
    """Perceptions (branches that see areas of different sizes) exchange what they see and are fused into the map.

    Documented (FIENet, abstract): diverse perceptions interact. Reconstructed (ours): all layers; perceptions as
    dilated convolutions follow DEEN. With Y the map and a perception i for each of ``DILATIONS``:

    * ``P_i = ReLU BN Conv3×3,dilation i (Y)``, of a quarter of the channels, up to a whole number in each head.
    * Interaction with the mean of the others, ``O_i = mean_{j≠i} P_j``. ``"attention"``: ``I_i = P_i + softmax(q(P_i)
      k(O_i)ᵀ / √d) v(O_i)``, four heads, projections shared by all. ``"gate"``: ``I_i = (1 - a_i) P_i + a_i O_i``,
      ``a = sigmoid Conv1×1 (Y)``, after the mixing gate of IFALNet's released code. ``"none"``: ``I_i = P_i``.
    * Selective fusion, for each channel: ``F = sum_i s_i I_i``, ``s = softmax_i W₂ ReLU W₁ mean_positions(sum_i I_i)``;
      documented as selective kernels (Li et al., CVPR 2019).
    * Y becomes ``Y + BN₀ Conv1×1 (F)``, BN₀ starting at zero.

    Args:
        channels: of Y.
        interaction: one of ``INTERACTIONS``.

    Raises:
        ValueError: an unknown interaction.
    """

    HEADS = 4

    def __init__(self, channels: int, *, interaction: str = "attention"):
        super().__init__()
        check_one_of("interaction", interaction, INTERACTIONS)
        number, width = len(DILATIONS), -(-channels // (4 * self.HEADS)) * self.HEADS
        self.interaction = interaction
        self.perceptions = nn.ModuleList(
            nn.Sequential(_conv(channels, width, 3, padding=rate, dilation=rate), nn.BatchNorm2d(width), nn.ReLU())
            for rate in DILATIONS
        )
        if interaction == "attention":
            self.query, self.key, self.value = (_conv(width, width) for _ in range(3))
        elif interaction == "gate":
            self.gates = nn.Conv2d(channels, number * width, 1)
        hidden = max(32, width // 4)  # fewer might all be silent behind their ReLU
        self.selection = nn.Sequential(
            nn.Linear(width, hidden), nn.ReLU(), nn.Linear(hidden, number * width), nn.Unflatten(1, (number, width))
        )
        self.out = _into_residual(width, channels)

    def forward(self, maps: Tensor) -> Tensor:
        """(B, channels, h, w) -> the same shape."""
        perceived = [perceive(maps) for perceive in self.perceptions]
        return maps + self.out(self._fuse(self._interact(perceived, maps)))

    def _interact(self, perceived: list[Tensor], maps: Tensor) -> list[Tensor]:
        if self.interaction == "none":
            return perceived
        total = sum(perceived)
        pairs = [(one, (total - one) / (len(perceived) - 1)) for one in perceived]
        if self.interaction == "gate":
            gates = self.gates(maps).sigmoid().chunk(len(pairs), dim=1)
            return [(1 - gate) * one + gate * others for (one, others), gate in zip(pairs, gates, strict=True)]
        return [
            one + attend(self.query(one), self.key(others), self.value(others), heads=self.HEADS)
            for one, others in pairs
        ]

    def _fuse(self, interacted: list[Tensor]) -> Tensor:
        shares = self.selection(sum(interacted).mean(dim=(2, 3))).softmax(dim=1)[..., None, None]
        return sum(share * one for share, one in zip(shares.unbind(dim=1), interacted, strict=True))


def attend(query: Tensor, key: Tensor, value: Tensor, *, heads: int = 1) -> Tensor:
    """Every position of ``query`` (B, C, h, w) gathers from those of ``key`` and ``value`` (B, C, h', w').

    ``softmax(q kᵀ / √(C / heads)) v`` in each head -> (B, C, h, w).
    """
    tokens = (maps.flatten(2).unflatten(1, (heads, -1)).transpose(2, 3) for maps in (query, key, value))
    gathered = F.scaled_dot_product_attention(*tokens)
    return gathered.transpose(2, 3).flatten(1, 2).unflatten(2, query.shape[2:])


def _flat(maps: Tensor) -> Tensor:
    """(B, C, h, w) -> (B, C, h · w), in float32 or better."""
    return maps.flatten(2).to(torch.promote_types(maps.dtype, torch.float32))


def _conv(entering: int, leaving: int, size: int = 1, **options: int) -> nn.Conv2d:
    return nn.Conv2d(entering, leaving, size, bias=False, **options)


def _into_residual(entering: int, leaving: int) -> nn.Sequential:
    """``BN₀ Conv1×1``: its scale and its shift start at zero."""
    normalisation = nn.BatchNorm2d(leaving)
    nn.init.zeros_(normalisation.weight)
    return nn.Sequential(_conv(entering, leaving), normalisation)
