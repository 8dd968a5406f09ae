"""Claims of IDKL, in parts."""

from reidlib.experiments.claims import Claim
from reidlib.experiments.part import Control, Instrument, Part, Runs, Term, gain, minus, within
from reidlib.methods import reference

BASELINE = reference().name
WITHOUT, WITH = "+ IP", "+ MDR"  # distillation, in the ladder
LADDER, COMPARISON = Runs("idkl-ladder", profile="screen"), Runs("idkl-comparison")
ALONE, PEOPLE, CAMERAS = "factors of one modality", "identity within a modality", "identity across cameras"

PROBES = Instrument(
    "linear probes of test images",
    Control(
        "identity is read from shared features above chance, by 0.1 at least",
        within(WITHOUT, f"shared: {CAMERAS}", f"chance: {CAMERAS}"),
        0.1,
        1,
    ),
    Control("shuffled labels are not read", (Term(1, WITHOUT, f"shared, shuffled: {ALONE}"),), -1, 0.1),
)


def _modality(number: str, unit: str, smallest: float, letter: str, ceiling: float) -> Part:
    """The modality is off: a number that says how far apart the modalities lie, behind and before the purifier."""
    before, after = f"specific: {number}", f"purified: {number}"
    return Part(
        f"I2{letter}",
        f"the modality is off, by {number}",
        "modality",
        within(WITHOUT, after, before),
        unit,
        "less",
        smallest,
        LADDER,
        Instrument(
            number,
            Control(
                "a shift put between the modalities is seen",
                within(WITHOUT, f"shifted: {number}", f"shuffled: {number}"),
                smallest,
                100,
            ),
            Control(
                "it is not at its ceiling before and behind the purifier",
                (Term(0.5, WITHOUT, before), Term(0.5, WITHOUT, after)),
                -1,
                ceiling,
            ),
        ),
    )


def _read(name: str, statement: str, terms: tuple[Term, ...], smallest: float, direction: str = "more") -> Part:
    """A part about what probes read."""
    return Part(name, statement, "knowledge", terms, "of the score", direction, smallest, LADDER, PROBES)


CLAIMS = (
    Claim(
        "I0",
        "IDKL",
        "The whole method is ahead of the baseline.",
        (
            gain(
                "I0a",
                "IDKL is ahead of the baseline at equal budget",
                minus("IDKL", BASELINE),
                COMPARISON,
                BASELINE,
            ),
            gain(
                "I0b",
                "IDKL is ahead of the baseline at equal time",
                minus("IDKL", f"{BASELINE}, trained longer"),
                COMPARISON,
                BASELINE,
                equal="time",
            ),
            gain(
                "I0c",
                "IDKL is ahead of a baseline with as many parameters",
                minus("IDKL", f"{BASELINE}, as many parameters"),
                COMPARISON,
                BASELINE,
                equal="parameters",
            ),
            gain(
                "I0d",
                "IDKL is ahead of its own layers and losses with the shared stream alone",
                minus("IDKL", "B"),
                COMPARISON,
                "B",
            ),
            gain(
                "I0e",
                "IDKL is ahead of a baseline with one stem, which it has itself",
                minus("IDKL", f"{BASELINE}, one stem"),
                COMPARISON,
                BASELINE,
            ),
            gain(
                "I0f",
                "trained three times as long (screen), IDKL is ahead of the baseline",
                minus(WITH, BASELINE),
                LADDER,
                BASELINE,
            ),
            gain(
                "I0g",
                "trained three times as long (screen), IDKL is ahead of its own layers and losses of one stream",
                minus(WITH, "B"),
                LADDER,
                "B",
            ),
        ),
        is_comparison=True,
    ),
    Claim(
        "I1",
        "IDKL",
        "Features specific to a modality hold knowledge of identity that shared ones lack.",
        (
            _read(
                "I1a",
                "what one modality alone shows is read better from specific than from shared features",
                within(WITHOUT, f"specific: {ALONE}", f"shared: {ALONE}"),
                0.03,
            ),
            _read(
                "I1b",
                "identity within a modality is read better from both together than from shared features",
                within(WITHOUT, f"shared + specific: {PEOPLE}", f"shared: {PEOPLE}"),
                0.02,
            ),
        ),
    ),
    Claim(
        "I2",
        "IDKL",
        "The purifier takes the modality off specific features and leaves identity.",
        (
            _modality("neighbours of the same modality", "of the neighbours", 0.05, "a", 0.97),
            _modality("distance of the modalities", "of the distance of people", 0.1, "b", 20),
            _modality("modality on few dimensions", "of the accuracy", 0.03, "c", 0.98),
            _read(
                "I2d",
                "identity is left",
                within(WITHOUT, f"purified: {CAMERAS}", f"specific: {CAMERAS}"),
                0.02,
                "kept",
            ),
        ),
    ),
    Claim(
        "I3",
        "IDKL",
        "TGSA, CSA and MDR move this knowledge into the shared feature.",
        (
            _read(
                "I3a",
                "what one modality alone shows is read better from the shared feature with distillation",
                minus(WITH, WITHOUT, f"shared: {ALONE}"),
                0.03,
            ),
            _read(
                "I3b",
                "identity within a modality is read better from the shared feature with distillation",
                minus(WITH, WITHOUT, f"shared: {PEOPLE}"),
                0.02,
            ),
        ),
    ),
)
