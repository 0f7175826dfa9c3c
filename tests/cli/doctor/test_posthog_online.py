from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import RawTestServer, unused_port

from proxy.adapters.probe import Answer, Prober
from proxy.cli.doctor import posthog_online
from proxy.cli.doctor.finding import Finding
from proxy.cli.doctor.posthog import EU, US, Project
from proxy.cli.doctor.posthog_online import SCOPES, belongs_to, capture, definitions, project_key, same_project, scopes

PROJECT = Project(
    api_key="phc_hidden", personal_key="phx_hidden", secret_key="phs_hidden", project_id="17", other_host=EU
)
V1 = replace(PROJECT, capture="v1")
ALONE = replace(PROJECT, host="https://posthog.acme.test", other_host=None)
Read = Callable[[Answer, Project], Finding]


def said(status: int, **members: Any) -> Answer:
    return Answer(status=status, document=members or None)


@pytest.mark.parametrize(
    ("read", "project", "answer", "state", "found"),
    [
        (project_key, PROJECT, said(200), "ok", f"known at {US}"),
        (project_key, ALONE, said(401), "fail", "https://posthog.acme.test does not know it"),
        (project_key, PROJECT, said(404), "warn", "does not say whether it knows it (404)"),
        (project_key, PROJECT, said(503), "warn", "does not say whether it knows it (503)"),
        (capture, PROJECT, said(400), "ok", "/batch/ takes events"),
        (capture, PROJECT, said(200), "ok", "/batch/ takes events"),
        (capture, V1, said(400), "ok", "/i/v1/analytics/events takes events"),
        (capture, PROJECT, said(401), "fail", "/batch/ refuses the project key (401)"),
        (capture, PROJECT, said(404), "fail", "/batch/ is not there (404)"),
        (capture, PROJECT, said(301), "fail", "/batch/ is not there (301)"),
        (capture, V1, said(404), "warn", "events go to /batch/ instead"),
        (capture, PROJECT, said(502), "warn", "/batch/ answers 502"),
        (definitions, PROJECT, said(200), "ok", "readable with POSTHOG_SECRET_KEY"),
        (definitions, replace(PROJECT, secret_key=None), said(200), "ok", "readable with POSTHOG_PERSONAL_API_KEY"),
        (definitions, PROJECT, said(401), "fail", "the key in POSTHOG_SECRET_KEY is refused"),
        (definitions, PROJECT, said(402), "warn", "the quota of flag requests is used up"),
        (definitions, PROJECT, said(403), "fail", "may not (403)"),
        (definitions, PROJECT, said(404), "warn", "not at this host"),
        (definitions, PROJECT, said(429), "warn", "asked too often"),
        (definitions, PROJECT, said(503), "warn", "PostHog answers 503"),
        (scopes, PROJECT, said(200, scopes=["*"]), "ok", "has all that is needed"),
        (scopes, PROJECT, said(200, scopes=[s.replace("read", "write") for s in SCOPES]), "ok", "has all"),
        (scopes, PROJECT, said(200, scopes=list(SCOPES)[1:]), "warn", "lacks dashboard:write (for dashboards)"),
        (scopes, PROJECT, said(200, scopes=["query:write", 3]), "warn", "feature_flag:read (for flag definitions)"),
        (scopes, PROJECT, said(401), "fail", "the personal key is refused"),
        (scopes, PROJECT, said(403), "warn", "PostHog does not tell them (403)"),
        (scopes, PROJECT, said(200, scopes="*"), "warn", "PostHog does not tell them (200)"),
        (same_project, PROJECT, said(200, api_token="phc_hidden"), "ok", "17 is the one that events go to"),
        (same_project, PROJECT, said(200, api_token="phc_other"), "fail", "are two projects"),
        (same_project, replace(PROJECT, api_key=None), said(200, api_token="phc_other"), "ok", "17 is there"),
        (same_project, PROJECT, said(200), "warn", "does not tell its key (200)"),
        (same_project, PROJECT, said(401), "fail", "the personal key is refused"),
        (same_project, PROJECT, said(403), "warn", "does not see project 17 (403)"),
        (same_project, PROJECT, said(404), "warn", "does not see project 17 (404)"),
        (same_project, PROJECT, said(500), "warn", "does not tell its key (500)"),
    ],
)  # fmt: skip
def test_what_a_reply_means(read: Read, project: Project, answer: Answer, state: str, found: str) -> None:
    finding = read(answer, project)
    assert finding.state == state
    assert found in finding.found
    assert finding.advice or state == "ok"
    assert "hidden" not in repr(finding)
    assert "phc_other" not in repr(finding)


