"""The command as an operator runs it: in an empty folder, misused, and against servers that do as they are told."""

import asyncio
import json
import socket
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from proxy.cli import main
from proxy.config.load import load

pytestmark = pytest.mark.usefixtures("alone")
GROUPS = ["Configuration", "Machine", "Data folder", "Providers", "PostHog", "Traffic"]
CANARY = "CANARY-71c0"


@pytest.fixture
def contacted(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """Every address that this process connects to, and every name that it asks for."""
    found: list[object] = []
    connect, resolve = socket.socket.connect, socket.getaddrinfo

    def watched_connect(sock: socket.socket, address: Any) -> None:
        found.append(address)
        connect(sock, address)

    def watched_resolve(host: Any, *rest: Any, **options: Any) -> Any:
        found.append(host)
        return resolve(host, *rest, **options)

    monkeypatch.setattr(socket.socket, "connect", watched_connect)
    monkeypatch.setattr(socket, "getaddrinfo", watched_resolve)
    return found


def findings(out: str) -> dict[str, dict[str, str]]:
    return {finding["title"]: finding for finding in json.loads(out)["findings"]}


def test_in_an_empty_folder_it_reports_touches_nothing_and_asks_nobody(
    capsys: pytest.CaptureFixture[str], contacted: list[object]
) -> None:
    assert main(["doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line and not line.startswith(" ")][:-1] == GROUPS
    assert max(map(len, lines)) <= 80
    assert "  ok    folder: data does not exist; the first start makes it" in lines
    assert list(Path().iterdir()) == []
    assert contacted == []


def test_what_fails_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    Path("data").write_text("")
    assert main(["doctor", "--json"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["counts"]["fail"] == 1
    assert [f["found"] for f in document["findings"] if f["state"] == "fail"] == ["data is a file"]
    assert all(f["advice"] for f in document["findings"] if f["state"] != "ok")


def test_a_configuration_that_cannot_be_used_is_listed_as_by_check(capsys: pytest.CaptureFixture[str]) -> None:
    Path("config").mkdir()
    Path("config/routing.yaml").write_text("version: 1\nproviderz: {}\nmodels: {m: {}}\n")
    assert main(["doctor"]) == 2
    printed = capsys.readouterr()
    assert main(["check"]) == 2
    assert printed.err == capsys.readouterr().err
    assert printed.out == ""


@pytest.mark.parametrize(
    ("arguments", "env", "said"),
    [
        (["--send-test-event"], {}, "--send-test-event sends an event to PostHog; say --online too"),
        (["--config", "nowhere"], {}, "nowhere: there is no such folder"),
        ([], {"PROMPTLANE_PORT": "many"}, "PROMPTLANE_PORT"),
        ([], {"POSTHOG_API_KEY": f"phx_{CANARY}"}, "POSTHOG_API_KEY"),
        ([], {"POSTHOG_HOST": f"eu.posthog.com/{CANARY}"}, "POSTHOG_HOST"),
    ],
)
def test_misuse(
    arguments: list[str],
    env: dict[str, str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert main(["doctor", *arguments]) == 2
    printed = capsys.readouterr()
    assert said in printed.err
    assert CANARY not in printed.out + printed.err


@pytest.mark.parametrize("url", ["here", "ftp://127.0.0.1", "http://127.0.0.1:4000?key=x"])
def test_an_address_that_is_none(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main(["doctor", "--url", url])
    assert left.value.code == 2
    assert "argument --url: an address" in capsys.readouterr().err


async def test_offline_only_a_proxy_on_this_machine_is_asked(
    capsys: pytest.CaptureFixture[str], contacted: list[object]
) -> None:
    digest = load(Path("config"), Path("pricing.yaml"), {}).digest

    async def proxy(request: web.BaseRequest) -> web.Response:
        return web.json_response({"status": "ready"} if request.path == "/readyz" else {"config": digest})

    async with RawTestServer(proxy) as server:
        assert await asyncio.to_thread(main, ["doctor", "--json", "--url", str(server.make_url("/"))]) == 0
        found = findings(capsys.readouterr().out)["running proxy"]
        assert (found["state"], found["found"].split(" ", 1)[1]) == ("ok", "takes calls, with this configuration")
        assert {address[0] for address in contacted if isinstance(address, tuple)} == {"127.0.0.1"}
    contacted.clear()
    assert await asyncio.to_thread(main, ["doctor", "--json", "--url", "https://llm.example.com"]) == 0
    assert findings(capsys.readouterr().out)["running proxy"]["advice"] == "add --online"
    assert contacted == []


class World:
    """Provider and PostHog at one address. Errors quote what nobody may repeat."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.provider_status = 200

    async def answer(self, request: web.BaseRequest) -> web.Response:
        is_known = CANARY in request.headers.get("Authorization", "")
        match request.path:
            case "/v1/models" if is_known:
                return web.json_response({"data": [CANARY]}, status=self.provider_status)
            case "/batch/":
                batch = (await request.json())["batch"]
                self.events += batch
                return web.json_response({"status": "Ok"}, status=200 if batch else 400)
            case "/flags/":
                return web.json_response({"flags": {CANARY: True}})
            case "/flags/definitions" if is_known:
                return web.json_response({"flags": [CANARY]})
            case "/api/personal_api_keys/@current/":
                return web.json_response({"scopes": ["*"], "label": CANARY})
            case "/api/projects/17/":
                return web.json_response({"api_token": f"phc_{CANARY}", "name": CANARY})
            case "/api/projects/17/query/":
                return web.json_response({"results": [["posthog-python", "http://localhost:4000/v1/", 12]]})
        return web.json_response({"error": CANARY}, status=401)


def set_up(host: str) -> dict[str, str]:
    """One provider with our key; returns every variable that a project may have."""
    Path("config").mkdir()
    Path("config/routing.yaml").write_text(
        f"version: 1\nproviders: {{ours: {{kind: openai, base_url: {host}/v1, key_env: OUR_KEY}}}}\n"
    )
    return {
        "OUR_KEY": CANARY,
        "POSTHOG_HOST": host,
        "POSTHOG_API_KEY": f"phc_{CANARY}",
        "POSTHOG_PERSONAL_API_KEY": f"phx_{CANARY}",
        "POSTHOG_SECRET_KEY": f"phs_{CANARY}",
        "POSTHOG_PROJECT_ID": "17",
        "PROMPTLANE_SECRET": CANARY * 2,
    }


async def test_online_everybody_is_asked_and_nothing_secret_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World()
    async with RawTestServer(world.answer) as server:
        host = str(server.make_url("")).rstrip("/")
        for name, value in set_up(host).items():
            monkeypatch.setenv(name, value)
        assert await asyncio.to_thread(main, ["doctor", "--online", "--send-test-event", "--json"]) == 0
        found = findings(capsys.readouterr().out)
        assert [event["event"] for event in world.events] == ["promptlane_doctor"]
        world.provider_status = 403
        assert await asyncio.to_thread(main, ["doctor", "--online"]) == 1
        text = " ".join(capsys.readouterr().out.split())
    assert CANARY not in json.dumps(found) + text
    good = (
        f"ours ({host}/v1)",
        "clock",
        "project key",
        "capture",
        "flag definitions",
        "scopes",
        "project",
        "test event",
    )
    assert {title: found[title]["state"] for title in good} == dict.fromkeys(good, "ok")
    assert "as the hosts that were asked have it" in found["clock"]["found"]
    twice = found["captured twice, by PostHog"]
    assert (twice["state"], twice["found"].split(" ")[0]) == ("warn", "12")
    assert "the key in OUR_KEY is refused (403)" in text
    assert len(world.events) == 1
