"""The seams between what is served plainly and what is handed over; the edge's other tests run through it, too."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proxy.web import front, server
from proxy.web.edge import Edge
from proxy.web.front import REQUEST_BYTES, Front
from proxy.web.server import HardenedServer
from tests.harness import framing
from tests.harness.call import PATIENCE_S
from tests.harness.client import RawClient
from tests.pipeline.fakes import ScriptedReply, Step, World, world
from tests.pipeline.outcome_fakes import outcome_services
from tests.web.serving import OPERATIONS, Listening, asks, listening, made_ui
from tests.web.test_gateway import BODY, STREAM, soon

PLAIN = asks(body=BODY)
ODD = asks("/healthz", method="GET")
CHUNKED = asks("/v1/chat/completions", b"", b"Transfer-Encoding: chunked") + b"%x\r\n%b\r\n0\r\n\r\n" % (
    len(BODY),
    BODY,
)


def answering(count: int = 1) -> World:
    return world(*(ScriptedReply(steps=[b"{%d}" % number]) for number in range(count)))


def plain_connections(served: Listening) -> int:
    """Connections that have not been handed over."""
    assert isinstance(served.server, Front)
    return len(served.server.plain)


@pytest.fixture
def handed_over(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What was handed over, and no time is lost before it."""
    monkeypatch.setattr(front, "PATIENCE_S", 0.01)
    given: list[bytes] = []
    original = Front.hand_over

    def hand_over(self: Front, transport: asyncio.Transport, data: bytes) -> None:
        given.append(data)
        original(self, transport, data)

    monkeypatch.setattr(Front, "hand_over", hand_over)
    return given


# What is served here, and what is not


async def test_plain_calls_follow_each_other_on_one_connection(handed_over: list[bytes]) -> None:
    made = answering(3)
    async with listening(made.services) as served, RawClient(served.port) as client:
        for number in range(3):
            await client.send(PLAIN)
            assert (await client.reply()).body == b"{%d}" % number
        assert plain_connections(served) == 1
    assert made.upstream.bodies == [BODY] * 3
    assert handed_over == []


@pytest.mark.parametrize(
    "odd",
    [ODD, CHUNKED, asks("/v1/chat/completions", BODY, b"Upgrade: h2c"), asks(body=b" " * REQUEST_BYTES + BODY)],
    ids=["another-path", "chunks", "upgrade", "large"],
)
async def test_an_odd_request_takes_its_connection_along(odd: bytes, handed_over: list[bytes]) -> None:
    made = answering(3)
    async with listening(made.services) as served, RawClient(served.port) as client:
        for request in (PLAIN, odd, PLAIN):
            await client.send(request)
            assert (await client.reply()).status == 200
        assert plain_connections(served) == 0
    assert len(handed_over) == 1
    assert odd.startswith(handed_over[0])


async def test_what_comes_in_one_piece_is_answered_in_order(handed_over: list[bytes]) -> None:
    async with listening(answering(2).services) as served, RawClient(served.port) as client:
        await client.send(PLAIN + ODD + PLAIN)
        bodies = [(await client.reply()).body for _ in range(3)]
    assert (bodies[0], bodies[2]) == (b"{0}", b"{1}")
    assert handed_over == [PLAIN + ODD + PLAIN]


async def test_what_comes_while_a_call_runs_has_its_turn_after_it(handed_over: list[bytes]) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def generate() -> None:
        begun.set()
        await gate.wait()

    made = world(ScriptedReply(steps=[generate, b"{0}"]), *(ScriptedReply(steps=[b"{%d}" % n]) for n in (1, 2)))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(PLAIN)
        await soon(begun)
        await client.send(PLAIN)
        await client.send(ODD + PLAIN)
        gate.set()
        bodies = [(await client.reply()).body for _ in range(4)]
    assert (bodies[0], bodies[1], bodies[3]) == (b"{0}", b"{1}", b"{2}")
    assert len(handed_over) == 1


async def test_a_flood_waits_outside(handed_over: list[bytes]) -> None:
    begun, gate = asyncio.Event(), asyncio.Event()

    async def generate() -> None:
        begun.set()
        await gate.wait()

    made = world(ScriptedReply(steps=[generate, b"{}"]), *(ScriptedReply(steps=[b"{}"]) for _ in range(2)))
    flood = asks(body=b" " * 400_000 + BODY)
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(PLAIN)
        await soon(begun)
        await client.send(flood)
        assert isinstance(served.server, Front)
        (connection,) = served.server.plain
        await until(lambda: connection._is_held)
        gate.set()
        assert [(await client.reply()).status for _ in range(2)] == [200, 200]
        await client.send(PLAIN)
        assert (await client.reply()).status == 200
    assert len(handed_over) == 1


async def test_connection_close_is_obeyed(handed_over: list[bytes]) -> None:
    async with listening(answering().services) as served, RawClient(served.port) as client:
        await client.send(asks("/v1/chat/completions", BODY, b"Connection: close"))
        (reply,) = await client.replies_until_closed()
    assert reply.head.get("connection") == "close"
    assert handed_over == []