@pytest.mark.parametrize(
    ("host", "other", "status", "found", "advice"),
    [
        (US, EU, 200, "it belongs to EU, not to US", f"set POSTHOG_HOST={EU}"),
        (EU, US, 200, "it belongs to US, not to EU", f"set POSTHOG_HOST={US}"),
        (US, EU, 401, f"{US} does not know it, nor does EU", "copy the project key again"),
        (US, EU, 503, f"{US} does not know it", "copy the project key again"),
    ],
)
def test_a_key_of_the_other_region(host: str, other: str, status: int, found: str, advice: str) -> None:
    finding = belongs_to(replace(PROJECT, host=host, other_host=other), said(status))
    assert (finding.state, finding.found) == ("fail", found)
    assert finding.advice.startswith(advice)


Routes = dict[str, tuple[int, object]]


@asynccontextmanager
async def posthog(routes: Routes, asked: list[tuple[str, str, str | None, object]]) -> AsyncIterator[str]:
    """Answers by path, 404 elsewhere; errors quote what nobody may repeat."""

    async def handler(request: web.BaseRequest) -> web.Response:
        body = await request.json() if request.can_read_body else None
        asked.append((request.method, request.path_qs, request.headers.get("Authorization"), body))
        status, document = routes.get(request.path, (404, {"detail": "CANARY"}))
        return web.json_response(document, status=status)

    async with RawTestServer(handler) as server:
        yield str(server.make_url("")).rstrip("/")


async def ask(project: Project) -> dict[str, Finding]:
    async with Prober(lambda: 0.0) as prober:
        found, _ = await posthog_online.ask(prober, project)
    assert "hidden" not in repr(found)
    assert "CANARY" not in repr(found)
    return {finding.title: finding for finding in found}


ALL: Routes = {
    "/flags/": (200, {"flags": {}}),
    "/batch/": (400, "CANARY"),
    "/flags/definitions": (200, {"flags": []}),
    "/api/personal_api_keys/@current/": (200, {"scopes": ["*"]}),
    "/api/projects/17/": (200, {"api_token": "phc_hidden"}),
}


async def test_a_good_project_is_asked_once_for_each_thing_and_stores_nothing() -> None:
    asked: list[tuple[str, str, str | None, object]] = []
    async with posthog(ALL, asked) as host:
        told = await ask(replace(PROJECT, host=host))
    assert {title: finding.state for title, finding in told.items()} == dict.fromkeys(
        ("project key", "capture", "flag definitions", "scopes", "project"), "ok"
    )
    assert sorted(asked, key=lambda one: one[1]) == [
        ("GET", "/api/personal_api_keys/@current/", "Bearer phx_hidden", None),
        ("GET", "/api/projects/17/", "Bearer phx_hidden", None),
        ("POST", "/batch/", None, {"api_key": "phc_hidden", "batch": []}),
        ("POST", "/flags/?v=2", None, {"token": "phc_hidden", "disable_flags": True}),
        ("GET", "/flags/definitions?token=phc_hidden", "Bearer phs_hidden", None),
    ]


async def test_capture_v1_is_asked_in_its_own_way() -> None:
    asked: list[tuple[str, str, str | None, object]] = []
    async with posthog({"/i/v1/analytics/events": (400, {})}, asked) as host:
        told = await ask(Project(host=host, api_key="phc_hidden", capture="v1"))
    assert told["capture"].state == "ok"
    assert ("POST", "/i/v1/analytics/events", "Bearer phc_hidden", {"batch": []}) in asked


async def test_a_refused_key_is_tried_in_the_other_region() -> None:
    refuses: Routes = {**ALL, "/flags/": (401, "CANARY")}
    async with posthog(refuses, []) as host, posthog(ALL, asked := []) as other:  # type: ignore[var-annotated]
        told = await ask(replace(PROJECT, host=host, other_host=other))
    assert (told["project key"].state, told["project key"].advice) == ("fail", f"set POSTHOG_HOST={other}")
    assert [path for _, path, _, _ in asked] == ["/flags/?v=2"]


async def test_a_silent_host_is_told_once() -> None:
    host = f"http://127.0.0.1:{unused_port()}"
    told = await ask(replace(PROJECT, host=host))
    assert [(finding.title, finding.state) for finding in told.values()] == [(host, "fail")]


async def test_without_keys_there_is_nothing_to_ask() -> None:
    told = await ask(Project(host=f"http://127.0.0.1:{unused_port()}", project_id="../etc"))
    assert [finding.state for finding in told.values()] == ["skip"]
    assert [finding.state for finding in posthog_online.unasked()] == ["skip"]
