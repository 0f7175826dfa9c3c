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
from typing import Self

from tests.harness.call import PATIENCE_S, SCRIPT_HEADER, Call, Record, Script
from tests.harness.dialects import answer
from tests.harness.http1 import Broken, read_head
from tests.harness.listener import Connected, Listener
from tests.harness.scripts import built_in


class _Watched(asyncio.StreamReaderProtocol):
    """Tells when the peer has closed, also while nobody reads."""

    def __init__(self, reader: asyncio.StreamReader, connected: Connected) -> None:
        super().__init__(reader, connected)
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
        self.problems: list[BaseException] = []
        """Whatever a script raised beyond the peer's leaving; leaving the context raises them."""
        self._default = default
        self._is_tls = tls is not None
        self._listener = Listener(self._connection, tls=tls, make_protocol=_Watched)
        self._arrivals: asyncio.Queue[Record] = asyncio.Queue()
        self._awaited: dict[str, asyncio.Event] = {}

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"{'https' if self._is_tls else 'http'}://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._listener.stop()
        if self.problems and exc_info[0] is None:
            raise ExceptionGroup("scripts failed", [p for p in self.problems if isinstance(p, Exception)])

    async def listen(self) -> None:
        """Accept connections, on the same port as before if there was one."""
        await self._listener.listen()

    async def refuse(self) -> None:
        """Refuse new connections and reset those that are open."""
        self._listener.refuse()

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

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            await self._serve(reader, writer, self.connections)
        except (ConnectionError, Broken, asyncio.CancelledError):
            pass  # the peer left, or the provider stops; the ledger says when
        except Exception as problem:  # noqa: BLE001 - kept, and raised where the test can see it
            self.problems.append(problem)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> None:
        protocol = writer.transport.get_protocol()
        assert isinstance(protocol, _Watched)
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
