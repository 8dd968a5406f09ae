"""Claims of FIENet, in parts."""

from reidlib.experiments.claims import Claim
from reidlib.experiments.part import Control, Instrument, Part, Runs, Term, gain, minus, within
from reidlib.methods import reference

BASELINE = reference().name
BOTH = "+ PFAM + MPIM"
LADDER, COMPARISON = Runs("fienet-ladder", profile="screen"), Runs("fienet-comparison")


def _maps(kind: str, modality: str) -> Instrument:
    own = f"energy, {kind}, {modality}"
    return Instrument(
        f"{kind} maps against true masks",
        Control(
            "maps of the baseline lie on the person by 0.02 more than a uniform map",
            within(BASELINE, own, f"energy, uniform, {modality}"),
            0.02,
            1,
        ),
        Control(
            "maps speak of their own image: those of another image lie on the person by 0.01 less",
            within(BASELINE, own, f"energy, {kind} of another image, {modality}"),
            0.01,
            1,
        ),
    )


def _focus(letter: str, kind: str, modality: str) -> Part:
    return Part(
        f"F1{letter}",
        f"by {kind}, in {modality} images, more of the map lies on the person than of the baseline's",
        "attention",
        minus(BOTH, BASELINE, f"energy, {kind}, {modality}"),
        "of the energy",
        "more",
        0.01,
        Runs("fienet-attention"),
        _maps(kind, modality),
    )


CLAIMS = (
    Claim(
        "F0",
        "FIENet",
        "The whole method is ahead of the baseline.",
        (
            gain(
                "F0a",
                "FIENet is ahead of the baseline at equal budget",
                minus("FIENet", BASELINE),
                COMPARISON,
                BASELINE,
            ),
            gain(
                "F0b",
                "FIENet is ahead of the baseline at equal time",
                minus("FIENet", f"{BASELINE}, trained longer"),
                COMPARISON,
                BASELINE,
                equal="time",
            ),
            gain(
                "F0c",
                "trained three times as long (screen), FIENet is ahead of the baseline",
                minus("FIENet", BASELINE),
                LADDER,
                BASELINE,
            ),
        ),
        is_comparison=True,
    ),
    Claim(
        "F1",
        "FIENet",
        "PFAM and MPIM draw attention to telling parts of the body, in both modalities.",
        (
            _focus("a", "occlusion", "visible"),
            _focus("b", "occlusion", "infrared"),
            _focus("c", "centred Grad-CAM", "visible"),
            _focus("d", "centred Grad-CAM", "infrared"),
        ),
    ),
    Claim(
        "F2",
        "FIENet",
        "PFAM, MPIM and IGCL each help, and PFAM and MPIM help each other.",
        (
            gain("F2a", "PFAM gains on the baseline", minus("+ PFAM", BASELINE), LADDER, BASELINE),
            gain("F2b", "MPIM gains on the baseline", minus("+ MPIM", BASELINE), LADDER, BASELINE),
            gain("F2c", "IGCL gains on the baseline", minus("+ IGCL", BASELINE), LADDER, BASELINE),
            gain(
                "F2d",
                "PFAM and MPIM together gain on the mean of each alone",
                (Term(1, BOTH), Term(-0.5, "+ PFAM"), Term(-0.5, "+ MPIM")),
                LADDER,
                BASELINE,
            ),
        ),
    ),
)
