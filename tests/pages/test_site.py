"""All pages over one store, as the process makes them."""

import base64
import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import orjson
import pytest

from proxy.adapters.analysis import open_analysis
from proxy.adapters.content.files import ContentFile, Row, path_of
from proxy.adapters.content.opening import openings
from proxy.adapters.content.sealing import Sealer
from proxy.domain.content_key import VARIABLE
from proxy.pages.filters import Filters
from proxy.pages.request import CSV, PageReply, PageRequest, Reader
from proxy.pages.site import Site, utc_now
from tests.pages.conftest import NOW, Store
from tests.pages.seeding import Seeded, seed

ADMIN = Reader(is_admin=True)
TENANT = Reader(is_admin=False, key_alias="web-app")


def page(store: Store, address: str, reader: Reader = ADMIN) -> PageReply:
    path, _, query = address.partition("?")
    site = Site(store.folder, store.analysis, lambda: NOW)
    return site.answer(PageRequest(path=path, query=query, reader=reader, form_token="the-form-token"))


def test_the_pages_begin_with_a_dashboard(store: Store) -> None:
    assert page(store, "/ui").location == page(store, "/ui/").location == "/ui/traffic?last=24h"


@pytest.mark.parametrize(("age_minutes", "period"), [(1, "15m"), (16, "1h"), (50 * 60, "24h")])
def test_the_first_page_is_about_as_long_as_there_are_calls(age_minutes: int, period: str, tmp_path: Path) -> None:
    seed(tmp_path, calls=1, end=NOW, length=timedelta(0))
    with open_analysis(tmp_path) as analysis:
        site = Site(tmp_path, analysis, lambda: NOW + timedelta(minutes=age_minutes))
        request = PageRequest(path="/ui", query="", reader=ADMIN)
        assert site.answer(request).location == f"/ui/traffic?last={period}"


@pytest.mark.parametrize(
    "address", ["/ui/none", "/ui/traffic.pdf", "/ui/traces/unknown", "/ui/trace", "/ui/traffic.csv"]
)
def test_what_there_is_not_is_not_found(address: str, store: Store) -> None:
    assert page(store, address).status == 404


def test_one_click_from_a_bar_reaches_its_traces_and_another_one_a_trace(store: Store) -> None:
    board = page(store, "/ui/traffic?last=24h").body.decode()
    marks = re.findall(r'<a href="(/ui/traces\?[^"]*)"><path [^>]*aria-label="([\w.-]+): failed (\d+), ', board)
    address, error, count = marks[0]
    traces = page(store, address.replace("&amp;", "&")).body.decode()
    links = re.findall(r'<td><a href="(/ui/traces/[^"?]+)">', traces)
    assert 0 < len(links) <= int(count)
    assert error in page(store, links[0]).body.decode()


def test_every_table_can_be_downloaded(store: Store) -> None:
    board = page(store, "/ui/traffic").body.decode()
    downloads = set(re.findall(r'href="(/ui/[^"]*\.csv[^"]*)"', board))
    assert downloads
    for address in sorted(downloads):
        found = page(store, address.replace("&amp;", "&"))
        assert (found.status, found.content_type) == (200, CSV)
        assert found.body.count(b"\r\n") > 1
        assert found.file_name is not None
    assert page(store, "/ui/traces.csv").body.count(b"\r\n") > 100


def test_older_traces_follow(store: Store) -> None:
    first = page(store, "/ui/traces?last=24h").body.decode()
    (older,) = re.findall(r'href="([^"]*until=[^"]*)"', first)
    second = page(store, older.replace("&amp;", "&")).body.decode()
    seen = [set(re.findall(r'<td><a href="(/ui/traces/[^"?]+)">', text)) for text in (first, second)]
    assert all(seen)
    assert not seen[0] & seen[1]


def test_a_proxy_key_sees_its_own_traces(store: Store) -> None:
    own = page(store, "/ui/traces?last=7d", TENANT).body.decode()
    foreign = page(store, "/ui/traces?last=7d&key=batch", TENANT).body.decode()
    assert re.findall(r'<td><a href="/ui/traces/', own)
    assert not re.findall(r'<td><a href="/ui/traces/', foreign)
    assert "batch" not in own


