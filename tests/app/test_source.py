"""Code that a lesson shows in colours."""

import pytest

from reidlib.console.source import source


def first() -> int:
    return 1


class Second:
    def inner(self) -> int:
        return 2


def test_source_is_shown_from_the_margin_in_colours() -> None:
    shown = source(first, Second.inner)
    assert shown.data == "def first() -> int:\n    return 1\n\ndef inner(self) -> int:\n    return 2"
    assert '<span class="k">def</span>' in shown._repr_html_()
    with pytest.raises(TypeError):
        source(5)
