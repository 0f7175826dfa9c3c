from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer

from proxy.adapters.journal import JournalSettings, SqliteJournal
from proxy.adapters.probe import Answer, Failure, Prober
from proxy.cli.doctor import traffic
from proxy.cli.doctor.posthog import Project
from proxy.cli.doctor.traffic import PROVIDERS, Calls, by_journal, by_posthog, look, place, sort_out
from proxy.domain.double_capture import WARNING
from proxy.domain.journal_rows import Closing

NOW_S = 1_795_000_000.0
OURS = {"127.0.0.1:4000", "llm.acme.test"}


def ended(number: int, ago_s: float, properties: dict[str, Any]) -> Closing:
    return Closing(
        exchange_id=f"call-{number}",
        trace_id="trace",
        ended_unix_us=int((NOW_S - ago_s) * 1e6),
        events=(),
        record=orjson.dumps({"properties": properties}),
    )


def test_calls_of_the_last_day_are_looked_at(tmp_path: Path) -> None:
    wrapped = {"analytics_warnings": ["x-trace-id:secret", WARNING]}
    journal = SqliteJournal(JournalSettings(directory=tmp_path, commit_ms=0, ballast_bytes=4096, store_max_age_s=1e9))
    journal.start()
    calls: list[tuple[float, dict[str, Any]]] = [
        (100_000, wrapped), (80_000, wrapped), (20, {}), (10, {"prompt_name": WARNING}), (5, wrapped)
    ]  # fmt: skip
    for number, (ago_s, properties) in enumerate(calls):
        journal.close(ended(number, ago_s, properties))
    assert journal.close_journal(5)
    (tmp_path / "journal-1.db").write_bytes(b"no journal" * 500)
    assert look(tmp_path, NOW_S) == Calls(seen=4, wrapped=2)
    assert look(tmp_path / "absent", NOW_S) == Calls(seen=0, wrapped=0)


@pytest.mark.parametrize(
    ("calls", "state", "said"),
    [
        (Calls(0, 0), "skip", "no call in the last day"),
        (Calls(1200, 0), "ok", "none of 1,200 calls"),
        (Calls(1200, 3), "warn", "3 of 1,200 calls of the last day came through a wrapper of PostHog's"),
    ],
)
def test_what_the_journal_says(calls: Calls, state: str, said: str) -> None:
    finding = by_journal(calls)
    assert finding.state == state
    assert said in finding.found
    assert finding.advice or state == "ok"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("http://127.0.0.1:4000/v1/", "127.0.0.1:4000"),
        ("https://LLM.Acme.test", "llm.acme.test"),
        ("http://user:secret@[::1]:4000/v1", "[::1]:4000"),
        ("https://a_b.test/v1", ""),
        ("https://[x", ""),
        ("gpt-4o", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_a_place_is_host_and_port(address: object, expected: str) -> None:
    assert place(address) == expected


def rows(*found: list[Any]) -> Answer:
    return Answer(status=200, document={"results": list(found)})


DIRECT = ["posthog-python", "https://api.openai.com/v1/", 50]
HERE = ["posthog-python", "http://127.0.0.1:4000/v1/", 1000]
ALSO_HERE = ["posthog-node", "https://llm.acme.test/anthropic", 234]
GOOGLE = ["posthog-python", "https://generativelanguage.googleapis.com", 6]
UNTOLD = ["posthog-node", None, 7]
GATEWAY = ["posthog-node", "http://gateway.acme.test:8080/v1", 8]


@pytest.mark.parametrize(
    ("answer", "state", "said"),
    [
        (rows(), "ok", "none of the last day's generations"),
        (rows(DIRECT), "ok", "none of the last day's generations"),
        (rows(DIRECT, HERE, ALSO_HERE, GATEWAY, UNTOLD), "warn", "1,234 generations of the last day that came here"),
        (
            rows(DIRECT, GATEWAY, UNTOLD),
            "warn",
            "8 generations of the last day that others captured went to gateway.acme.test:8080",
        ),
        (rows(DIRECT, GOOGLE, UNTOLD), "warn", "13 generations of the last day were captured without a word"),
        (Answer(status=403), "warn", "PostHog does not say (403)"),
        (rows(["too", "short"]), "warn", "PostHog does not say (200)"),
        (Answer(status=200, document=[]), "warn", "PostHog does not say (200)"),
        (Answer(failure=Failure.TIMEOUT), "fail", "no answer"),
    ],
)
def test_what_posthog_says(answer: Answer, state: str, said: str) -> None:
    finding = by_posthog(answer, OURS, PROVIDERS)
    assert finding.state == state
    assert said in finding.found
    assert finding.advice or state == "ok"


def test_hosts_are_named_the_busiest_first() -> None:
    others = sort_out(rows(["a", "http://b.test", 1], ["a", "http://c.test", 5], ["b", "http://b.test", 3]), (), ())
    assert others is not None
    assert (others.unknown, others.hosts) == (9, ["c.test", "b.test"])


async def test_posthog_is_asked_for_generations_that_others_captured() -> None:
    asked: list[tuple[str, str, str, Any]] = []

    async def handler(request: web.BaseRequest) -> web.Response:
        body = await request.json()
        asked.append((request.method, request.path, request.headers["Authorization"], body))
        return web.json_response({"results": [HERE]})

    async with RawTestServer(handler) as server, Prober(lambda: NOW_S) as prober:
        project = Project(host=str(server.make_url("")).rstrip("/"), personal_key="phx_hidden", project_id="17")
        finding = await traffic.ask(prober, project, OURS, PROVIDERS)
    ((method, path, key, body),) = asked
    assert (method, path, key) == ("POST", "/api/projects/17/query/", "Bearer phx_hidden")
    assert body["query"]["kind"] == "HogQLQuery"
    assert "!= 'promptlane'" in body["query"]["query"]
    assert finding.state == "warn"


@pytest.mark.parametrize("project", [Project(), Project(personal_key="phx_hidden"), Project(project_id="17")])
async def test_it_is_not_asked_without_key_and_project(project: Project) -> None:
    async with Prober(lambda: NOW_S) as prober:
        assert (await traffic.ask(prober, project, OURS, PROVIDERS)).state == "skip"
    assert traffic.unasked().state == "skip"
