"""The pages in Chromium, as a new user and as an attacker: `promptlane serve` over a seeded store.

A browser may be told anything about a page but what it did with it: whether a script ran, whom it asked, whether it
let itself be framed. So these tests look at the browser.
"""

import base64
import csv
import io
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import orjson
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from proxy.adapters.content.files import ContentFile, Row, path_of
from proxy.adapters.content.sealing import Sealer
from proxy.adapters.journal import JournalReader
from proxy.domain.content_key import VARIABLE, keys_of
from proxy.domain.sessions import Role, Seal, Session
from tests.pages.seeding import seed

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on the path; `tools/apt_install.sh chromium`")

SECRET, VIEWER_TOKEN = "a secret that only tests know", "a-viewer-token"
CONTENT_KEY = base64.b64encode(bytes(32)).decode()
ENTRY = "import sys; from proxy.cli import main; sys.exit(main())"
NASTY = """"'><img src=x onerror=document.title='owned'><script>document.title='owned'</script></svg></style>{{7*7}}"""
FORMULA = "=HYPERLINK(A1)"
HOSTILE_WORDS = {
    "model": NASTY,
    "prompt_name": NASTY,
    "prompt_version_id": f"{FORMULA}{NASTY}",
    "environment": NASTY,
    "agent_config_id": NASTY,
    "task_type": NASTY,
    "distinct_id": NASTY,
    "tool_name": NASTY,
    "eval_name": NASTY,
    "eval_reason_code": NASTY,
    "key_alias": "hostile",
    "trace_id": f"/../{NASTY}",
}
PLACES = ("traffic", "latency", "quality", "agents", "prompts", "traces", "live", "events?state=kept", "health")


@dataclass
class Served:
    """A proxy over two days of calls of an honest app and of a hostile one."""

    url: str
    link: str
    seal: Seal
    with_content: str
    """The hostile app's call of which content is kept."""


def keep_content(data: Path) -> str:
    """Of one call of the hostile app; returns its id."""
    with JournalReader(data / "journal-1.db") as reader:
        (call,) = reader.exchanges(limit=1)
    exchange_id = call.exchange_id
    text = orjson.dumps({"level": "full", "request": {NASTY: NASTY}, "reply": NASTY, "cut": ["reply"]})
    sealed = Sealer(keys_of(CONTENT_KEY)).seal(text, exchange_id)
    row = Row(
        exchange_id=exchange_id,
        trace_id=NASTY,
        distinct_id="u",
        ended_unix_us=call.ended_unix_us,
        level="full",
        sealed=sealed,
    )
    with ContentFile(path_of(data, 1)) as file:
        file.add([row])
    return exchange_id


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("served")
    now = datetime.now(UTC)
    seed(folder / "data", calls=600, end=now, length=timedelta(hours=40))
    seed(folder / "data", calls=60, end=now, length=timedelta(hours=20), number=2, words=HOSTILE_WORDS)
    with_content = keep_content(folder / "data")
    own = {
        "PROMPTLANE_SECRET": SECRET,
        "PROMPTLANE_VIEWER_TOKEN": VIEWER_TOKEN,
        "PROMPTLANE_LOG_LEVEL": "error",
        VARIABLE: CONTENT_KEY,
    }
    inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "-P", "-c", ENTRY, "serve", "--port", "0", "--data", str(folder / "data")]
    environment = {**inherited, **own, "PYTHONPATH": str(Path(__file__).parents[2])}
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        link = ""
        for line in process.stdout:
            link = line.split()[-1] if "login?link=" in line else link
            if line.startswith("listening on "):
                break
        yield Served(link.partition("/ui/")[0], link, Seal(SECRET.encode(), None, VIEWER_TOKEN), with_content)
        process.send_signal(signal.SIGTERM)
        process.wait(20)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield launched
        launched.close()


@dataclass
class Seen:
    """What a browser did beside showing pages."""

    asked: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)

    def watch(self, page: Page) -> Page:
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("console", lambda message: self.said.append(message.text))
        page.on("pageerror", lambda error: self.said.append(str(error)))
        page.on("dialog", lambda dialog: self.said.append(dialog.message))
        return page


Visit = Callable[..., Page]


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def visit(browser: Browser, served: Served, seen: Seen) -> Iterator[Visit]:
    """A page of a reader with this role, in a browser of its own."""
    contexts: list[BrowserContext] = []

    def opened(role: Role = Role.ADMIN, **options: object) -> Page:
        context = browser.new_context(base_url=served.url, **options)  # type: ignore[arg-type]  # Playwright's own
        contexts.append(context)
        context.set_default_timeout(20_000)
        if role is not Role.NOBODY:
            sealed = served.seal.sealed(Session("5e55", role, int(datetime.now(UTC).timestamp()) + 600))
            context.add_cookies(
                [{"name": served.seal.cookie_name, "value": sealed, "url": f"{served.url}/ui", "sameSite": "Strict"}]
            )
        return seen.watch(context.new_page())

    yield opened
    for context in contexts:
        context.close()


def test_from_the_printed_link_to_a_failing_call_in_two_clicks(served: Served, visit: Visit, seen: Seen) -> None:
    page = visit(Role.NOBODY, java_script_enabled=False)
    page.goto(served.link)
    assert page.title() == "Traffic and reliability · Promptlane"
    failures = page.get_by_role("region", name="Failed calls over time, by type")
    failures.locator(".chart a").first.click()
    assert page.title() == "Traces · Promptlane"
    page.locator("tbody td a").first.click()
    page.get_by_role("heading", name="Waterfall").wait_for()
    assert page.locator(".status.bad").count() > 0
    assert {address.partition("/ui/")[0].removesuffix("/ui") for address in seen.asked} == {served.url}
    assert seen.said == []