# The same answers with and without the front

_ACCEPTED = (*framing.AMBIGUOUS[len(framing.REFUSED) :], PLAIN, PLAIN + ODD + PLAIN, CHUNKED + PLAIN)
_TOLD_ANEW = re.compile(
    rb"inc_[0-9a-f]+|[0-9a-f-]{36}|[a-z]{3,4};dur=[0-9.]+|Date: [^\r]+|: [0-9.]+\r|[0-9a-zA-Z_-]{24,}"
)
"""Names and times that no two replies share."""


async def answers(serve: type[HardenedServer], stream: bytes, *, ends: bool) -> tuple[list[bytes], Sequence[object]]:
    """All bytes that come back, and the bodies that the provider was sent. Nothing is answered behind an upgrade."""
    made = answering(4)
    async with listening(made.services, serve=serve) as served, RawClient(served.port) as client:
        await client.send(stream)
        if ends:
            replies = await client.replies_until_closed()
        else:
            replies = [
                await client.reply() for _ in range(1 if b"Upgrade" in stream else stream.count(b" HTTP/1.1\r\n"))
            ]
    return [_TOLD_ANEW.sub(b"", reply.head.raw + reply.body) for reply in replies], made.upstream.bodies


@pytest.mark.usefixtures("handed_over")
@pytest.mark.parametrize("case", framing.REFUSED, ids=str)
async def test_what_is_refused_is_refused_in_the_same_words(case: framing.Case) -> None:
    replies, bodies = await answers(Front, case.data, ends=True)
    assert (replies, bodies) == await answers(HardenedServer, case.data, ends=True)
    assert (len(replies), bodies) == (1, [])


@pytest.mark.usefixtures("handed_over")
@pytest.mark.parametrize("stream", _ACCEPTED, ids=range(len(_ACCEPTED)))
async def test_what_is_served_is_served_in_the_same_words(stream: bytes) -> None:
    ends = b"Connection: close" in stream
    replies, bodies = await answers(Front, stream, ends=ends)
    assert (replies, bodies) == await answers(HardenedServer, stream, ends=ends)
    assert replies


# Pieces


class Wire(asyncio.Transport):
    """A transport whose other end is the test. What the protocol is given, is given to the one that has it now."""

    def __init__(self, protocol: asyncio.Protocol) -> None:
        super().__init__(extra={"socket": Mock()})
        self.written: list[bytes] = []
        self.protocol = protocol
        protocol.connection_made(self)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        assert isinstance(protocol, asyncio.Protocol)
        self.protocol = protocol

    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.written.append(bytes(data))

    def is_closing(self) -> bool:
        return False

    def close(self) -> None:
        """The test ends it."""


_THREE = PLAIN + CHUNKED + PLAIN


async def statuses(pieces: Sequence[bytes]) -> tuple[list[bytes], Sequence[object]]:
    """Status lines of the replies to what comes in these pieces, and the bodies that the provider was sent."""
    made = answering(3)
    serving = Front(Edge(made.services, outcome_services(made.services), OPERATIONS, made_ui()))
    wire = Wire(serving())
    for piece in pieces:
        wire.protocol.data_received(piece)
        for _ in range(3):
            await asyncio.sleep(0)
    await until(lambda: len(made.observed) == 3)
    wire.protocol.connection_lost(None)
    await serving.shutdown(0)
    return re.findall(rb"HTTP/1.1 [^\r]+", b"".join(wire.written)), made.upstream.bodies


async def test_a_cut_anywhere_changes_nothing() -> None:
    for at in range(1, len(_THREE)):
        assert await statuses([_THREE[:at], _THREE[at:]]) == ([b"HTTP/1.1 200 OK"] * 3, [BODY] * 3), at


@settings(max_examples=40)
@given(st.lists(st.integers(1, len(_THREE) - 1), unique=True, max_size=12).map(sorted))
def test_cuts_anywhere_change_nothing(cuts: list[int]) -> None:
    pieces = [_THREE[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(_THREE)], strict=True)]
    assert asyncio.run(statuses(pieces)) == ([b"HTTP/1.1 200 OK"] * 3, [BODY] * 3)


# Slow, silent, gone


async def until(is_so: Callable[[], bool]) -> None:
    """For what nothing announces."""
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


@pytest.mark.parametrize("at", [1, 30, len(PLAIN) - len(BODY), len(PLAIN) - 1])
async def test_a_slow_sender_is_served_by_whoever_has_patience(at: int, handed_over: list[bytes]) -> None:
    made = answering(2)
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(PLAIN)
        await client.reply()
        await client.send(PLAIN[:at])
        await until(lambda: bool(handed_over))
        await client.send(PLAIN[at:])
        assert (await client.reply()).body == b"{1}"
    assert handed_over == [PLAIN[:at]]


