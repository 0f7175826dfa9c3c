import asyncio

import pytest

from proxy.web.server import HEADER_BLOCK_BYTES
from tests.harness.call import PATIENCE_S
from tests.harness.client import RawClient, RawReply
from tests.pipeline.fakes import ScriptedReply, world
from tests.web.serving import asks, listening
from tests.web.test_gateway import BODY, STREAM, soon

ADMIN = b"Authorization: Bearer an-admin-token"


async def ask(request: bytes, method: str = "GET") -> RawReply:
    """The reply of an edge whose provider may be asked once."""
    async with listening(world(ScriptedReply(steps=[b"{}"])).services) as served, RawClient(served.port) as client:
        await client.send(request)
        return await client.reply(method)


async def refusal(request: bytes) -> tuple[int, str]:
    """Status and code of what is refused; such a connection is closed."""
    async with listening(world().services) as served, RawClient(served.port) as client:
        await client.send(request)
        (reply,) = await client.replies_until_closed()
    return reply.status, reply.json()["error"]["code"]


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/healthz", "/readyz", "/metrics", "/version", "/ui/traces/trace%2D1", "/healthz?a=b"]
)
async def test_operations_answer_get_and_head(path: str, method: str) -> None:
    reply = await ask(asks(path, b"", ADMIN, method=method), method)
    assert reply.status == 200
    assert bool(reply.body) is (method == "GET")


@pytest.mark.parametrize("path", ["/ui", "/ui/traffic", "/ui/traces/trace_2"])
async def test_pages_are_below_ui_and_cannot_be_changed(path: str) -> None:
    assert (await ask(asks(path, b"", ADMIN, method="GET"))).body == path.encode()
    assert await refusal(asks(path, b"", ADMIN, method="POST")) == (400, "bad_form")
    assert await refusal(asks(path, b"", ADMIN, method="PUT")) == (405, "method_not_allowed")
    assert await refusal(asks("/uiX", b"", ADMIN, method="GET")) == (404, "not_found")


@pytest.mark.parametrize("path", ["/healthz", "/metrics", "/version"])
@pytest.mark.parametrize("method", ["POST", "DELETE"])
async def test_operations_answer_nothing_else(path: str, method: str) -> None:
    assert await refusal(asks(path, b"", ADMIN, method=method)) == (405, "method_not_allowed")


async def test_metrics_withstand_any_token() -> None:
    reply = await ask(asks("/metrics", b"", b"Authorization: Bearer \xff\xfe", method="GET"))
    assert (reply.status, reply.json()["error"]["code"]) == (401, "token_required")


@pytest.mark.parametrize("target", ["/v1/models", "/v1beta/models", "/v1/", "/v1/healthz"])
async def test_what_is_below_the_prefixes_is_relayed(target: str) -> None:
    made = world(ScriptedReply(steps=[b"{}"]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(target, method="GET", body=b""))
        reply = await client.reply("GET")
    assert reply.status == (404 if "beta" in target else 200)  # `world` has no default for Gemini
    assert len(made.observed) == 1


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("/", "not_found"),
        ("/v1", "not_found"),
        ("/V1/models", "not_found"),
        ("/healthz/", "not_found"),
        ("/chat/completions", "missing_v1"),
        ("/v1/v1/messages", "version_twice"),
    ],
)
async def test_the_rest_is_not_found(target: str, code: str) -> None:
    assert await refusal(asks(target, method="GET")) == (404, code)


@pytest.mark.parametrize(
    ("target", "code"),
    [
        ("http://127.0.0.1:9/v1/models", "bad_target"),
        ("//elsewhere/v1/models", "bad_target"),
        ("/v1/../healthz", "bad_path"),
        ("/v1/%2e%2e/healthz", "bad_path"),
        ("/v1/models#part", "bad_path"),
    ],
)
async def test_a_target_that_can_be_read_in_two_ways_is_refused(target: str, code: str) -> None:
    assert await refusal(asks(target, method="GET")) == (400, code)


@pytest.mark.parametrize("method", ["CONNECT", "TRACE"])
async def test_it_is_no_tunnel(method: str) -> None:
    assert await refusal(asks("/v1/models", method=method)) == (405, "method_not_allowed")