UNNAMED = """
[...document.querySelectorAll("a, button, input:not([type=hidden]), select")].filter(
    (it) => !(it.textContent.trim() || it.getAttribute("aria-label") || it.labels?.length)).length
"""


def test_on_every_page_names_are_text_and_a_phone_shows_it_whole(visit: Visit, served: Served, seen: Seen) -> None:
    page = visit(viewport={"width": 390, "height": 800}, color_scheme="dark")
    for place in PLACES:
        page.goto(f"/ui/{place}{'&' if '?' in place else '?'}last=7d")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(18, 22, 29)"
        assert page.locator("h1").count() == 1
        assert page.evaluate(UNNAMED) == 0
        assert page.locator("script, img:not([alt='']), iframe, object, [onerror]").count() == 0
        assert "owned" not in page.title()
        assert "49" not in page.locator("h1").inner_text()
    page.goto("/ui/traffic?last=7d")
    box = page.locator(".wide .chart svg").first.bounding_box()
    assert box is not None
    assert box["width"] > 390 > box["x"] + box["width"]  # a chart over time begins with its end, which is now
    page.goto("/ui/traces?last=7d&key=hostile")
    page.locator("tbody td a").first.click()
    assert NASTY in page.locator("h1").inner_text()
    assert page.locator("script").count() == 0
    assert {address.partition("/ui/")[0] for address in seen.asked} == {served.url}
    assert seen.said == []


def test_what_was_said_is_text(visit: Visit, served: Served, seen: Seen) -> None:
    page = visit()
    page.goto(f"/ui/content?exchange={served.with_content}")
    assert page.title() == "Content · Promptlane"
    assert page.locator("pre").all_inner_texts()[1] == NASTY
    assert page.locator("main script, main img, main svg").count() == 0
    assert seen.said == []
    assert {url.partition("/ui/")[0] for url in seen.asked} == {served.url}


def test_charts_can_be_read_and_walked_without_a_pointer(visit: Visit) -> None:
    page = visit()
    page.goto("/ui/traffic")
    page.keyboard.press("Tab")
    assert page.locator(":focus").inner_text() == "Skip to content"
    marks = page.locator(".chart a path[aria-label]")
    assert marks.count() > 20
    page.locator(".chart a").first.focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/ui/traces?*")
    page.go_back()
    page.get_by_text("As a table").first.click()
    assert page.get_by_role("table").first.is_visible()


class Attacker(BaseHTTPRequestHandler):
    """Another site."""

    target = ""
    forms = ("logout", "events/replay", "login")

    def do_GET(self) -> None:
        name = self.path.strip("/")
        body = f'<iframe src="{self.target}/ui/health"></iframe>'
        if name in self.forms:
            field = '<input name="form_token" value="0"><input name="token" value="x">'
            body = f'<form method="post" action="{self.target}/ui/{name}">{field}<button>go</button></form>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def elsewhere(served: Served) -> Iterator[str]:
    """The address of a site that is not ours: another host name, on the same machine."""
    handler = type("Handler", (Attacker,), {"target": served.url})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler)) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://localhost:{server.server_port}"
        server.shutdown()


def test_another_site_cannot_act_here_or_frame_a_page(visit: Visit, elsewhere: str, served: Served) -> None:
    page = visit()
    for form in Attacker.forms:
        page.goto(f"{elsewhere}/{form}")
        with page.expect_response(f"{served.url}/ui/{form}") as answered:
            page.get_by_role("button").click()
        assert answered.value.status == 403
        assert page.request.get("/ui/health").ok  # the session goes on
    page.goto(elsewhere)
    frame = next(frame for frame in page.frames if frame is not page.main_frame)
    assert "Health" not in frame.content()


def test_a_link_from_another_site_finds_the_reader_logged_in(visit: Visit, elsewhere: str, served: Served) -> None:
    page = visit()
    page.goto(elsewhere)
    page.evaluate(f"location.href = '{served.url}/ui/traces'")
    page.get_by_role("heading", name="Traces").wait_for()


def test_a_viewer_logs_in_by_a_token_looks_and_leaves(visit: Visit) -> None:
    page = visit(Role.NOBODY)
    page.goto("/ui/traces?last=7d")
    page.get_by_label("Admin or viewer token").fill("wrong")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").wait_for()
    page.get_by_label("Admin or viewer token").fill(VIEWER_TOKEN)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/ui/traces?last=7d")
    assert page.get_by_role("link", name="Events").count() == 0
    assert page.request.get("/ui/events").status == 403
    assert page.request.get("/ui/content?exchange=x").status == 403
    page.get_by_role("button", name="Log out").click()
    page.wait_for_url("**/ui/login")
    page.goto("/ui/health")
    assert "/ui/login" in page.url


def test_a_downloaded_table_has_no_formula(visit: Visit, tmp_path: Path) -> None:
    page = visit()
    page.goto("/ui/traces?last=7d&key=hostile")
    with page.expect_download() as download:
        page.get_by_text("Download as CSV").click()
    download.value.save_as(tmp_path / "traces.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "traces.csv").read_text(), newline="")))
    assert f"'{FORMULA}{NASTY}" in rows[1]
    assert not [cell for row in rows for cell in row if re.match(r"\s*[=+@-]", cell)]


def test_no_path_leads_to_another_file(visit: Visit) -> None:
    page = visit()
    for path in (
        "/ui/static/../render.py",
        "/ui/static/%2e%2e/render.py",
        "/ui/static/0/..%2f..%2fsite.py",
        "/ui/..;/x",
    ):
        reply = page.request.get(path)
        assert reply.status in (400, 404)
        assert "import" not in reply.text()
