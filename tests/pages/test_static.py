import re

import pytest

from proxy.pages.chart_style import COLOURS
from proxy.pages.static import PREFIX, TYPES, content, path_of


@pytest.mark.parametrize("name", TYPES)
def test_a_file_has_an_address_of_its_content(name: str) -> None:
    assert re.fullmatch(rf"{PREFIX}[0-9a-f]{{12}}/{re.escape(name)}", path_of(name))
    assert content(name)


def test_the_style_sets_all_colours_of_charts_for_light_and_dark() -> None:
    light, dark = content("pages.css").decode().split("@media (prefers-color-scheme: dark)")[:2]
    for name, value in COLOURS.items():
        assert f"--{name}: {value}" in light.replace("#fff", "#ffffff")
        assert f"--{name}: " in dark.split("}\n}")[0]


def test_the_style_asks_nobody_for_anything() -> None:
    assert not re.search(r"url\(|@import|//", content("pages.css").decode())