VIEWER = Reader(is_admin=False)


@pytest.mark.parametrize("path", ["/ui/traffic", "/ui/traces", "/ui/prompts", "/ui/live", "/ui/health"])
def test_what_shows_numbers_alone_is_for_all_who_may_look(path: str, store: Store) -> None:
    assert [page(store, path, reader).status for reader in (ADMIN, VIEWER, TENANT)] == [200, 200, 200]


@pytest.mark.parametrize("address", ["/ui/events", "/ui/content?exchange=x1"])
def test_what_shows_more_is_for_admins(address: str, store: Store, tmp_path: Path) -> None:
    with open_analysis(tmp_path) as analysis:
        empty = Store(tmp_path, analysis, store.seeded, store.filters)
        statuses = [page(empty, address, reader).status for reader in (ADMIN, VIEWER, TENANT)]
    assert statuses == [404 if "content" in address else 200, 403, 403]


@pytest.fixture
def with_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """One call, of which hostile content is kept."""
    key = bytes(32)
    monkeypatch.setenv(VARIABLE, base64.b64encode(key).decode())
    seed(tmp_path, calls=1, end=NOW, length=timedelta(0))
    with open_analysis(tmp_path) as analysis:
        (row,) = analysis.query("SELECT exchange_id, trace_id FROM calls LIMIT 1", {})
        text = orjson.dumps({"level": "full", "request": {"x": "<script>"}, "reply": {"text": "The answer."}})
        sealed = Sealer([key]).seal(text, row["exchange_id"])
        with ContentFile(path_of(tmp_path, 0)) as file:
            file.add([Row(**row, distinct_id="u", ended_unix_us=1, level="full", sealed=sealed)])
        yield Store(tmp_path, analysis, Seeded([row["trace_id"]]), Filters(begin=NOW - timedelta(hours=1), end=NOW))


def test_the_page_of_a_trace_leads_an_admin_to_the_content_and_each_opening_is_noted(with_content: Store) -> None:
    (trace_id,) = with_content.seeded.traces
    shown = page(with_content, f"/ui/traces/{trace_id}").body.decode()
    (link,) = re.findall(r'href="(/ui/content[^"]*)"', shown)
    content = page(with_content, link)
    assert content.status == 200
    assert "The answer." in content.body.decode()
    assert b"<script>" not in content.body
    for reader in (VIEWER, TENANT):
        assert "/ui/content" not in page(with_content, f"/ui/traces/{trace_id}", reader).body.decode()
    refused = page(with_content, link, VIEWER)
    assert (refused.status, b"The answer." in refused.body) == (403, False)
    noted = [(it.role, it.trace_id, it.result) for it in openings(with_content.folder)]
    assert noted == [("viewer", trace_id, "refused"), ("admin", trace_id, "opened")]


def test_who_has_a_session_can_leave_by_a_form_with_its_token(store: Store) -> None:
    assert b'value="the-form-token"' in page(store, "/ui/traces").body
    request = PageRequest(path="/ui/traces", query="", reader=ADMIN)
    assert b"logout" not in Site(store.folder, store.analysis, lambda: NOW).answer(request).body


@pytest.mark.parametrize("path", ["/ui/traffic", "/ui/traces", "/ui/none"])
def test_nothing_is_asked_of_anybody_else(path: str, store: Store) -> None:
    text = page(store, path).body.decode()
    assert not re.findall(r'(?:src|href|action)="(?!/|#)', text)
    assert "style=" not in text
    assert "<script" not in text


def test_an_empty_period_says_so(store: Store) -> None:
    empty = "from=2020-01-01&to=2020-01-02"
    assert b"No calls in this period" in page(store, f"/ui/traffic?{empty}").body
    assert b"No trace in this period" in page(store, f"/ui/traces?{empty}").body


def test_the_clock_is_utc() -> None:
    assert str(utc_now().tzinfo) == "UTC"
