"""The client of the test bed: exact bytes out, exact bytes in, and leaving in every phase of a call.

`RawClient` is one connection. `LoadClient` makes many calls with bounded concurrency over kept connections and keeps
a ledger of what the caller saw: that ledger is one side of the conservation oracle. Neither shares a parser with the
product. Times are monotonic nanoseconds.
"""

import asyncio
import hashlib
import socket
import struct
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import orjson

from tests.harness.call import CALL_ID_HEADER, PATIENCE_S, SCRIPT_HEADER
from tests.harness.http1 import HEAD_LIMIT_BYTES, Broken, Head, iter_reply_body, read_head


class Ending(StrEnum):
    """How a call ended as the caller saw it."""

    COMPLETE = "complete"
    BROKEN = "broken"
    LEFT = "left"
    REFUSED = "refused"
    SILENT = "silent"
    """Nothing more came within the patience of the test bed: always a failure."""


class Leave(StrEnum):
    """The phase in which a client goes away."""

    IN_HEAD = "in_head"
    IN_BODY = "in_body"
    BEFORE_FIRST_BYTE = "before_first_byte"
    MID_STREAM = "mid_stream"
    AFTER_END = "after_end"


@dataclass(slots=True)
class RawReply:
    """One reply as it came; `is_whole` is False where the connection ended before the framing said so."""

    head: Head
    body: bytes = b""
    is_whole: bool = True

    @property
    def status(self) -> int:
        return self.head.status

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.body).hexdigest()

    def json(self) -> Any:
        return orjson.loads(self.body)


class RawClient:
    """One connection to 127.0.0.1; `async with RawClient(port) as client:`."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port, limit=HEAD_LIMIT_BYTES)
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def send(self, data: bytes) -> None:
        self._writer.write(data)
        await self._writer.drain()

    async def head(self) -> Head | None:
        """The next head, or None where the connection ended in place of one."""
        async with asyncio.timeout(PATIENCE_S):
            return await read_head(self._reader)

    def iter_body(self, head: Head, method: str = "POST") -> AsyncIterator[bytes]:
        """The body to a head that was read, without its framing. Raises Broken where it is cut short."""
        return iter_reply_body(self._reader, head, method)

    async def body(self, head: Head, method: str = "POST") -> RawReply:
        """The whole body to a head that was read; a broken one is told, not raised."""
        reply = RawReply(head)
        async with asyncio.timeout(PATIENCE_S):
            try:
                async for piece in self.iter_body(head, method):
                    reply.body += piece
            except (Broken, ConnectionError):
                reply.is_whole = False
        return reply

    async def reply(self, method: str = "POST") -> RawReply:
        """The next final reply. Raises Broken where the connection ends instead."""
        while (head := await self.head()) is not None:
            if head.status >= 200:
                return await self.body(head, method)
        raise Broken("the connection ended without a reply")

    async def replies_until_closed(self, method: str = "POST") -> list[RawReply]:
        """Every reply up to the end of the connection. Raises TimeoutError where it stays open."""
        replies = []
        with suppress(ConnectionError):
            while (head := await self.head()) is not None:
                replies.append(await self.body(head, method))
        return replies

    async def read_some(self, *, patience_s: float = PATIENCE_S) -> bytes:
        """The next bytes as they come, framing and all; none at the end of the connection."""
        async with asyncio.timeout(patience_s):
            return await self._reader.read(1 << 16)

    @property
    def is_usable(self) -> bool:
        """The peer has neither closed nor sent anything unasked."""
        return not self._reader.at_eof() and not self._writer.transport.is_closing()

    def half_close(self) -> None:
        """Send FIN and keep reading."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Close with RST."""
        if not self._writer.transport.is_closing():
            sock: socket.socket = self._writer.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()

    async def close(self) -> None:
        self._writer.close()
        with suppress(ConnectionError):
            await self._writer.wait_closed()


