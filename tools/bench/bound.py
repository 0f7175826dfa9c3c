"""The bound: the least that a call can cost in Python with everything on, as a program that does nothing well.

It calls, once for each call, the C libraries that a call cannot do without: uvloop, a split of the request's head,
llhttp, orjson for both bodies, HMAC for the key, the prompt and the signed context, SHA-1 for the ids of three events.
Three events and the record are cut from templates, as long as real ones, and go to the real journal. There is no
configuration, check, limit, time-out, retry or cancellation, and no thought of a client that leaves.

`python -m tools.bench.bound UPSTREAM DATA` prints where it listens.
"""

import asyncio
import hashlib
import hmac
import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import httptools
import orjson
import uvloop

from proxy.adapters.journal.settings import JournalSettings
from proxy.adapters.journal.writer import SqliteJournal
from proxy.domain.journal_rows import Closing, JournalEvent, Opening
from tools.bench.payload import KEY, MODEL

SECRET = b"bench-secret-0123456789abcdef"
KEY_HASH = hmac.digest(SECRET, KEY.encode(), "sha256")
STARTED, COMPLETED, GENERATION = "llm_request_started", "llm_request_completed", "$ai_generation"
OWN = frozenset(
    {"host", "authorization", "content-length", "x-prompt-version", "x-prompt-name", "x-posthog-distinct-id"}
)
"""Fields that do not go to the provider as they came."""
TEXT = (
    b'{"event":"%b","distinct_id":%b,"uuid":"%b","timestamp":"%b","properties":{"exchange_id":"%b","prompt_hash":"%b",'
)
PADDING = {
    name: b'"constant":"' + b"x" * size_bytes + b'",'
    for name, size_bytes in {STARTED: 550, COMPLETED: 1120, GENERATION: 1200, "record": 1580}.items()
}
"""What makes the texts as long as real ones are: 1,000, 1,600, 1,680 and 2,050 bytes."""


class Client(asyncio.Protocol):
    """A client's connection, one call at a time; each request is one read."""

    def __init__(self, service: "Service") -> None:
        self.service = service
        self.provider: Provider | None = None
        self.transport: asyncio.Transport
        self.fields: dict[str, str] = {}
        self.asked: dict[str, Any] = {}
        self.prompt_hash = self.exchange_id = b""
        self.started_ns = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """A request: read, authenticated, written anew for the provider."""
        self.started_ns = time.monotonic_ns()
        end = data.find(b"\r\n\r\n")
        start_line, *lines = data[:end].decode("latin-1").split("\r\n")
        fields = self.fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        key = fields.get("authorization", "")[7:].encode()
        if not hmac.compare_digest(hmac.digest(SECRET, key, "sha256"), KEY_HASH):
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")  # health is asked for without a key
            return
        self.asked = orjson.loads(data[end + 4 :])
        body = data[end + 4 :].replace(b'"model":"app-', b'"model":"%b-' % MODEL.encode(), 1)
        self.prompt_hash = hmac.digest(SECRET, self.asked["messages"][0]["content"].encode(), "sha256").hex().encode()
        self.exchange_id = os.urandom(16).hex().encode()
        passed = [f"{name}: {value}" for name, value in fields.items() if name not in OWN]
        head = [
            start_line,
            *passed,
            "host: x",
            "authorization: Bearer sk-bench",
            f"content-length: {len(body)}",
            "",
            "",
        ]
        self.service.send(self, "\r\n".join(head).encode("latin-1") + body)


