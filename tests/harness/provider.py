"""A provider that does as it is told: raw sockets on loopback, so that it can also misbehave.

What to do with a request is decided, in this order, by its `X-Script` header (the proxy forwards headers it does not
know), by the queue `scripts`, and else by the dialect of its path, as a well-behaved provider would answer. A script
is any `async (Call) -> None`; `Reply` in `tests.harness.scripts` covers all but the strangest. Everything that
happened is kept in `ledger`, in order of arrival. Waiting is done on events (`Record.closed`, gates), never on time.
"""

import asyncio
import ssl
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

from tests.harness.call import PATIENCE_S, SCRIPT_HEADER, Call, Record, Script
from tests.harness.dialects import answer
from tests.harness.http1 import HEAD_LIMIT_BYTES, Broken, read_head
from tests.harness.scripts import built_in


class _Watched(asyncio.StreamReaderProtocol):
    """Tells when the peer has closed, also while nobody reads."""

    def __init__(self, reader: asyncio.StreamReader, serve: Callable[..., Awaitable[None]]) -> None:
        super().__init__(reader, serve)
        self._is_gone = False
        self._record: Record | None = None

    def watch(self, record: Record) -> None:
        """Tell this record, and no longer the one before it."""
        self._record = record
        if self._is_gone:
            self._tell()

    def _tell(self) -> None:
        self._is_gone = True
        if (record := self._record) is not None and record.closed_ns is None:
            record.closed_ns = time.monotonic_ns()
            record.closed.set()

    def eof_received(self) -> bool:
        self._tell()
        super().eof_received()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._tell()
        super().connection_lost(exc)


class ScriptedProvider:
    """`async with ScriptedProvider() as provider:` listens on an ephemeral port of 127.0.0.1."""

    def __init__(self, default: Script | None = None, *, tls: ssl.SSLContext | None = None) -> None:
        self.scripts: deque[Script] = deque()
        self.named: dict[str, Script] = {}
        """Scripts of this test alone, by the name that `X-Script` gives; they go before the built-in ones."""
        self.ledger: list[Record] = []
        self._by_call: dict[str, list[Record]] = {}
        self.connections = 0
        self.port = 0
        self.problems: list[BaseException] = []
        """Whatever a script raised beyond the peer's leaving; leaving the context raises them."""
        self._default = default
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._arrivals: asyncio.Queue[Record] = asyncio.Queue()
        self._awaited: dict[str, asyncio.Event] = {}

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.refuse()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.problems and exc_info[0] is None:
            raise ExceptionGroup("scripts failed", [p for p in self.problems if isinstance(p, Exception)])

    async def listen(self) -> None:
        """Accept connections, on the same port as before if there was one."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            self._protocol, "127.0.0.1", self.port, ssl=self._tls, backlog=1024, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Refuse new connections and reset those that are open."""
        if self._server is not None:
            self._server.close()
        for writer in list(self._writers):
            writer.transport.abort()
        self._server = None

    async def arrival(self) -> Record:
        """The next request, in order of arrival; each is given once."""
        async with asyncio.timeout(PATIENCE_S):
            return await self._arrivals.get()

    async def wait_for_call(self, call_id: str) -> Record:
        """The first request with this call id, once it is here."""
        if not self.of_call(call_id):
            async with asyncio.timeout(PATIENCE_S):
                await self._awaited.setdefault(call_id, asyncio.Event()).wait()
        return self.of_call(call_id)[0]

    def of_call(self, call_id: str) -> list[Record]:
        """The requests that carried this call id: the attempts of one call."""
        return self._by_call.get(call_id, [])

    def _protocol(self) -> _Watched:
        def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Awaitable[None]:
            return self._connection(reader, writer, protocol)

        reader = asyncio.StreamReader(limit=HEAD_LIMIT_BYTES)
        protocol = _Watched(reader, connected)
        return protocol

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: _Watched) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            await self._serve(reader, writer, protocol, self.connections)
        except (ConnectionError, Broken, asyncio.CancelledError):
            pass  # the peer left, or the provider stops; the ledger says when
        except Exception as problem:  # noqa: BLE001 - kept, and raised where the test can see it
            self.problems.append(problem)
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _serve(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, protocol: _Watched, connection: int
    ) -> None:
        keeps = True
        while keeps and (head := await read_head(reader)):
            record = Record(head, connection, time.monotonic_ns())
            protocol.watch(record)
            self.ledger.append(record)
            self._announce(record)
            call = Call(record, reader, writer)
            await self._script_for(record)(call)
            record.is_replied = True
            keeps = call.keeps_connection
            if keeps:
                await call.read_body()

    def _announce(self, record: Record) -> None:
        self._arrivals.put_nowait(record)
        if (call_id := record.call_id) is not None:
            self._by_call.setdefault(call_id, []).append(record)
            if (event := self._awaited.pop(call_id, None)) is not None:
                event.set()

    def _script_for(self, record: Record) -> Script:
        if (name := record.head.get(SCRIPT_HEADER)) is not None:
            return self.named.get(name) or built_in(name)
        if self.scripts:
            return self.scripts.popleft()
        return self._default or answer
