"""One call on a connection, from the last byte of its head to the last of its reply.

What arrives before anybody asks for it is held, up to a limit; from then on it goes to the sink in the callback that
brings it, whole chunks past this module and its parser. What is waited for is a future, at most twice: until the reply
begins, and until its body has ended.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Callable

from proxy.adapters.upstream.connection import Connection
from proxy.adapters.upstream.reply_parser import ReplyParser
from proxy.adapters.upstream.upload import upload
from proxy.adapters.upstream.wire import AHEAD_BYTES, ChunkSink, Request, Sink, broken
from proxy.domain.fields import NO_FIELDS


class NativeReply:
    """Satisfies `UpstreamReply`; see the port. Until `close` it is what the connection carries."""

    __slots__ = (
        "_ahead", "_ahead_bytes", "_chunk_sink", "_connection", "_error", "_is_over", "_on_begun", "_on_rest",
        "_parser", "_sink", "_upload", "_waiter", "_wanted_bytes", "has_heard", "headers", "reason", "status",
    )  # fmt: skip

    def __init__(self, connection: Connection, request: Request, on_rest: Callable[[Connection], None]) -> None:
        """`on_rest` gets the connection back where another call may use it."""
        self.has_heard = False
        """Some byte of a reply has arrived."""
        self.status = 0
        """Of the final reply. Like the others, known once it has begun."""
        self.reason = ""
        """As it came; may be empty."""
        self.headers = NO_FIELDS
        """As they came, in order."""
        self._connection = connection
        self._parser = ReplyParser(request.method)
        self._on_begun: Callable[[], None] | None = request.on_begun
        """Let go when it was called."""
        self._on_rest = on_rest
        self._is_over = False
        self._error: BaseException | None = None
        self._ahead: list[bytes] = []
        self._ahead_bytes = 0
        self._sink: Sink | None = None
        self._chunk_sink: ChunkSink | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._wanted_bytes: float = 0
        self._upload: asyncio.Task[None] | None = None
        connection.listener = self

    # The port

    def peek(self) -> bytes:
        """What has arrived of the body."""
        return b"".join(self._ahead)

    async def read(self, limit_bytes: int) -> bytes | None:
        """The whole body, if it is short enough."""
        if not self._is_over:
            self._connection.resume()
            await self._until(limit_bytes + 1)
        if self._ahead_bytes > limit_bytes:
            return None
        if self._error is not None:
            raise self._error
        return b"".join(self._ahead)

    def pour(self, sink: Sink, chunk_sink: ChunkSink | None = None) -> asyncio.Future[None]:
        """Piece by piece. No coroutine is there as long as the body lasts."""
        self._connection.resume()
        self._sink, self._chunk_sink = sink, chunk_sink
        self.headers = NO_FIELDS
        ahead, self._ahead, self._ahead_bytes = self._ahead, [], 0
        for piece in ahead:
            sink(piece)
        self._see_to_chunks()
        return self._until(math.inf)

    def pause(self) -> None:
        """Take no more, if there is more."""
        if not self._is_over:
            self._connection.pause()

    def resume(self) -> None:
        """Go on."""
        if not self._is_over:
            self._connection.resume()

    def close(self) -> None:
        """Let the connection rest if all of both bodies has passed, else abort it."""
        self._is_over = True
        self._sink = self._chunk_sink = None
        connection, parser, sending = self._connection, self._parser, self._upload
        connection.listener = connection.chunk_sink = None
        parser.leave()
        is_sent = sending is None or sending.done()
        if sending is not None:
            sending.cancel()
        if parser.is_whole and parser.is_reusable and is_sent and self._error is None and connection.is_open:
            connection.resume()
            self._on_rest(connection)
        else:
            connection.abort()
        self._error = None  # it knows the frames that it has passed, and those know this

    # What the client does with it

    def send_body(self, body: bytes | AsyncIterator[bytes], *, is_chunked: bool) -> None:
        """Send the body beside what arrives; a reply may come, and end, before that."""
        sending = asyncio.ensure_future(upload(self._connection, body, is_chunked=is_chunked))
        sending.add_done_callback(self._sent)
        self._upload = sending

    async def begin(self) -> None:
        """Wait for the first byte of the body, or its end. Raises UpstreamError; then the connection is aborted."""
        try:
            await self._until(1)
            if self._error is not None and not self._ahead:
                raise self._error  # noqa: TRY301
        except BaseException:
            self.close()
            raise
        parser = self._parser
        self.status, self.reason, self.headers = parser.status, parser.reason, parser.headers
        parser.headers = NO_FIELDS  # they are of use until the body pours, and that may take long

    def _sent(self, sending: "asyncio.Task[None]") -> None:
        if not sending.cancelled() and (error := sending.exception()) is not None:
            self._end(error)

    # What the connection tells

    def arrived(self, data: bytes) -> None:
        """More of the reply."""
        self.has_heard = True
        parser, sink = self._parser, self._sink
        if self._is_over:
            parser.is_reusable = False
            return
        if body := parser.feed(data):
            if sink is None:
                self._hold(body)
            else:
                try:
                    sink(body)
                except Exception as error:  # noqa: BLE001  whatever it is, `pour` raises it
                    self.failed(error)
        if parser.is_whole or parser.error is not None:
            self._end(parser.error)
        self._see_to_chunks()

    def failed(self, error: Exception) -> None:
        """The sink has raised this."""
        self._end(error)

    def ended(self) -> None:
        """The provider has closed its side."""
        self._parser.feed_eof()
        if self._parser.is_whole:
            self._end(None)

    def broke(self) -> None:
        """The connection is gone."""
        self._end(broken())

    def _hold(self, body: bytes) -> None:
        """Nobody has asked for it yet."""
        if self._on_begun is not None:
            self._on_begun()
            self._on_begun = None
        self._ahead.append(body)
        self._ahead_bytes += len(body)
        if self._ahead_bytes >= self._wanted_bytes:
            self._wake()
            if self._ahead_bytes > AHEAD_BYTES:
                self._connection.pause()

    def _end(self, error: BaseException | None) -> None:
        """Nothing more arrives, or is wanted."""
        if not self._is_over:
            self._is_over = True
            self._error = error
            self._connection.chunk_sink = None
            self._wake()

    def _see_to_chunks(self) -> None:
        """Let the connection hand on whole chunks where one may come next."""
        is_next = self._parser.is_between_chunks and not self._is_over
        self._connection.chunk_sink = self._chunk_sink if is_next else None

    def _until(self, ahead_bytes: float) -> asyncio.Future[None]:
        """Done when so much is held, or all has arrived. Once the body pours, it fails where that does."""
        self._wanted_bytes = ahead_bytes
        waiter = self._waiter = asyncio.get_running_loop().create_future()
        if self._is_over or self._ahead_bytes >= ahead_bytes:
            self._wake()
        return waiter

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is None or waiter.done():
            return
        if self._error is not None and self._sink is not None:
            waiter.set_exception(self._error)
        else:
            waiter.set_result(None)
