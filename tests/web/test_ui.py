"""Pages as a browser asks for them, in front of pages that are scripted."""

from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio
from aiohttp import CookieJar
from aiohttp.test_utils import RawTestServer, TestClient

from proxy.domain.paths import parse_target
from proxy.domain.sessions import Role, Session
from proxy.pages.request import CSV, PageReply, Reader
from proxy.pages.static import path_of
from proxy.web import ui as ui_module
from proxy.web.ui import Ui, serve
from tests.web.serving import ScriptedPages, made_ui

BROWSER = {"Accept": "text/html,application/xhtml+xml"}
Client = TestClient[Any, Any]


@pytest.fixture
def ui() -> Ui:
    return made_ui()


@pytest.fixture
def pages(ui: Ui) -> ScriptedPages:
    assert isinstance(ui.pages, ScriptedPages)
    return ui.pages


@pytest_asyncio.fixture
async def client(ui: Ui) -> AsyncIterator[Client]:
    async def handle(request: Any) -> Any:
        return await serve(request, parse_target(request.raw_path), ui)

    made: Client = TestClient(RawTestServer(handle), cookie_jar=CookieJar(unsafe=True))
    async with made:
        yield made


async def logged_in(client: Client, ui: Ui, *, role: Role = Role.ADMIN) -> Session:
    session = ui.access.new_session(role)
    client.session.cookie_jar.update_cookies({ui.access.seal.cookie_name: ui.access.seal.sealed(session)})
    return session


async def get(client: Client, path: str, **headers: str) -> Any:
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return await client.get(path, headers=BROWSER | told, allow_redirects=False)


async def post(client: Client, path: str, **fields: str) -> Any:
    return await client.post(path, data=urlencode(fields), headers=BROWSER, allow_redirects=False)


async def test_a_link_lets_in_once_and_leads_to_the_pages(client: Client, ui: Ui, pages: ScriptedPages) -> None:
    link = f"/ui/login?link={ui.access.seal.link('11', ui.access.unix_s())}"
    assert (await client.head(link)).status == 200  # somebody only looks
    opened = await get(client, link)
    assert (opened.status, opened.headers["Location"]) == (303, "/ui")
    assert "HttpOnly; SameSite=Strict" in opened.headers["Set-Cookie"]
    page = await get(client, "/ui/traffic")
    assert (page.status, await page.text()) == (200, "/ui/traffic")
    assert pages.asked[0].reader == Reader(is_admin=True)
    assert (await get(client, link)).headers["Location"] == "/ui"  # by a reader who is in already
    client.session.cookie_jar.clear()
    again = await get(client, link)
    assert (again.status, "has been used" in await again.text()) == (403, True)


@pytest.mark.parametrize(("token", "is_admin"), [("an-admin-token", True), ("a-viewer-token", False)])
async def test_a_token_lets_in_to_the_page_that_was_asked_for(
    token: str, is_admin: bool, client: Client, ui: Ui, pages: ScriptedPages
) -> None:
    asked = await get(client, "/ui/traces?model=a%26b")
    assert (asked.status, asked.headers["Location"]) == (303, "/ui/login?next=%2Fui%2Ftraces%3Fmodel%3Da%2526b")
    form = await get(client, asked.headers["Location"])
    text = await form.text()
    (form_token,) = [part.partition('"')[0] for part in text.split('name="form_token" value="')[1:]]
    assert 'name="next" value="/ui/traces?model=a%26b"' in text
    done = await post(client, "/ui/login", form_token=form_token, token=token, next="/ui/traces?model=a%26b")
    assert (done.status, done.headers["Location"]) == (303, "/ui/traces?model=a%26b")
    assert (await get(client, done.headers["Location"])).status == 200
    assert (pages.asked[0].reader, pages.asked[0].query) == (Reader(is_admin=is_admin), "model=a%26b")


async def test_a_wrong_token_is_told_and_the_form_is_shown_again(client: Client) -> None:
    text = await (await get(client, "/ui/login")).text()
    form_token = text.split('name="form_token" value="')[1].partition('"')[0]
    refused = await post(client, "/ui/login", form_token=form_token, token="wrong", next="/ui")
    assert (refused.status, "opens nothing" in await refused.text()) == (403, True)


@pytest.mark.parametrize("form_token", ["", "0" * 40])
@pytest.mark.parametrize("path", ["/ui/login", "/ui/logout"])
async def test_a_form_without_its_token_does_nothing(path: str, form_token: str, client: Client, ui: Ui) -> None:
    await logged_in(client, ui)
    refused = await post(client, path, form_token=form_token, token="an-admin-token")
    assert (refused.status, refused.headers.get("Set-Cookie")) == (403, None)
    assert (await get(client, "/ui/traffic")).status == 200


