"""What tells QMUL-ShoeV2 and QMUL-ChairV2 apart: names, and how many images there are."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """What tells the two sets apart.

    ``images`` are the published numbers of photos and sketches by split, ``online`` those of the copy that is offered
    online (as users of public code count them: buptLinfy/ZSE-SBIR, issue 8). Where the published ones are not
    ``exact``, other copies are in use as well.
    """

    name: str
    title: str
    pickle: str
    images: dict[str, tuple[int, int]]
    online: dict[str, tuple[int, int]]
    exact: bool

    @property
    def expected_tree(self) -> str:
        return f"""\
{self.title}/
  photo/<name>.png         either: photos, and all sketches as strokes in one pickle
  {self.pickle}
or
  trainB/<name>.png        or: photos and sketches as images, split by folder
  trainA/<name>_<k>.png    sketch number k of the photo <name>
  testB/  testA/"""


KINDS = {
    "shoe": Kind(
        *("shoe", "QMUL-ShoeV2", "ShoeV2_Coordinate"),
        images={"train": (1800, 6051), "test": (200, 679)},
        online={"train": (1800, 5982), "test": (200, 666)},
        exact=False,
    ),
    "chair": Kind(
        *("chair", "QMUL-ChairV2", "ChairV2_Coordinate"),
        images={"train": (300, 952), "test": (100, 323)},
        online={"train": (300, 964), "test": (100, 311)},  # another split of the same 1,275 sketches
        exact=True,
    ),
}
