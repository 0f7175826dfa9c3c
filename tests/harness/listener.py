"""Where scripted servers accept connections, and know each of them from its first moment to its last.

A connection that is accepted while a server stops is served by a task that may be cancelled before it has begun. Who
keeps count in that task never hears of it, and its socket is left open until the garbage is collected, in another test.
"""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from contextlib import suppress

from tests.harness.http1 import HEAD_LIMIT_BYTES

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
Connected = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
MakeProtocol = Callable[[asyncio.StreamReader, Connected], asyncio.Protocol]


class Listener:
    """Serves each connection in a task; when that ends, whatever ends it, the connection is closed.

    `serve` need not close, and being cancelled or left by its peer is no error of its own.
    """

    def __init__(
        self,
        serve: Serve,
        *,
        tls: ssl.SSLContext | None = None,
        make_protocol: MakeProtocol = asyncio.StreamReaderProtocol,
    ) -> None:
        self.port = 0
        """Free when it first listens; the same from then on."""
        self._serve = serve
        self._tls = tls
        self._make_protocol = make_protocol
        self._server: asyncio.Server | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}

    async def listen(self) -> None:
        """Accept connections."""
        self._server = await asyncio.get_running_loop().create_server(
            self._protocol, "127.0.0.1", self.port, ssl=self._tls, backlog=1024, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    def refuse(self) -> None:
        """Accept no more, and reset those that are open: who serves them finds the peer gone."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open.values()):
            writer.transport.abort()

    async def stop(self) -> None:
        """Accept no more, and end what is served."""
        self.refuse()
        await self.cancel_all()

    async def cancel_all(self) -> None:
        """End what is served, and wait until it has ended."""
        tasks = list(self._open)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _protocol(self) -> asyncio.Protocol:
        return self._make_protocol(asyncio.StreamReader(limit=HEAD_LIMIT_BYTES), self._connected)

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None:  # accepted just before it was closed
            writer.transport.abort()
            return
        task = asyncio.ensure_future(self._serve_one(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._ended)

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self._serve(reader, writer)
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task).transport.abort()
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, ConnectionError):
            asyncio.get_running_loop().call_exception_handler(
                {"message": "a scripted server failed", "exception": error, "task": task}
            )
