from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.sessions import LINK_S, Role, Seal, Session

NOW_S = 1_800_000_000
SEAL = Seal(b"0123456789abcdef", "admin-token", None)
SESSION = Session("5e551017", Role.VIEWER, NOW_S + 60)


def test_a_session_is_opened_until_it_is_over() -> None:
    text = SEAL.sealed(SESSION)
    assert SEAL.opened(text, NOW_S + 59) == SESSION
    assert SEAL.opened(text, NOW_S + 60) is None


@pytest.mark.parametrize(
    "other",
    [
        Seal(b"0123456789abcdeX", "admin-token", None),
        Seal(b"0123456789abcdef", "another-token", None),
        Seal(b"0123456789abcdef", "admin-token", "viewer-token"),
        Seal(b"0123456789abcdef", None, "admin-token"),
    ],
)
def test_another_secret_or_token_ends_all_sessions(other: Seal) -> None:
    assert other.opened(SEAL.sealed(SESSION), NOW_S) is None
    assert other.cookie_name != SEAL.cookie_name


def test_a_viewer_who_writes_admin_is_nobody() -> None:
    assert SEAL.opened(SEAL.sealed(SESSION).replace("viewer", "admin"), NOW_S) is None


@given(st.text())
def test_no_other_text_is_a_session_a_link_or_a_form_token(text: str) -> None:
    assert SEAL.opened(text, NOW_S) is None
    assert SEAL.link_id(text, NOW_S) is None
    assert not SEAL.is_form_token(text, SESSION)


def test_what_is_signed_for_one_purpose_serves_no_other() -> None:
    link = SEAL.link("11", NOW_S)
    assert SEAL.link_id(link, NOW_S + LINK_S - 1) == "11"
    assert SEAL.link_id(link, NOW_S + LINK_S) is None
    assert SEAL.opened(link, NOW_S) is None
    assert SEAL.link_id(SEAL.sealed(SESSION), NOW_S) is None


def test_a_form_belongs_to_one_session() -> None:
    token = SEAL.form_token(SESSION)
    assert SEAL.is_form_token(token, SESSION)
    assert not SEAL.is_form_token(token, replace(SESSION, id="0ther"))
