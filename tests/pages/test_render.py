import re

import pytest
from jinja2 import UndefinedError

from proxy.pages.render import environment, render


def test_whatever_is_shown_is_escaped() -> None:
    page = render(
        "login.html", problem="<script>alert(1)</script>", next='"><img src=x>', form_token="t", takes_tokens=True
    )
    assert b"<script" not in page
    assert b"<img src=x>" not in page
    assert b"&lt;script&gt;" in page


def test_a_value_that_a_template_lacks_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render("login.html", problem=None)


def test_no_template_turns_escaping_off_or_has_style_or_script_of_its_own() -> None:
    loader = environment().loader
    assert loader is not None
    for name in loader.list_templates():
        source = loader.get_source(environment(), name)[0]
        assert not re.search(r"\|\s*safe|autoescape|<script|<style|style=|\son\w+=|https?://", source)
