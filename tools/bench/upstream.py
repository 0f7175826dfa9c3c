"""The scripted upstream, as little HTTP as will do: `python -m tools.bench.upstream` prints where it listens.

It answers calls with the fixed JSON, a stream of 50 events at once, or one of an event every 5 ms; and PostHog's
batches with a yes.
"""

import asyncio
from typing import cast

import uvloop

from tools.bench.payload import EVENTS, JSON_REPLY, PACED_MODEL

EVENT_GAP_S = 0.005


def _with_length(body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_JSON = _with_length(JSON_REPLY)
_ACCEPTED = _with_length(b'{"status":"Ok"}')
_STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
)
_CHUNKS = tuple(f"{len(event):x}\r\n".encode() + event + b"\r\n" for event in EVENTS)
_LAST_CHUNK = b"0\r\n\r\n"


class _Upstream(asyncio.Protocol):
    """One connection; requests come one after the other, as every client here sends them."""

    def __init__(self) -> None:
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head_end = self._received.find(b"\r\n\r\n")
        if head_end < 0 or len(self._received) < head_end + 4 + _content_length(self._received[:head_end]):
            return
        request = bytes(self._received)
        self._received.clear()
        self._answer(request)

    def _answer(self, request: bytes) -> None:
        if not request.startswith(b"POST /v1/"):
            self._transport.write(_ACCEPTED)
        elif b'"stream":true' not in request:
            self._transport.write(_JSON)
        else:
            self._transport.write(_STREAM_HEAD)
            if PACED_MODEL.encode() in request:
                self._send_paced(0)
                return
            for chunk in _CHUNKS:
                self._transport.write(chunk)
            self._transport.write(_LAST_CHUNK)

    def _send_paced(self, at: int) -> None:
        if self._transport.is_closing():
            return
        if at == len(_CHUNKS):
            self._transport.write(_LAST_CHUNK)
            return
        self._transport.write(_CHUNKS[at])
        asyncio.get_running_loop().call_later(EVENT_GAP_S, self._send_paced, at + 1)


def _content_length(head: bytes | bytearray) -> int:
    found = head.lower().find(b"\r\ncontent-length:")
    return 0 if found < 0 else int(head[found + 17 :].split(b"\r\n", 1)[0])


async def main() -> None:
    """Serve until killed."""
    server = await asyncio.get_running_loop().create_server(_Upstream, "127.0.0.1", 0, backlog=1024)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
