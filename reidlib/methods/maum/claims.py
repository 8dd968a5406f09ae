"""Claims of MAUM, in parts."""

from reidlib.experiments.claims import Claim
from reidlib.experiments.part import Control, Instrument, Part, Runs, Term, gain, minus, ranking
from reidlib.methods import reference

BASELINE = reference().name
GAP, CENTRES = "relay gap", "visible–infrared centres"
LADDER, COMPARISON = Runs("maum-ladder", profile="screen"), Runs("maum-comparison")

COSINES = Instrument(
    "cosines of centres and proxies of training identities",
    Control(
        "proxies that nothing pulls across (MS-proxies) leave a gap that is larger by 0.1 at least",
        minus("MS-proxies", "shared proxies", GAP),
        0.1,
        2,
    ),
    Control(
        "centres of different people have a cosine of about 0",
        (Term(1, "+ memory", f"{CENTRES}, different people"),),
        -0.15,
        0.15,
    ),
)


def _lost(method: str, sign: int, of: str) -> tuple[Term, ...]:
    """Mean over the settings of the per cent of its own full score that a method keeps, times ``sign``."""
    settings = [f"{method}, {modality} {share}" for modality in ("visible", "infrared") for share in of]
    return tuple(Term(sign * 100 / len(settings), each, share_of=f"{method}, all") for each in settings)


SCARCE = _lost(BASELINE, 1, ("1/2", "1/4", "1/8")) + _lost("MAUM-G", -1, ("1/2", "1/4", "1/8"))
IMBALANCE = {"images": "maum-imbalance", "identities": "maum-imbalance-identities"}

CLAIMS = (
    Claim(
        "M0",
        "MAUM",
        "The whole method is ahead of the baseline.",
        (
            gain(
                "M0a",
                "MAUM-G is ahead of the baseline at equal budget",
                minus("MAUM-G", BASELINE),
                COMPARISON,
                BASELINE,
            ),
            gain(
                "M0b",
                "MAUM-G is ahead of the baseline at equal time",
                minus("MAUM-G", f"{BASELINE}, trained longer"),
                COMPARISON,
                BASELINE,
                equal="time",
            ),
            gain(
                "M0c",
                "MAUM-G is ahead of shared proxies, which have the form of its loss without its idea",
                minus("MAUM-G", "shared proxies"),
                COMPARISON,
                BASELINE,
            ),
            gain(
                "M0d",
                "trained three times as long (screen), MAUM-G is ahead of the baseline",
                minus("+ memory", BASELINE),
                LADDER,
                BASELINE,
            ),
            gain(
                "M0e",
                "trained three times as long (screen), MAUM-G is ahead of shared proxies",
                minus("+ memory", "shared proxies"),
                LADDER,
                BASELINE,
            ),
        ),
        is_comparison=True,
    ),
    Claim(
        "M1",
        "MAUM",
        "One proxy for both modalities is a relay: each comes near it, and a gap between them stays. MAUM closes it.",
        (
            Part(
                "M1a",
                "the gap is smaller than with shared proxies of the same loss",
                "relay",
                minus("+ memory", "shared proxies", GAP),
                "of cosine",
                "less",
                0.02,
                LADDER,
                COSINES,
            ),
        ),
    ),
    Claim(
        "M2",
        "MAUM",
        "Unidirectional metrics, and then the memory, each improve the association across modalities.",
        (
            gain(
                "M2a",
                "the pull: unidirectional metrics gain on MS-proxies",
                minus("+ unidirectional", "MS-proxies"),
                LADDER,
                "+ memory",
            ),
            gain(
                "M2b",
                "the memory gains on unidirectional metrics",
                minus("+ memory", "+ unidirectional"),
                LADDER,
                "+ memory",
            ),
        ),
    ),
    Claim(
        "M3",
        "MAUM",
        "MAUM is sturdier where the modalities are unequal.",
        tuple(
            Part(
                f"M3{letter}",
                f"MAUM loses less than the baseline where one modality keeps 1/2, 1/4, 1/8 of its {of}",
                "mAP",
                SCARCE,
                "per cent of the full mAP",
                "less",
                3.0,
                Runs(study, profile="screen"),
                ranking(f"{BASELINE}, all"),
                called="loss of MAUM − loss of the baseline, mean of six settings",
            )
            for letter, (of, study) in zip("ab", IMBALANCE.items(), strict=True)
        ),
    ),
)