async def test_logging_out_takes_the_cookie_away(client: Client, ui: Ui) -> None:
    session = await logged_in(client, ui)
    left = await post(client, "/ui/logout", form_token=ui.access.seal.form_token(session))
    assert (left.status, left.headers["Location"]) == (303, "/ui/login")
    assert f"{ui.access.seal.cookie_name}=; Path=/ui; Max-Age=0;" in left.headers["Set-Cookie"]


@pytest.mark.parametrize(
    "wanted",
    [
        "https://elsewhere.test/",
        "//elsewhere.test/ui/",
        "/v1/models",
        "/ui/../v1",
        "/ui/\\elsewhere",
        "/ui/logout",
        "/ui/\n",
    ],
)
async def test_a_login_leads_nowhere_else(wanted: str, client: Client, ui: Ui) -> None:
    link = ui.access.seal.link("11", ui.access.unix_s())
    opened = await get(client, f"/ui/login?{urlencode({'link': link, 'next': wanted})}")
    assert opened.headers["Location"] in ("/ui", "/ui/../v1")  # the edge takes no dot segments


async def test_a_page_of_another_site_that_links_here_is_followed_with_the_cookie(client: Client) -> None:
    """`SameSite=Strict` keeps it back at first; our own page that asks again brings it."""
    followed = await get(client, "/ui/traces/t", Sec_Fetch_Site="cross-site")
    assert (followed.status, 'http-equiv="refresh"' in await followed.text()) == (200, True)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer wrong", **BROWSER}])
async def test_what_is_no_browser_is_refused_in_json(headers: dict[str, str], client: Client) -> None:
    reply = await client.get("/ui/traffic", headers=headers)
    assert (reply.status, (await reply.json())["error"]["code"]) == (401, "token_required")


@pytest.mark.parametrize(
    ("path", "status"),
    [("/ui/traces", 200), ("/ui/traces/t", 200), ("/ui/traffic", 403), ("/ui", 403), ("/ui/health", 403)],
)
async def test_a_proxy_key_sees_traces_of_its_own_and_no_more(
    path: str, status: int, client: Client, pages: ScriptedPages
) -> None:
    reply = await get(client, path, Authorization="Bearer plk_web")
    assert reply.status == status
    assert [asked.reader for asked in pages.asked] == [Reader(is_admin=False, key_alias="web")] * (status == 200)


async def test_every_page_may_be_framed_kept_and_scripted_by_nobody(client: Client, ui: Ui) -> None:
    await logged_in(client, ui)
    for path in ("/ui/traffic", "/ui/login", "/ui/static/none"):
        headers = (await get(client, path)).headers
        policy = headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert not {"script-src", "unsafe-inline", "*"} & set(policy.replace(";", "").split())
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


async def test_the_files_of_pages_are_served_and_no_others(client: Client) -> None:
    found = await get(client, path_of("pages.css"))
    assert (found.status, found.content_type, found.headers["Cache-Control"]) == (
        200,
        "text/css",
        ui_module.KEPT_FOR_EVER,
    )
    digest = path_of("pages.css").split("/")[3]
    for path in (
        f"/ui/static/{digest}/..%2f..%2frender.py",
        f"/ui/static/{digest}/render.py",
        "/ui/static/0/pages.css",
    ):
        if "%2f" not in path:
            assert (await get(client, path)).status == 404


@pytest.mark.parametrize(
    ("reply", "status", "said"),
    [
        (PageReply(status=503), 503, "asks again by itself"),
        (PageReply(status=500), 500, "could not be made"),
        (PageReply(status=303, location="/ui/traffic"), 303, ""),
        (PageReply(content_type=CSV, file_name="a.csv", body=b"a"), 200, "a"),
    ],
)
async def test_what_the_process_says_is_passed_on(
    reply: PageReply, status: int, said: str, client: Client, ui: Ui, pages: ScriptedPages
) -> None:
    await logged_in(client, ui)
    pages.replies["/ui/x"] = reply
    got = await get(client, "/ui/x")
    assert (got.status, said in await got.text()) == (status, True)
    assert got.headers.get("Location") == reply.location
    assert got.headers.get("Content-Disposition") == ('attachment; filename="a.csv"' if reply.file_name else None)


async def test_a_form_of_unknown_or_great_size_is_not_read(client: Client) -> None:
    reply = await client.post("/ui/login", data=b"x" * 20_000, headers=BROWSER)
    assert reply.status == 500  # the bare test server: the edge makes a 400 of it
