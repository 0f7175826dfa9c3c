"""Sending a body that is large, or that comes piece by piece, while the reply may already be on its way."""

from collections.abc import AsyncIterator

from proxy.adapters.upstream.connection import Connection
from proxy.adapters.upstream.wire import LARGE_BODY_BYTES


async def upload(connection: Connection, body: bytes | AsyncIterator[bytes], *, is_chunked: bool) -> None:
    """Write no faster than the provider takes it. Raises UpstreamReset, and what the body raises."""
    if isinstance(body, bytes):
        whole = memoryview(body)
        for start in range(0, len(body), LARGE_BODY_BYTES):
            connection.write(whole[start : start + LARGE_BODY_BYTES])
            await connection.room()
        return
    async for piece in body:
        if piece:
            connection.write(b"%x\r\n%b\r\n" % (len(piece), piece) if is_chunked else piece)
            await connection.room()
    if is_chunked:
        connection.write(b"0\r\n\r\n")
