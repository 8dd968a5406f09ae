"""Sizes of images, and that twins and recipes agree on them."""

import pytest

from reidlib import profiles, twins
from reidlib.data.registry import READERS


@pytest.mark.parametrize("name", twins.TWINS)
def test_twins_are_drawn_in_the_shape_of_their_data_set(name: str) -> None:
    for profile in twins.TWINS[name].SIZES:
        assert twins.TWINS[name].image_size(profile) == profiles.of_twin(profile).size(READERS[name].shape)


def test_shapes() -> None:
    cpu = profiles.get("cpu")
    assert [cpu.size(shape) for shape in profiles.SHAPES] == [(128, 64), (96, 96), (120, 96)]
    with pytest.raises(ValueError, match="unknown shape 'round'; choose one of: person, square, face"):
        cpu.size("round")


def test_unknown_profile_lists_the_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REIDLIB_PROFILE", "laptop")
    with pytest.raises(ValueError, match=r"REIDLIB_PROFILE 'laptop'; choose one of: ci, screen"):
        profiles.get()
