"""Law 1 over the whole corpus: what the provider sent is what the client gets, however the bytes are split."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
import pytest_asyncio

from tests.harness import dialects
from tests.harness.bed import UPSTREAM_CLIENTS, Bed, chat
from tests.harness.client import Plan
from tests.harness.replies import Reply
from tests.harness.scripts import wire_reply
from tests.harness.wire import Sample, corpus

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATHS = {
    "chat": "/v1/chat/completions",
    "azure": "/v1/chat/completions",
    "completions": "/v1/completions",
    "responses": "/v1/responses",
    "embeddings": "/v1/embeddings",
    "anthropic": "/v1/messages",
    "messages": "/v1/messages",
    "anthropic_count_tokens": "/v1/messages/count_tokens",
    "images": "/v1/images/generations",
    "speech": "/v1/audio/speech",
    "gemini": "/v1beta/models/gemini-2.5-flash:streamGenerateContent?alt=sse",
}
"""Where a sample's dialect is served; everything else passes below `/v1/`."""
SPLITS = {"as recorded": (1 << 20,), "byte by byte": (1,), "uneven": (7, 1, 64, 3, 1024)}
ONE_BY_ONE_LIMIT_BYTES = 20_000


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=UPSTREAM_CLIENTS)
async def bed(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> AsyncIterator[Bed]:
    async with Bed(tmp_path_factory.mktemp("bytes"), upstream_client=request.param) as bed:
        yield bed


def plan_for(sample: Sample, split: str, *, asks_for_usage: bool) -> Plan:
    fields: dict[str, Any] = {"stream_options": {"include_usage": True}} if asks_for_usage else {}
    body = chat(stream=sample.is_stream, **fields)
    return Plan(path=PATHS.get(sample.api, "/v1/other"), body=body, script=f"{split}/{sample.name}", kind=sample.name)


def samples() -> list[Sample]:
    return [sample for _, sample in sorted(corpus().items())]


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
async def test_the_client_gets_the_bytes_that_the_provider_sent(bed: Bed, sample: Sample, split: str) -> None:
    """The client asks for usage itself, so that no rule allows an edit."""
    if split == "byte by byte" and len(sample.body) > ONE_BY_ONE_LIMIT_BYTES:
        pytest.skip("one by one, a sample of this size takes too long; the uneven split stands for it")
    plan = plan_for(sample, split, asks_for_usage=True)
    assert plan.script is not None
    bed.provider.named[plan.script] = wire_reply(sample.name, SPLITS[split])
    call = await bed.client.call(plan)
    assert (call.status, call.body_bytes) == (sample.http_status, len(sample.body))
    assert call.body_sha256 == hashlib.sha256(sample.body).hexdigest()
    assert dict(call.headers)["Content-Type"] == sample.content_type


@pytest.mark.parametrize("sample", samples(), ids=lambda sample: sample.name)
async def test_without_usage_asked_for_only_usage_is_removed(bed: Bed, sample: Sample) -> None:
    """Where the proxy may inject, the client gets every event but the usage chunk, each byte for byte."""
    plan = plan_for(sample, "uneven", asks_for_usage=False)
    assert plan.script is not None
    bed.provider.named[plan.script] = wire_reply(sample.name)
    pieces: list[bytes] = []
    call = await bed.client.call(plan, on_piece=pieces.append)
    assert call.status == sample.http_status
    body = b"".join(pieces)
    if body != sample.body:
        assert sample.api in {"chat", "azure", "completions"}
        assert sample.is_stream
        assert without_usage(body) == without_usage(sample.body)


def without_usage(body: bytes) -> list[object]:
    """The events of a stream less usage: what may differ once `stream_options` were injected."""
    kept: list[object] = []
    for data in filter(None, map(data_of, re.split(rb"\r\n\r\n|\n\n|\r\r", body.removeprefix(b"\xef\xbb\xbf")))):
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            value = data
        if isinstance(value, dict):
            has_no_choice = value.get("choices") == []
            value = None if has_no_choice else {key: item for key, item in value.items() if key != "usage"}
        if value is not None:
            kept.append(value)
    return kept


def data_of(block: bytes) -> bytes:
    """The joined `data` lines of one event; none in a comment."""
    fields = [line.partition(b":") for line in re.split(rb"\r\n|\n|\r", block)]
    return b"\n".join(value.removeprefix(b" ") for name, _, value in fields if name == b"data")


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/completions"])
@pytest.mark.parametrize("words", [0, 1, 50])
async def test_injected_usage_leaves_no_trace(bed: Bed, path: str, words: int) -> None:
    """The exact bytes that a provider sends to a client that did not ask, although the proxy did ask."""
    body = chat(stream=True)
    expected = dialects.reply_to(body, path, words=words).body
    outcome = await bed.outcome(Plan(path=path, body=body, script=f"words:{words}"))
    assert orjson.loads(outcome.attempts[0].body)["stream_options"] == {"include_usage": True}
    assert (outcome.call.body_bytes, outcome.call.body_sha256) == (len(expected), hashlib.sha256(expected).hexdigest())
    assert (outcome.end["input_tokens"], outcome.end["output_tokens"]) == (dialects.INPUT_TOKENS, words)
    assert outcome.end["usage_source"] == "provider"


REQUESTS = {
    "spaces": b' { "model" : "m" ,\n "messages":[ ] } \n',
    "unknown fields": b'{"model":"m","x":{"y":[1,2.50,1e5,"\\u00e9"]},"z":null}',
    "order and escapes": b'{"messages":[{"content":"\\u2028\\/","role":"user"}],"model":"m"}',
    "large": b'{"model":"m","input":"' + b"a" * 3_000_000 + b'"}',
}


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/messages"])
@pytest.mark.parametrize("case", REQUESTS)
async def test_the_provider_gets_the_bytes_that_the_client_sent(bed: Bed, path: str, case: str) -> None:
    call = await bed.client.call(Plan(path=path, body=REQUESTS[case], script="echo"))
    assert bed.provider.of_call(call.call_id)[0].body == REQUESTS[case]
    assert call.body_sha256 == hashlib.sha256(REQUESTS[case]).hexdigest()


TARGETS = [
    "/v1/files?purpose=fine%2Dtune&limit=1&limit=2&empty=&x",
    "/v1/files/file-1/content",
    "/v1/responses/resp_1/input_items?after=a%20b+c",
    "/v1/models/gpt-4.1-mini",
    "/v1/threads/%C3%A9/messages",
    "/v1/models/gemini-2.5-flash:countTokens",
    "/v1/vector_stores/",
]


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "PUT", "PATCH"])
async def test_any_method_and_target_pass_unchanged(bed: Bed, target: str, method: str) -> None:
    body = bytes(range(256)) if method != "GET" else b""
    headers = (("Content-Type", "application/octet-stream"),)
    call = await bed.client.call(Plan(method=method, path=target, body=body, headers=headers, script="echo"))
    (record,) = bed.provider.of_call(call.call_id)
    assert (record.method, record.target, record.body) == (method, target, body)
    assert call.body_sha256 == hashlib.sha256(body).hexdigest()


