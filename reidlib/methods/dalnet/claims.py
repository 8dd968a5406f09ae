"""Claims of DALNet, in parts."""

from reidlib.experiments.claims import Claim
from reidlib.experiments.part import Control, Instrument, Part, Runs, Term, gain, minus, within
from reidlib.methods import reference

BASELINE, LONGER = reference().name, f"{reference().name}, trained longer"
SPLITS = Runs("dalnet-comparison", "pku-sketch", seeds=1, splits=10)
FACES = {"shoe": "shoes", "chair": "chairs", "cufsf": "faces"}
INSIDE = "gradient inside, "

GRADIENTS = Instrument(
    "share of the image's gradient on the true mask",
    Control(
        "more of a photo's gradient lies on the person than an equal gradient everywhere has, by 0.05",
        within("DALNet", f"{INSIDE}photo", f"{INSIDE}chance"),
        0.05,
        1,
    ),
    Control(
        "the person is not all there is: 0.9 of the gradient at most", (Term(1, "DALNet", f"{INSIDE}photo"),), 0, 0.9
    ),
)
DISTANCES = Instrument(
    "cosine distances of test features",
    Control(
        "different identities lie further apart than photo and sketch of one, by 0.1",
        within("DALNet", "sketch–photo, different identities", "sketch–photo"),
        0.1,
        2,
    ),
    Control(
        "sketches are as far from strangers' auxiliary images as from strangers' photos, within 0.05",
        within("DALNet", "sketch–auxiliary, different identities", "sketch–photo, different identities"),
        -0.05,
        0.05,
    ),
)


def _ahead(name: str, theirs: str, runs: Runs, *, metric: str = "mAP", where: str, smallest: float = 3.0) -> Part:
    at = "equal time" if theirs == LONGER else "equal budget"
    rival = "a baseline with the batch-hard triplet" if theirs.endswith("triplet") else "the baseline"
    statement = f"DALNet is ahead of {rival} at {at}, on {where}"
    terms, equal = minus("DALNet", theirs), "time" if theirs == LONGER else "budget"
    return gain(name, statement, terms, runs, BASELINE, metric=metric, smallest=smallest, equal=equal)


def _drawn(name: str, statement: str, terms: tuple[Term, ...], unit: str, called: str = "") -> Part:
    """A part about auxiliary images, of ten splits: what matters is a twentieth of the whole."""
    instrument = GRADIENTS if unit == "of the gradient" else DISTANCES
    return Part(name, statement, "auxiliary", terms, unit, "more", 0.05, SPLITS, instrument, called=called)


def _of_circle(share: str, sign: int) -> tuple[Term, ...]:
    """What circle loss gains on triplet loss with a share of the sketches."""
    return Term(sign, f"circle, {share} of the sketches"), Term(-sign, f"triplet, {share} of the sketches")


MARKET = Runs("dalnet-comparison", "market-sketch-1k")
DRAWINGS = Runs("dalnet-drawings", "pku-sketch", seeds=1, splits=10)
CHEAPER = {  # is *learning* to draw needed?
    "DALNet, fixed XDoG": "itself with the drawings of a fixed filter",
    f"{BASELINE}, edges of photos": "a baseline that sees such drawings in the place of half the photos",
    f"{BASELINE}, grey photos": "a baseline that sees half the photos in grey",
}
CLAIMS = (
    Claim(
        "D0",
        "DALNet",
        "The whole method is ahead of the baseline, and of cheaper drawings.",
        (
            _ahead("D0a", BASELINE, SPLITS, where="PKU-Sketch", smallest=5.0),
            _ahead("D0b", LONGER, SPLITS, where="PKU-Sketch", smallest=5.0),
            _ahead("D0c", f"{BASELINE}, batch-hard triplet", SPLITS, where="PKU-Sketch", smallest=5.0),
            _ahead("D0d", BASELINE, MARKET, where="Market-Sketch-1K"),
            _ahead("D0e", LONGER, MARKET, where="Market-Sketch-1K"),
            *(
                gain(
                    f"D0{letter}",
                    f"DALNet is ahead of {rival}, on PKU-Sketch",
                    minus("DALNet", theirs),
                    DRAWINGS,
                    BASELINE,
                    smallest=3.0,
                )
                for letter, (theirs, rival) in zip("fgh", CHEAPER.items(), strict=True)
            ),
        ),
        is_comparison=True,
    ),
    Claim(
        "D1",
        "DALNet",
        "Auxiliary images make the person stand out while the background recedes.",
        (
            _drawn(
                "D1a",
                "against clutter: more of the gradient is on the person than in edges of the photo as it is",
                within("DALNet", f"{INSIDE}auxiliary", f"{INSIDE}fixed XDoG"),
                "of the gradient",
            ),
            _drawn(
                "D1b",
                "beyond the mask: more of the gradient is on the person than in edges of the cleaned photo",
                within("DALNet", f"{INSIDE}auxiliary", f"{INSIDE}cleaned XDoG"),
                "of the gradient",
            ),
        ),
    ),
    Claim(
        "D2",
        "DALNet",
        "The auxiliary modality bridges the gap between sketches and photos.",
        (
            _drawn(
                "D2a",
                "sketches are nearer to auxiliary images than to photos",
                within("DALNet", "sketch–photo", "sketch–auxiliary"),
                "of cosine distance",
            ),
            _drawn(
                "D2b",
                "auxiliary images lie between: the way over them is shorter at its longer end",
                (Term(1, "DALNet", "between"),),
                "of the distance of strangers",
                "sketch–photo − the longer of sketch–auxiliary and auxiliary–photo",
            ),
        ),
    ),
    Claim(
        "D3",
        "DALNet",
        "The circle loss within each modality helps most where sketches are few.",
        (
            gain(
                "D3a",
                "circle loss gains more on triplet loss with 0.2 of the sketches than with all",
                _of_circle("0.2", 1) + _of_circle("1", -1),
                Runs("dalnet-few-sketches", "market-sketch-1k", profile="screen"),
                "triplet, 1 of the sketches",
                smallest=3.0,
                called="gain of circle on triplet loss, 0.2 of the sketches − all of them",
            ),
        ),
    ),
    Claim(
        "D4",
        "DALNet",
        "The method carries over to sketch-based image retrieval and to faces.",
        tuple(
            _ahead(f"D4{letter}", theirs, Runs("dalnet-comparison", dataset), metric="rank-1", where=FACES[dataset])
            for letter, (theirs, dataset) in zip(
                "abcdef", [(theirs, dataset) for dataset in FACES for theirs in (BASELINE, LONGER)], strict=True
            )
        ),
    ),
)
