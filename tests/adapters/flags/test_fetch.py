import asyncio

import pytest

from proxy.adapters.flags import fetch as module
from proxy.adapters.flags.fetch import Failed, Fetched, Project, Trouble, Unchanged, fetch
from tests.harness.flags import definitions, flag
from tests.harness.posthog import HTML, Answer, ScriptedPostHog


def project(posthog):
    return Project(host=posthog.url, api_key="phc_ours", secret_key="phs_hidden")


async def test_definitions_are_asked_for_with_both_keys_and_then_by_their_tag():
    async with ScriptedPostHog() as posthog:
        posthog.flags = definitions(flag("answers"))
        first = await fetch(project(posthog), None)
        assert isinstance(first, Fetched)
        assert b'"answers"' in first.body
        assert await fetch(project(posthog), first.etag) == Unchanged()
    asked = posthog.flags_requests[0]
    assert asked.start_line == "GET /flags/definitions?token=phc_ours&send_cohorts HTTP/1.1"
    assert asked.get("authorization") == "Bearer phs_hidden"


@pytest.mark.parametrize(
    ("answer", "trouble", "wait_s"),
    [
        (Answer(status=401), Trouble.KEY_REFUSED, 300),
        (Answer(status=403), Trouble.KEY_REFUSED, 300),
        (Answer(status=402), Trouble.QUOTA_USED_UP, 300),
        (Answer(status=429, headers={"Retry-After": "120"}), Trouble.TOO_MANY_REQUESTS, 120),
        (Answer(status=429, headers={"Retry-After": "999999"}), Trouble.TOO_MANY_REQUESTS, 3600),
        (Answer(status=503, headers={"Retry-After": "soon"}), Trouble.SERVER_ERROR, 0),
        (Answer(status=500), Trouble.SERVER_ERROR, 0),
        (Answer(status=404), Trouble.UNEXPECTED_REPLY, 0),
        (Answer(status=302, headers={"Location": "http://127.0.0.1:9/"}), Trouble.UNEXPECTED_REPLY, 0),
        (Answer(body=b"x" * 200_000), Trouble.TOO_LARGE, 0),
        (Answer(body=b"x" * 5_000, is_truncated=True), Trouble.UNREACHABLE, 0),
        (Answer(is_lost=True), Trouble.UNREACHABLE, 0),
    ],
)
async def test_what_else_posthog_may_say(monkeypatch, answer, trouble, wait_s):
    monkeypatch.setattr(module, "BODY_LIMIT_BYTES", 100_000)
    async with ScriptedPostHog() as posthog:
        posthog.flags_answer = answer
        assert await fetch(project(posthog), None) == Failed(trouble, wait_s)


async def test_a_page_is_taken_as_it_is_and_refused_by_who_reads_it():
    async with ScriptedPostHog() as posthog:
        posthog.flags_answer = HTML
        assert isinstance(await fetch(project(posthog), None), Fetched)


async def test_a_server_that_never_answers_is_given_up(monkeypatch):
    monkeypatch.setattr(module, "TOTAL_S", 0.05)
    async with ScriptedPostHog() as posthog:
        posthog.flags_answer = Answer(gate=asyncio.Event())
        assert await fetch(project(posthog), None) == Failed(Trouble.UNREACHABLE)


async def test_nobody_there():
    gone = Project(host="http://127.0.0.1:9", api_key="phc_ours", secret_key="phs_hidden")
    assert await fetch(gone, None) == Failed(Trouble.UNREACHABLE)
    assert "phs_hidden" not in repr(gone)