async def test_a_head_request_has_no_body(bed: Bed) -> None:
    call = await bed.client.call(Plan(method="HEAD", path="/v1/models"))
    assert call.status == 200
    assert call.body_bytes == 0


async def test_a_multipart_upload_is_streamed_through_unchanged(bed: Bed) -> None:
    part = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n' + bytes(range(256)) * 4000
    body = part + b"\r\n--b--\r\n"
    headers = (("Content-Type", "multipart/form-data; boundary=b"),)
    plan = Plan(path="/v1/audio/transcriptions", body=body, headers=headers, script="echo")
    call = await bed.client.call(plan)
    assert bed.provider.of_call(call.call_id)[0].body == body


async def test_the_first_event_arrives_while_the_second_is_not_yet_made(bed: Bed) -> None:
    """Law 2, at the wire: no event waits for another."""
    gates = [asyncio.Event() for _ in range(3)]
    events = [b'data: {"choices":[{"index":0,"delta":{"content":"%d"}}]}\n\n' % n for n in range(3)]
    pieces = [piece for pair in zip(events, gates, strict=True) for piece in pair]
    bed.provider.scripts.append(Reply(headers=(("Content-Type", "text/event-stream"),), pieces=pieces))
    received = bytearray()

    def note(piece: bytes) -> None:
        received.extend(piece)
        for gate in gates[: len(received) // len(events[0])]:
            gate.set()

    call = await bed.client.call(Plan(body=chat(stream=True)), on_piece=note)
    assert call.status == 200
    assert received == b"".join(events)