class Provider(asyncio.Protocol):
    """A connection to the provider; it passes the bytes of a reply on behind another head."""

    def __init__(self, service: "Service") -> None:
        self.service = service
        self.transport: asyncio.Transport
        self.client: Client
        self.parser: httptools.HttpResponseParser | None = None
        self.head: list[tuple[bytes, bytes]] = []
        self.pieces: list[bytes] = []
        self.is_whole = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """It is open."""
        self.transport = cast("asyncio.Transport", transport)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Of the reply's head."""
        self.head.append((name, value))

    def on_body(self, piece: bytes) -> None:
        """Of the reply's body."""
        self.pieces.append(piece)

    def on_message_complete(self) -> None:
        """The reply's end."""
        self.is_whole = True

    def data_received(self, data: bytes) -> None:
        """A piece of the reply goes on as it came; behind the last one, the call is told."""
        if self.parser is None:
            self.parser, self.head, self.pieces, self.is_whole = httptools.HttpResponseParser(self), [], [], False
            self.parser.feed_data(data)
            lines = b"".join([b"%b: %b\r\n" % field for field in self.head])
            self.client.transport.write(
                b"HTTP/1.1 200 OK\r\n%b%b\r\n%b" % (lines, self._context(), data[data.find(b"\r\n\r\n") + 4 :])
            )
        else:
            self.client.transport.write(data)
            self.parser.feed_data(data)
        if self.is_whole:
            self.parser = None
            self.service.tell(self.client, b"".join(self.pieces))
            self.service.idle.append(self)

    def _context(self) -> bytes:
        """The signed context, which the client gets."""
        fields = self.client.fields
        claims = orjson.dumps([self.client.exchange_id.decode(), *map(fields.get, OWN), self.client.asked["model"]])
        signature = hmac.digest(SECRET, claims, "sha256")
        return b"X-Promptlane-Context: %b.%b\r\n" % (claims.hex().encode(), signature.hex().encode())


class Service:
    """The connections that rest, and the journal."""

    def __init__(self, upstream: str, data: Path) -> None:
        self.host, _, self.port = upstream.removeprefix("http://").partition(":")
        self.idle: list[Provider] = []
        self.dialling: set[asyncio.Task[None]] = set()
        self.journal = SqliteJournal(JournalSettings(directory=data))
        self.journal.start()

    def send(self, client: Client, request: bytes) -> None:
        """On a connection that rests, or a new one."""
        if not self.idle:
            task = asyncio.ensure_future(self._dial(client, request))
            self.dialling.add(task)
            task.add_done_callback(self.dialling.discard)
            return
        provider = self.idle.pop()
        provider.client = client
        provider.transport.write(request)

    async def _dial(self, client: Client, request: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, provider = await loop.create_connection(lambda: Provider(self), self.host, int(self.port))
        self.idle.append(provider)
        self.send(client, request)

    def tell(self, client: Client, body: bytes) -> None:
        """Three events and the record, for the journal."""
        last = body if body[:1] == b"{" else body[body.rfind(b"data: {") + 6 : body.rfind(b"data: [DONE]")]
        reply: dict[str, Any] = orjson.loads(last)
        usage: Mapping[str, int] = reply["usage"]
        facts = orjson.dumps({
            "model": reply["model"],
            "latency_ms": (time.monotonic_ns() - client.started_ns) / 1e6,
            "messages": len(client.asked["messages"]),
            "input_tokens": usage["prompt_tokens"],
            "output_tokens": usage["completion_tokens"],
            "cost_usd": (usage["prompt_tokens"] * 400 + usage["completion_tokens"] * 1600) / 1e9,
        })  # fmt: skip
        exchange_id, now_us = client.exchange_id.decode(), time.time_ns() // 1000
        user = orjson.dumps(client.fields.get("x-posthog-distinct-id"))
        texts = {}
        for name, padding in PADDING.items():
            uuid = hashlib.sha1(client.exchange_id + name.encode(), usedforsecurity=False).hexdigest()[:32]
            members = (name.encode(), user, uuid.encode(), b"%d" % now_us, client.exchange_id, client.prompt_hash)
            texts[name] = JournalEvent(uuid, name, TEXT % members + padding + facts[1:] + b"}")
        record = texts.pop("record").body
        opening = Opening(exchange_id, exchange_id, facts, (texts[STARTED],))
        self.journal.open(opening)
        self.journal.close(Closing(exchange_id, exchange_id, now_us, (texts[COMPLETED], texts[GENERATION]), record))


async def main(upstream: str, data: Path) -> None:
    """Serve until killed."""
    service = Service(upstream, data)
    server = await asyncio.get_running_loop().create_server(lambda: Client(service), "127.0.0.1", 0, backlog=4096)
    print(f"listening on http://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1], Path(sys.argv[2])))