_USUAL_HEADERS = (
    ("Host", "proxy.test"),
    ("Authorization", "Bearer sk-test"),
    ("Content-Type", "application/json"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """One call to make. `script` is for the provider; `headers` replace the usual ones of their names."""

    path: str = "/v1/chat/completions"
    body: bytes = b""
    method: str = "POST"
    headers: tuple[tuple[str, str], ...] = ()
    script: str | None = None
    leaves: Leave | None = None
    leaves_with_reset: bool = False
    owes_events: bool = True
    """Admitted, if its head is read: False for what the proxy refuses before or does not meter."""
    expected_end: str | None = None
    """The name that its end event must have where nothing was killed; None for either."""
    kind: str = ""
    """What the reports call it."""

    def request(self, call_id: str) -> tuple[bytes, bytes]:
        """Head and body as they go out."""
        given = {name.lower() for name, _ in self.headers}
        fields = [
            *((name, value) for name, value in _USUAL_HEADERS if name.lower() not in given),
            ("X-Request-Id", call_id),
            (CALL_ID_HEADER, call_id),
            *([(SCRIPT_HEADER, self.script)] if self.script is not None else []),
            *self.headers,
            ("Content-Length", str(len(self.body))),
        ]
        lines = [f"{self.method} {self.path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields), "", ""]
        return "\r\n".join(lines).encode("latin-1"), self.body


@dataclass(slots=True, kw_only=True)
class ClientCall:
    """What the caller saw of one call."""

    call_id: str
    plan: Plan
    began_ns: int
    head_ns: int | None = None
    ended_ns: int = 0
    status: int | None = None
    headers: tuple[tuple[str, str], ...] = ()
    body_bytes: int = 0
    body_sha256: str = ""
    ending: Ending = Ending.SILENT
    on_piece: Callable[[bytes], object] = field(default=len, repr=False)
    """Shown the body's bytes as they come."""


@dataclass(kw_only=True)
class LoadClient:
    """Makes planned calls and keeps the ledger; a context manager, for its connections.

    `provider_saw` waits until the provider has the call of an id.
    """

    port: int
    name: str = "call"
    """The first part of every call id."""
    provider_saw: Callable[[str], Awaitable[object]]
    ledger: list[ClientCall] = field(default_factory=list)
    is_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Cleared by the test while the proxy is down on purpose: no call begins then."""
    _idle: list[RawClient] = field(default_factory=list)
    _milestones: dict[int, asyncio.Event] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.is_up.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.close()

    async def run(self, plans: Iterable[Plan], *, concurrency: int) -> None:
        """Make every planned call, `concurrency` at a time."""
        queue = iter(plans)
        async with asyncio.TaskGroup() as group:
            for _ in range(concurrency):
                group.create_task(self._worker(queue))

    async def close(self) -> None:
        """Close the connections that are kept for the next call."""
        while self._idle:
            await self._idle.pop().close()

    async def reached(self, count: int) -> None:
        """Until so many calls have begun."""
        if len(self.ledger) < count:
            await self._milestones.setdefault(count, asyncio.Event()).wait()

    async def _worker(self, plans: Iterator[Plan]) -> None:
        for plan in plans:
            await self.is_up.wait()
            await self.call(plan)

    async def call(self, plan: Plan, *, on_piece: Callable[[bytes], object] = len) -> ClientCall:
        """Make one call and note it. `on_piece` is shown the body's bytes as they come."""
        call_id = f"{self.name}-{len(self.ledger)}"
        call = ClientCall(call_id=call_id, plan=plan, began_ns=time.monotonic_ns(), on_piece=on_piece)
        self.ledger.append(call)
        if (milestone := self._milestones.pop(len(self.ledger), None)) is not None:
            milestone.set()
        try:
            async with asyncio.timeout(3 * PATIENCE_S):
                await self._make(call)
        except TimeoutError:
            call.ending = Ending.SILENT
        except (Broken, ConnectionError):
            call.ending = Ending.BROKEN if call.ending is Ending.SILENT else call.ending
        call.ended_ns = time.monotonic_ns()
        return call

    async def _connection(self) -> RawClient:
        while self._idle:
            kept = self._idle.pop()
            if kept.is_usable:
                return kept
            await kept.close()
        return await RawClient(self.port).__aenter__()

    async def _make(self, call: ClientCall) -> None:
        try:
            client = await self._connection()
        except OSError:
            call.ending = Ending.REFUSED
            return
        keeps = False
        try:
            keeps = await self._exchange(client, call)
        finally:
            if keeps:
                self._idle.append(client)
            else:
                await self._leave(client, call)

    async def _leave(self, client: RawClient, call: ClientCall) -> None:
        if call.plan.leaves_with_reset:
            client.reset()
        else:
            await client.close()

    async def _exchange(self, client: RawClient, call: ClientCall) -> bool:
        """Send and read as planned; True where the connection may be used again."""
        plan = call.plan
        head, body = plan.request(call.call_id)
        if plan.leaves is Leave.IN_HEAD:
            await client.send(head[: len(head) // 2])
        elif plan.leaves is Leave.IN_BODY:
            await client.send(head + body[: len(body) // 2])
        else:
            await client.send(head + body)
        if plan.leaves is Leave.BEFORE_FIRST_BYTE:
            await self._until_at_provider(client, call)
        if plan.leaves in (Leave.IN_HEAD, Leave.IN_BODY, Leave.BEFORE_FIRST_BYTE):
            call.ending = Ending.LEFT
            return False
        return await self._read(client, call)

    async def _until_at_provider(self, client: RawClient, call: ClientCall) -> None:
        """Raises Broken where the proxy ends the connection, or answers, before the provider has the call."""
        saw = asyncio.ensure_future(self.provider_saw(call.call_id))
        answered = asyncio.ensure_future(client.head())
        await asyncio.wait({saw, answered}, return_when=asyncio.FIRST_COMPLETED)
        is_there = saw.done()
        for waiter in (saw, answered):
            waiter.cancel()
        await asyncio.gather(saw, answered, return_exceptions=True)
        if not is_there:
            raise Broken("the provider was never asked")

    async def _read(self, client: RawClient, call: ClientCall) -> bool:
        head = await client.head()
        if head is None:
            raise Broken("no reply")
        call.head_ns = time.monotonic_ns()
        call.status = head.status
        call.headers = head.headers
        digest = hashlib.sha256()
        async for piece in client.iter_body(head, call.plan.method):
            digest.update(piece)
            call.on_piece(piece)
            call.body_bytes += len(piece)
            if call.plan.leaves is Leave.MID_STREAM:
                call.ending = Ending.LEFT
                return False
        call.body_sha256 = digest.hexdigest()
        call.ending = Ending.COMPLETE
        closes = (head.get("connection") or "").lower() == "close" or head.start_line.startswith("HTTP/1.0")
        return call.plan.leaves is not Leave.AFTER_END and not closes
