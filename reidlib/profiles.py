"""Profiles: the same experiment at the size of the machine at hand.

A profile changes sizes only (images, identities, epochs), never the method. It is chosen by an argument, else by the
environment variable ``REIDLIB_PROFILE``, else ``gpu`` where a CUDA device is present and ``cpu`` elsewhere.
"""

import os
from dataclasses import dataclass

ENVIRONMENT_VARIABLE = "REIDLIB_PROFILE"


SHAPES = ("person", "square", "face")


@dataclass(frozen=True)
class Profile:
    """A named size: ``height`` × ``width`` of images of whole people in pixels, and what the profile is for."""

    name: str
    height: int
    width: int
    purpose: str

    def size(self, shape: str = "person") -> tuple[int, int]:
        """(height, width) of images of this shape: ``square`` and ``face`` (five to four) are three quarters as wide as
        people are high.

        Raises:
            ValueError: an unknown shape; the message lists the known ones.
        """
        if shape not in SHAPES:
            raise ValueError(f"unknown shape {shape!r}; choose one of: {', '.join(SHAPES)}")
        side = self.height * 3 // 4
        return {"person": (self.height, self.width), "square": (side, side), "face": (side * 5 // 4, side)}[shape]


PROFILES = {
    profile.name: profile
    for profile in (
        Profile("ci", 64, 32, "notebook tests: a few seconds, numbers mean nothing"),
        Profile("screen", 96, 48, "curves and grids: many short runs on two cores"),
        Profile("cpu", 128, 64, "a laptop or a free Colab CPU; numbers are meaningful"),
        Profile("gpu", 256, 128, "a Colab T4 or a lab GPU, on twins"),
        Profile("paper", 384, 144, "the paper's recipe on the licensed data sets"),
    )
}


DEVELOPMENT = "/development"
"""Behind the name of a profile: the development twin of that size, whose training images are those of the twin, and
whose test shows people that nobody else shows. What is chosen is chosen there, so that the twin's test stays a test."""


def is_development(twin: str | None) -> bool:
    """Whether the profile of a twin is that of a development twin, such as ``"cpu/development"``."""
    return twin is not None and twin.endswith(DEVELOPMENT)


def twin_title(twin: str | None) -> str:
    """What a twin of this profile is called in titles."""
    return "development twin" if is_development(twin) else "synthetic twin"


def of_twin(twin: str | None) -> Profile:
    """The profile of a twin's sizes: ``cpu`` for ``"cpu"`` and for ``"cpu/development"``; as :func:`get` otherwise."""
    return get(twin and twin.removesuffix(DEVELOPMENT))


def get(name: str | None = None) -> Profile:
    """Return the profile called ``name``, or the default of this machine.

    Raises:
        ValueError: the name is unknown; the message lists the known ones.
    """
    source = "profile"
    if name is None:
        name, source = os.environ.get(ENVIRONMENT_VARIABLE) or None, ENVIRONMENT_VARIABLE
    if name is None:
        name = "gpu" if _has_gpu() else "cpu"
    if name not in PROFILES:
        raise ValueError(f"unknown {source} {name!r}; choose one of: {', '.join(PROFILES)}")
    return PROFILES[name]


def _has_gpu() -> bool:
    import torch

    return torch.cuda.is_available()
