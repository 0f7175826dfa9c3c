import pytest

from proxy.pages.chart_style import COLOURS, SERIES, Colour, config, fixed, themed


def test_a_themed_colour_is_the_light_one_where_nobody_sets_it() -> None:
    assert themed("bad") == f"var(--bad, {fixed('bad')})"


@pytest.mark.parametrize("colour", [themed, fixed])
def test_each_series_has_a_colour(colour: Colour) -> None:
    assert config(colour)["range"]["category"] == [colour(f"series-{number}") for number in range(1, SERIES + 1)]


def test_all_colours_are_plain() -> None:
    assert all(value.startswith("#") and len(value) == 7 for value in COLOURS.values())
