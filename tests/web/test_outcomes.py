"""Outcome calls on a real socket: methods, types, pages of other origins, and clients that leave."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import orjson
import pytest

from proxy.domain.feedback_token import sign_feedback
from proxy.domain.outcome_context import Found
from proxy.domain.policy import OutcomePolicy, PublishableKey
from tests.harness.client import RawClient, RawReply
from tests.harness.exchanges import EXCHANGE_ID
from tests.pipeline.fakes import SECRET, World, snapshot, world
from tests.pipeline.outcome_fakes import FakeFinder, outcome_services
from tests.web.serving import Listening, asks, listening

APP = "https://app.example.com"
PUBLISHED = "plp_support_pages"
RATING = {"trace_id": "t", "user_feedback": "positive"}
POLICY = OutcomePolicy(origins=frozenset({APP}), publishable_keys=(PublishableKey(PUBLISHED, "web"),))
LOCAL = b"Host: localhost"
JSON = b"Content-Type: application/json"
TOKEN = f"X-LLM-Feedback-Token: {sign_feedback(EXCHANGE_ID, 2_000_000_000, SECRET)}".encode()


class Known(FakeFinder):
    """Knows at once that it knows nothing."""

    async def find(self, *_: Any) -> Sequence[Found]:
        return [Found(meant=_CALL, trace=(_CALL,))]


_CALL = {"exchange_id": EXCHANGE_ID, "trace_id": "t", "distinct_id": "u", "properties": {"status": "success"}}


@asynccontextmanager
async def serving(finder: FakeFinder | None = None) -> AsyncIterator[tuple[World, Listening]]:
    made = world(configured=replace(snapshot(), outcomes=POLICY))
    services = outcome_services(made.services, finder or Known(), is_loopback=True)
    async with listening(made.services, services) as served:
        yield made, served


def sends(body: object, *fields: bytes, target: str = "/analytics/v1/feedback", method: str = "POST") -> bytes:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    return asks(target, data, *fields, method=method).replace(b"Host: proxy.test", LOCAL)


async def ask(
    body: object, *fields: bytes, target: str = "/analytics/v1/feedback", method: str = "POST"
) -> tuple[World, RawReply]:
    async with serving() as (made, served), RawClient(served.port) as client:
        await client.send(sends(body, *fields, target=target, method=method))
        return made, await client.reply(method)


def code_of(reply: RawReply) -> tuple[int, str]:
    return reply.status, reply.json()["error"]["code"]


async def test_an_outcome_is_answered_with_the_uuid_of_its_event() -> None:
    made, reply = await ask(RATING, JSON)
    (event,) = made.journal.events("llm_output_rated")
    assert (reply.status, reply.json()) == (202, {"uuids": [event["uuid"]], "context_found": [True]})
    assert reply.head.get("content-type") == "application/json"
    assert reply.head.get("access-control-allow-origin") is None


async def test_a_connection_takes_one_outcome_after_the_other_and_tells_a_repetition() -> None:
    async with serving() as (made, served), RawClient(served.port) as client:
        replies = []
        for _ in range(2):
            await client.send(sends({**RATING, "id": "7"}, JSON))
            replies.append(await client.reply())
    assert [reply.head.get("idempotent-replayed") for reply in replies] == [None, "true"]
    assert replies[0].body == replies[1].body
    assert len(made.journal.events("llm_output_rated")) == 1


async def test_bad_fields_are_named_one_by_one() -> None:
    made, reply = await ask([RATING, {"user_feedback": "up"}], JSON)
    assert code_of(reply) == (400, "bad_outcome")
    (field,) = reply.json()["error"]["fields"]
    assert field == {"path": "[1].user_feedback", "message": "must be one of negative, neutral, positive"}
    assert made.journal.outcomes == []


@pytest.mark.parametrize(
    ("target", "method", "fields", "expected"),
    [
        ("/analytics/v1/feedback", "GET", (), (405, "method_not_allowed")),
        ("/analytics/v1/feedback", "OPTIONS", (), (405, "method_not_allowed")),
        ("/analytics/v1/ratings", "POST", (JSON,), (404, "not_found")),
        ("/analytics/v1/feedback/1", "POST", (JSON,), (404, "not_found")),
        ("/analytics/v1/", "POST", (JSON,), (404, "not_found")),
        ("/analytics/v2/feedback", "POST", (JSON,), (404, "not_found")),
        ("/analytics/v1/feedback", "POST", (), (415, "json_required")),
        ("/analytics/v1/feedback", "POST", (b"Content-Type: text/plain",), (415, "json_required")),
        ("/analytics/v1/feedback", "POST", (JSON, b"Content-Encoding: gzip"), (415, "unsupported_encoding")),
        ("/analytics/v1/feedback", "POST", (JSON, b"X-LLM-Feedback-Token: f1.forged"), (401, "bad_feedback_token")),
        ("/analytics/v1/feedback", "POST", (JSON, b"X-Promptlane-Key: plk_other"), (401, "unknown_proxy_key")),
        ("/analytics/v1/tasks", "POST", (JSON, TOKEN), (403, "feedback_alone")),
    ],
)
async def test_what_is_no_outcome_call_is_told_so(
    target: str, method: str, fields: tuple[bytes, ...], expected: tuple[int, str]
) -> None:
    made, reply = await ask(RATING, *fields, target=target, method=method)
    assert code_of(reply) == expected
    assert made.journal.outcomes == []


async def test_a_body_over_the_limit_is_refused_before_it_is_read() -> None:
    async with serving() as (_, served), RawClient(served.port) as client:
        head = b"POST /analytics/v1/feedback HTTP/1.1\r\n%b\r\n%b\r\nContent-Length: 2000000\r\n\r\n" % (LOCAL, JSON)
        await client.send(head)
        (reply,) = await client.replies_until_closed()
    assert code_of(reply) == (413, "body_too_large")


PREFLIGHT = (
    b"Access-Control-Request-Method: POST",
    b"Access-Control-Request-Headers: content-type,x-llm-feedback-token",
)


async def test_a_page_of_an_allowed_origin_may_ask_and_read() -> None:
    """As Chromium does: a preflight without credentials, then the call."""
    origin = f"Origin: {APP}".encode()
    _, asked = await ask(b"", origin, *PREFLIGHT, method="OPTIONS")
    assert (asked.status, asked.body, asked.head.get("access-control-allow-origin")) == (204, b"", APP)
    assert asked.head.get("access-control-allow-methods") == "POST"
    wanted = {name.strip().lower() for name in str(asked.head.get("access-control-allow-headers")).split(",")}
    assert {"content-type", "x-llm-feedback-token", "authorization", "idempotency-key", "x-llm-context"} <= wanted
    _, sent = await ask({"user_feedback": "positive"}, origin, JSON, TOKEN)
    assert (sent.status, sent.head.get("access-control-allow-origin"), sent.head.get("vary")) == (202, APP, "Origin")
    assert sent.head.get("access-control-allow-credentials") is None
    _, refused = await ask({"user_feedback": "up"}, origin, JSON, TOKEN)
    assert (code_of(refused), refused.head.get("access-control-allow-origin")) == ((400, "bad_outcome"), APP)
    _, published = await ask(RATING, origin, JSON, f"Authorization: Bearer {PUBLISHED}".encode())
    assert published.status == 202


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "https://app.example.com.evil.example",
        "http://app.example.com",
        f"{APP}:8443",
        "",
    ],
)
async def test_a_page_of_another_origin_may_neither_ask_nor_call(origin: str) -> None:
    field = f"Origin: {origin}".encode()
    for method, fields in (("OPTIONS", PREFLIGHT), ("POST", (JSON,))):
        made, reply = await ask(RATING, field, *fields, method=method)
        assert (code_of(reply), reply.head.get("access-control-allow-origin")) == ((403, "origin_not_allowed"), None)
        assert made.journal.outcomes == []


async def test_a_page_sends_feedback_alone() -> None:
    _, reply = await ask(
        {"trace_id": "t", "task_completed": True}, f"Origin: {APP}".encode(), JSON, target="/analytics/v1/tasks"
    )
    assert code_of(reply) == (403, "origin_not_allowed")


async def test_an_outcome_is_told_also_when_its_client_leaves() -> None:
    """As a page does that is closed right after the click; the proxy does not stop before."""

    class Slow(Known):
        looked, gate = asyncio.Event(), asyncio.Event()

        async def find(self, *about: Any) -> Sequence[Found]:
            self.looked.set()
            await self.gate.wait()
            return await super().find(*about)

    finder = Slow()
    async with serving(finder) as (made, served):
        async with RawClient(served.port) as client:
            await client.send(sends(RATING, JSON))
            await finder.looked.wait()
        assert not await served.edge.wait_idle(0.05)
        finder.gate.set()
        assert await served.edge.wait_idle(5)
    assert len(made.journal.events("llm_output_rated")) == 1


async def test_a_bug_is_answered_and_told_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(FakeFinder):
        async def find(self, *_: Any) -> Sequence[Found]:
            raise RuntimeError("swordfish")

    async with serving(Broken()) as (_, served), RawClient(served.port) as client:
        await client.send(sends(RATING, JSON))
        reply = await client.reply()
    assert code_of(reply) == (500, "internal")
    assert "a bug while taking an outcome" in caplog.messages
    assert b"swordfish" not in reply.body
