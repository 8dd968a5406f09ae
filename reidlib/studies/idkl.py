"""Studies of IDKL: what its components are worth."""

from typing import Any

from reidlib.studies.study import Study

IDKL: dict[str, Any] = {"method": "idkl"}
OF_STREAMS = ("specific_identity", "specific_triplet", "discriminator", "confuser", "purifier", "tgsa", "csa", "mdr")


def _without(*terms: str, **weights: None) -> dict[str, Any]:
    return IDKL | {"loss_weights": {**dict.fromkeys(terms, 0.0), **weights}}


STUDIES = {
    # "B" is IDKL's own layers and losses with its shared stream alone: neither a second stem nor a learned pooling.
    "idkl-ladder": Study(
        "baseline",
        {
            "baseline": {},
            "B": IDKL | {"model": {"dual": False}, "loss_weights": dict.fromkeys(OF_STREAMS)},
            "+ dual stream": _without("tgsa", "csa", "mdr", purifier=None) | {"model": {"purifier": False}},
            "+ IP": _without("tgsa", "csa", "mdr"),
            "+ TGSA": _without("csa", "mdr"),
            "+ CSA": _without("mdr"),
            "+ MDR": IDKL,
        },
    ),
}
