"""The twelve claims of the four papers: how each is measured, the rule of its verdict, and the verdict on our records.

``claims.verdict("M1")`` → :class:`Verdict`; ``claims.table()`` → all of them. Nothing is trained here: verdicts are
computed from the ledger and the measures beside it, and say *no runs yet*, with the command that makes them, where
there are none. The rules were fixed before the runs, and a negative verdict is a result.

Documented: the claims (abstracts of the papers). Reconstructed (ours): measures, comparisons, rules
(:mod:`reidlib.claims.judges`). A verdict is one on our reconstruction of a method, in one profile, on a synthetic twin.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from reidlib.claims import judges
from reidlib.claims.finding import NO_RUNS, NOT_SUPPORTED, SUPPORTED, UNDECIDED, WORDS, Finding, Runs

__all__ = [
    "CLAIMS",
    "NOT_SUPPORTED",
    "NO_RUNS",
    "SUPPORTED",
    "UNDECIDED",
    "WORDS",
    "Claim",
    "Finding",
    "Runs",
    "Verdict",
    "findings",
    "table",
    "verdict",
    "verdicts",
]

_NUMBERS = ("difference", "low", "high", "runs")
COLUMNS = ["claim", "paper", "verdict", "what", "unit", *_NUMBERS, "word", "decides", "wanted"]


@dataclass(frozen=True)
class Claim:
    """A claim of a paper, and how it is judged: ``paper`` names the method, ``rule`` tells what ``judge`` does."""

    name: str
    paper: str
    statement: str
    measure: str
    rule: str
    runs: tuple[Runs, ...]
    judge: judges.Judge


@dataclass(frozen=True)
class Verdict:
    """What the records say of a claim: a word of ``WORDS``, and the findings it rests on."""

    claim: Claim
    word: str
    findings: tuple[Finding, ...]

    @property
    def runs(self) -> int:
        """The fewest runs (or pairs of runs) behind a finding that decides; 0 without any."""
        return min((finding.runs for finding in self.findings if finding.decides), default=0)

    def __str__(self) -> str:
        lines = [f"{self.claim.name}, {self.claim.paper}: {self.word}", *(f"  {finding}" for finding in self.findings)]
        if self.word == NO_RUNS:
            lines += [f"  {runs.command}" for runs in self.claim.runs]
        return "\n".join(lines)


_LADDER_OF_IDKL = (Runs("idkl-ladder"),)
_DALNET_ON_SPLITS = (Runs("dalnet-comparison", "pku-sketch", seeds=1, splits=10),)
_CLAIMS = (
    Claim(
        "M1",
        "MAUM",
        "One proxy for both modalities is a relay: each comes near it, and a gap between them stays. MAUM closes it.",
        "relay gap: mean cosine of both centres and their proxy − cosine of the two centres; training identities",
        "supported if the gap of MAUM is smaller than that of the baseline, whose classifier both modalities share",
        (Runs("maum-ladder", seeds=5),),
        judges.relay,
    ),
    Claim(
        "M2",
        "MAUM",
        "Unidirectional metrics, and then the memory, each improve the association across modalities.",
        "mAP, step by step: MS-proxies, + unidirectional metrics, + memory",
        "supported if both steps gain, not supported if one of them loses",
        (Runs("maum-ladder"),),
        judges.maum_steps,
    ),
    Claim(
        "M3",
        "MAUM",
        "MAUM is sturdier where the modalities are unequal.",
        "loss of mAP, in per cent of the method's own full score, where one modality keeps 1/2, 1/4, 1/8 of its images "
        "or identities",
        "supported if MAUM loses less than the baseline in the mean over these settings; five seeds at least",
        tuple(Runs(f"maum-imbalance{of}", profile="screen", seeds=5) for of in ("", "-identities")),
        judges.imbalance,
    ),
    Claim(
        "F1",
        "FIENet",
        "PFAM and MPIM draw attention to telling parts of the body, in both modalities.",
        "energy of Grad-CAM and of occlusion maps on the true mask of the person",
        "supported if, with both instruments and in both modalities, it is larger than that of the baseline and than "
        "that of three controls; not supported if one is smaller",
        (Runs("fienet-ladder"),),
        judges.focus,
    ),
    Claim(
        "F2",
        "FIENet",
        "PFAM, MPIM and IGCL each help, and PFAM and MPIM help each other.",
        "mAP: each alone against the baseline; both modules against each alone",
        "supported if all five differences are gains, not supported if one is a loss",
        (Runs("fienet-ladder"),),
        judges.fienet_ingredients,
    ),
    Claim(
        "I1",
        "IDKL",
        "Features specific to a modality hold knowledge of identity that shared ones lack.",
        "linear probes, without distillation, of factors that one modality alone can show",
        "supported if more is read from specific than from shared features",
        _LADDER_OF_IDKL,
        judges.hidden_knowledge,
    ),
    Claim(
        "I2",
        "IDKL",
        "The purifier takes the modality off specific features and leaves identity.",
        "linear probes before and behind the purifier, without distillation: modality, identity across cameras",
        "supported if the interval of the modality excludes 0 and that of identity a loss of 0.02; not supported if "
        "that of the modality excludes a loss of 0.01, or identity is lost (the third outcome was added after the "
        "probes of the whole method had been seen, before those of the model asked about)",
        _LADDER_OF_IDKL,
        judges.purifier,
    ),
    Claim(
        "I3",
        "IDKL",
        "TGSA, CSA and MDR move this knowledge into the shared feature.",
        "linear probes of the shared feature, with and without distillation: factors that one modality alone can show",
        "supported if more is read with distillation",
        _LADDER_OF_IDKL,
        judges.distillation,
    ),
    Claim(
        "D1",
        "DALNet",
        "Auxiliary images make the person stand out while the background recedes.",
        "share of the image's gradient inside the true mask of the person",
        "supported if it is larger than that of fixed XDoG edges, and larger than chance",
        _DALNET_ON_SPLITS,
        judges.person_stands_out,
    ),
    Claim(
        "D2",
        "DALNet",
        "The auxiliary modality bridges the gap between sketches and photos.",
        "distances of test features within identities, as they are and as shares of the distances of strangers",
        "supported if sketches are nearer to auxiliary images than to photos, and auxiliary images lie between",
        _DALNET_ON_SPLITS,
        judges.bridge,
    ),
    Claim(
        "D3",
        "DALNet",
        "The circle loss within each modality helps most where sketches are few.",
        "mAP of circle − triplet loss, with one sketch of each identity and with all",
        "supported if circle loss gains more on triplet loss with one sketch than with all",
        (Runs("dalnet-few-sketches", "market-sketch-1k", profile="screen"),),
        judges.few_sketches,
    ),
    Claim(
        "D4",
        "DALNet",
        "The method carries over to sketch-based image retrieval and to faces.",
        "rank-1 (acc@1) on shoes, chairs and faces, against the baseline and against one trained longer",
        "supported if DALNet is better than both on all three sets, not supported if worse than both on one",
        tuple(Runs("dalnet-comparison", dataset) for dataset in ("shoe", "chair", "cufsf")),
        judges.carries_over,
    ),
)
CLAIMS: dict[str, Claim] = {claim.name: claim for claim in _CLAIMS}
"""All claims by name, paper by paper."""


def verdict(name: str, path: str | Path | None = None) -> Verdict:
    """The verdict on a claim.

    Args:
        name: a key of ``CLAIMS``.
        path: of a ledger, with the other tables beside it; default: the published and the local one together.

    Raises:
        ValueError: an unknown claim (the message lists the known), or rows that cannot be compared; the message says
            which, as :func:`reidlib.comparison.compare` does.
    """
    if name not in CLAIMS:
        raise ValueError(f"unknown claim {name!r}; choose from: {', '.join(CLAIMS)}")
    claim = CLAIMS[name]
    try:
        word, findings = claim.judge(claim.runs, None if path is None else Path(path))
    except ValueError as error:
        raise ValueError(f"claim {name}: {error}") from error
    return Verdict(claim, word, tuple(findings))


def verdicts(path: str | Path | None = None) -> list[Verdict]:
    """The verdicts on all claims, in order; arguments and errors as :func:`verdict`."""
    return [verdict(name, path) for name in CLAIMS]


def table(found: Iterable[Verdict] | None = None) -> pd.DataFrame:
    """A row for each claim: ``paper``, ``statement``, ``verdict``, ``evidence`` in words, ``runs`` (study, profile)."""
    rows = []
    for each in verdicts() if found is None else found:
        claim, deciding = each.claim, [str(finding) for finding in each.findings if finding.decides]
        where = "; ".join(f"{runs.study}, {runs.dataset}, {runs.profile}" for runs in claim.runs)
        missing = [runs.command for runs in claim.runs] if each.word == NO_RUNS else []
        rows.append((claim.name, claim.paper, claim.statement, each.word, "; ".join(deciding or missing), where))
    columns = ["claim", "paper", "statement", "verdict", "evidence", "runs"]
    return pd.DataFrame(rows, columns=columns).set_index("claim")


def findings(found: Iterable[Verdict] | None = None) -> pd.DataFrame:
    """A row for each finding, with its fields, ``claim``, ``paper`` and ``verdict``; claims without runs have one
    row, without numbers. For `reidlib.plots.claims`."""
    rows = []
    for each in verdicts() if found is None else found:
        head = {"claim": each.claim.name, "paper": each.claim.paper, "verdict": each.word}
        rows += [head | vars(finding) for finding in each.findings] or [head | {"decides": True}]
    kinds = {"runs": "Int64", "wanted": "Int64", **dict.fromkeys(("difference", "low", "high"), "float64")}
    return pd.DataFrame(rows, columns=COLUMNS).astype(kinds)
