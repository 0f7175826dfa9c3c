from collections.abc import Mapping
from dataclasses import replace

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from proxy.domain.errors import Unauthenticated
from proxy.domain.sessions import Role, Session
from proxy.pages.request import Reader
from proxy.web.access import WRONG_TOKENS, WRONG_TOKENS_S, cookie, is_own_form
from tests.web.serving import made_ui

ACCESS = made_ui().access
SESSION = ACCESS.new_session(Role.ADMIN)


def asked(headers: Mapping[str, str] | None = None) -> web.BaseRequest:
    return make_mocked_request("GET", "/ui", {"Host": "here.test", **(headers or {})})


def with_cookie(session: Session) -> web.BaseRequest:
    return asked({"Cookie": cookie(asked(), ACCESS.seal, session).partition(";")[0]})


@pytest.mark.parametrize(
    ("token", "reader"),
    [
        ("an-admin-token", Reader(is_admin=True)),
        ("a-viewer-token", Reader(is_admin=False)),
        ("plk_web", Reader(is_admin=False, key_alias="web")),
        ("an-admin-token ", Reader(is_admin=True)),
        ("an-admin-token-and-more", None),
        ("", None),
    ],
)
def test_a_bearer_is_who_the_token_says(token: str, reader: Reader | None) -> None:
    assert ACCESS.reader(asked({"Authorization": f"Bearer {token}"}), None) == reader


def test_a_proxy_key_that_nobody_has_is_refused() -> None:
    with pytest.raises(Unauthenticated):
        ACCESS.reader(asked({"Authorization": "Bearer plk_other"}), None)


def test_a_token_that_is_not_set_opens_nothing() -> None:
    access = made_ui(admin_token=None, viewer_token=None).access
    for token in ("", "None", "a-viewer-token"):
        assert access.reader(asked({"Authorization": f"Bearer {token}"}), None) is None
        assert access.role_by_token(token) is Role.NOBODY


@pytest.mark.parametrize("role", [Role.ADMIN, Role.VIEWER])
def test_a_cookie_brings_its_session_back(role: Role) -> None:
    session = ACCESS.new_session(role)
    assert ACCESS.session(with_cookie(session)) == session
    assert ACCESS.reader(asked(), session) == Reader(is_admin=role is Role.ADMIN)


def test_the_session_of_the_form_is_none_of_the_pages() -> None:
    request = with_cookie(ACCESS.new_session(Role.NOBODY))
    assert ACCESS.session(request) is None
    assert ACCESS.form_session(request) is not None


def test_a_cookie_is_for_this_place_alone_and_out_of_reach_of_scripts() -> None:
    told = cookie(asked(), ACCESS.seal, SESSION)
    assert told.endswith("; Path=/ui; Max-Age=43200; HttpOnly; SameSite=Strict")
    assert cookie(asked({"X-Forwarded-Proto": "https"}), ACCESS.seal, SESSION).endswith("; Secure")
    assert "=; Path=/ui; Max-Age=0;" in cookie(asked(), ACCESS.seal, None)


def test_a_link_opens_once() -> None:
    access = made_ui().access
    link = access.seal.link("11", access.unix_s())
    assert [access.role_by_link(link) for _ in range(2)] == [Role.ADMIN, Role.NOBODY]
    assert access.role_by_link("12.1900000000.00") is Role.NOBODY


def test_after_many_wrong_tokens_the_right_one_has_to_wait() -> None:
    access = made_ui().access
    assert {access.role_by_token(f"wrong{number}") for number in range(WRONG_TOKENS)} == {Role.NOBODY}
    assert access.role_by_token("an-admin-token") is Role.NOBODY
    later = replace(access, unix_s=lambda: access.unix_s() + WRONG_TOKENS_S)
    assert later.role_by_token("an-admin-token") is Role.ADMIN


@pytest.mark.parametrize(
    ("headers", "is_own"),
    [
        ({}, True),
        ({"Origin": "http://here.test"}, True),
        ({"Origin": "https://here.test", "Sec-Fetch-Site": "same-origin"}, True),
        ({"Origin": "http://elsewhere.test"}, False),
        ({"Origin": "http://here.test:81"}, False),
        ({"Origin": "null"}, False),
        ({"Sec-Fetch-Site": "cross-site"}, False),
        ({"Sec-Fetch-Site": "same-site"}, False),
    ],
)
def test_a_form_of_another_place_is_refused(headers: Mapping[str, str], is_own: bool) -> None:
    token = ACCESS.seal.form_token(SESSION)
    assert is_own_form(asked(headers), token, SESSION, ACCESS.seal) is is_own
    assert not is_own_form(asked(headers), "", SESSION, ACCESS.seal)
    assert not is_own_form(asked(headers), token, ACCESS.new_session(Role.ADMIN), ACCESS.seal)
    assert not is_own_form(asked(headers), token, None, ACCESS.seal)