@pytest.mark.parametrize(
    "host",
    [b"Host: a b\r\n", b"Host: user@x\r\n", b"Host: x/v1\r\n", b"Host:\r\n", b"Host: x:port\r\n"],
)
async def test_a_host_that_is_none_is_refused(host: bytes) -> None:
    assert await refusal(b"GET /healthz HTTP/1.1\r\n" + host + b"\r\n") == (400, "bad_host")


@pytest.mark.parametrize("hosts", [b"", b"Host: a\r\nHost: b\r\n"])
async def test_no_host_and_two_are_refused(hosts: bytes) -> None:
    assert (await refusal(b"GET /healthz HTTP/1.1\r\n" + hosts + b"\r\n"))[0] == 400


@pytest.mark.parametrize("upgrade", [b"websocket", b"WebSocket", b"h2c, websocket"])
async def test_a_websocket_is_told_to_use_post(upgrade: bytes) -> None:
    fields = (b"Connection: Upgrade", b"Upgrade: " + upgrade, b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: eA==")
    assert await refusal(asks("/v1/responses", b"", *fields, method="GET")) == (426, "upgrade_refused")


async def test_an_offer_of_http_2_is_not_taken_up_and_does_no_harm() -> None:
    """Java's HTTP client makes it with the first request on every plain connection."""
    made = world(ScriptedReply(steps=[b"{}"]), ScriptedReply(steps=[b"{}"]))
    fields = (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAEAAEAAAAIAAAAB")
    async with listening(made.services) as served, RawClient(served.port) as client:
        for _ in range(2):
            await client.send(asks("/v1/chat/completions", BODY, *fields))
            assert (await client.reply()).status == 200
    assert made.upstream.bodies == [BODY, BODY]
    sent = {name.lower() for name, _ in made.upstream.requests[0].headers}
    assert not sent & {"upgrade", "connection", "http2-settings"}


async def test_http_1_0_has_no_chunks() -> None:
    request = b"POST /v1/files HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    status, code = await refusal(request)
    assert (status, code) == (400, "malformed_request")


async def test_the_header_block_is_bounded_as_a_whole() -> None:
    fields = [b"X-%d: %b" % (n, b"a" * 1000) for n in range(HEADER_BLOCK_BYTES // 1000 + 1)]
    assert await refusal(asks("/healthz", b"", *fields, method="GET")) == (431, "headers_too_large")
    assert (await ask(asks("/healthz", b"", *fields[:-2], method="GET"))).status == 200


# Draining


async def test_idle_is_told_at_once_and_busy_after_the_limit() -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def generate() -> None:
        begun.set()
        await gate.wait()

    made = world(ScriptedReply(headers=STREAM, steps=[b"data: 1\n\n", generate]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        assert await served.edge.wait_idle(0)
        await client.send(asks(body=BODY))
        await soon(begun)
        assert not await served.edge.wait_idle(0)
        waits = asyncio.ensure_future(served.edge.wait_idle(PATIENCE_S))
        gate.set()
        assert await waits
        assert (await client.reply()).is_whole


async def test_idle_is_when_the_last_of_several_has_ended() -> None:
    gates = [asyncio.Event(), asyncio.Event()]
    made = world(*(ScriptedReply(headers=STREAM, steps=[b"data: 1\n\n", gate.wait]) for gate in gates))
    async with (
        listening(made.services) as served,
        RawClient(served.port) as first,
        RawClient(served.port) as second,
    ):
        for client in (first, second):
            await client.send(asks(body=BODY))
            await client.read_some()
        gates[0].set()
        await first.read_some()
        assert not await served.edge.wait_idle(0)
        gates[1].set()
        assert await served.edge.wait_idle(PATIENCE_S)


async def test_cutting_ends_what_runs_and_waits_for_its_end() -> None:
    made = world(ScriptedReply(headers=STREAM, steps=[b"data: 1\n\n", asyncio.Event().wait]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asks(body=BODY))
        head = await client.head()
        assert head is not None
        made.services.is_cutting = True
        await served.edge.cut()
        assert made.journal.end()["error_type"] == "shutdown"
        assert await served.edge.wait_idle(0)
        assert not (await client.body(head)).is_whole


async def test_cutting_with_nothing_running_is_nothing() -> None:
    async with listening(world().services) as served:
        await served.edge.cut()
        assert await served.edge.wait_idle(0)