async def test_a_body_in_a_write_of_its_own_needs_no_other_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "PATIENCE_S", PATIENCE_S)
    made = answering(2)
    async with listening(made.services) as served, RawClient(served.port) as client:
        for _ in range(2):
            await client.send(PLAIN[: -len(BODY)])
            await asyncio.sleep(0)
            await client.send(BODY)
            assert (await client.reply()).status == 200
        assert plain_connections(served) == 1


async def test_a_head_that_never_ends_is_cut(monkeypatch: pytest.MonkeyPatch, handed_over: list[bytes]) -> None:
    monkeypatch.setattr(server, "HEADER_DEADLINE_S", 0.05)
    async with listening(world().services) as served, RawClient(served.port) as client:
        await client.send(PLAIN[:30])
        assert await client.read_some() == b""
    assert handed_over == [PLAIN[:30]]


@pytest.mark.parametrize("calls", [0, 1])
async def test_an_idle_connection_is_ended(calls: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "KEEPALIVE_S", 0.05)
    async with listening(answering().services) as served, RawClient(served.port) as client:
        for _ in range(calls):
            await client.send(PLAIN)
            await client.reply()
        assert await client.read_some() == b""


async def test_a_long_call_is_not_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(front, "KEEPALIVE_S", 0.02)

    async def generate() -> None:
        await asyncio.sleep(0.1)  # the timer rings meanwhile
        monkeypatch.setattr(front, "KEEPALIVE_S", 75.0)

    made = world(ScriptedReply(steps=[generate, b"{}"]), ScriptedReply(steps=[b"{}"]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        for _ in range(2):
            await client.send(PLAIN)
            assert (await client.reply()).status == 200


@pytest.mark.parametrize("sent", [b"", PLAIN[:30], PLAIN[:-1]])
async def test_a_client_that_leaves_before_its_request_is_whole_leaves_nothing(sent: bytes) -> None:
    made = world()
    async with listening(made.services) as served:
        async with RawClient(served.port) as client:
            await client.send(sent)
            await until(lambda: plain_connections(served) == 1)
        await until(lambda: plain_connections(served) == 0)
    assert made.upstream.requests == []


async def test_a_client_that_leaves_before_the_reply_ends_the_attempt() -> None:
    begun = asyncio.Event()

    async def generate() -> None:
        begun.set()
        await asyncio.Event().wait()

    made = world(ScriptedReply(before_head=generate))
    async with listening(made.services) as served:
        async with RawClient(served.port) as client:
            await client.send(PLAIN)
            await soon(begun)
        assert await served.edge.wait_idle(PATIENCE_S)
    assert made.journal.end()["error_type"] == "client_disconnect"


async def test_a_client_that_leaves_what_it_was_sent_ends_the_call() -> None:
    made = world(ScriptedReply(steps=[b" " * (8 << 20)]))
    async with listening(made.services) as served:
        async with RawClient(served.port) as client:
            await client.send(PLAIN)
            assert await client.head() is not None
            assert served.edge.running == 1  # the rest does not fit
        assert await served.edge.wait_idle(PATIENCE_S)
    assert made.journal.end()["error_type"] == "client_disconnect"


async def test_a_reply_that_does_not_fit_goes_on_when_there_is_room() -> None:
    made = world(ScriptedReply(steps=[b" " * (8 << 20)]), ScriptedReply(steps=[b"{}"]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        for _ in range(2):
            await client.send(PLAIN)
            assert (await client.reply()).status == 200
        assert plain_connections(served) == 1


# The end


@asynccontextmanager
async def running(*, holds: bool, asked: bytes = PLAIN) -> AsyncIterator[tuple[Listening, RawClient, asyncio.Event]]:
    """A call that waits for the event."""
    begun, gate = asyncio.Event(), asyncio.Event()

    async def generate() -> None:
        begun.set()
        await gate.wait()

    steps: list[Step] = [generate, b"{}"] if holds else [b"data: 1\n\n", generate]
    made = world(ScriptedReply(headers=STREAM, steps=steps), ScriptedReply(steps=[b"{}"]))
    async with listening(made.services) as served, RawClient(served.port) as client:
        await client.send(asked)
        await soon(begun)
        yield served, client, gate


async def test_who_waits_for_a_request_ends_at_once() -> None:
    async with listening(answering().services) as served, RawClient(served.port) as client:
        await client.send(PLAIN)
        await client.reply()
        served.server.pre_shutdown()
        assert await client.read_some() == b""


@pytest.mark.parametrize("asked", [PLAIN, CHUNKED], ids=["plain", "handed over"])
async def test_a_call_that_runs_is_finished_and_no_other_begun(asked: bytes) -> None:
    async with running(holds=True, asked=asked) as (served, client, gate):
        await client.send(PLAIN)
        served.server.pre_shutdown()
        gate.set()
        (reply,) = await client.replies_until_closed()
    assert reply.head.get("connection") == "close"


async def test_a_call_that_does_not_end_is_cut_in_the_end() -> None:
    async with running(holds=False) as (served, client, _):
        await served.server.shutdown(0.01)
        (reply,) = await client.replies_until_closed()
        assert not reply.is_whole
        assert served.edge.running == 0
