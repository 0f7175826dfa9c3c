"""A PostHog that does as it is told: raw sockets on loopback, capture v0 and v1, and flag definitions.

Each POST asks for an `Answer`: the next of `scripts`, else `default(post)`. `deliveries` has an entry for each time
that an event was taken, with the bytes that it had, so that a resend can be compared with the first; `posts` has every
request, also those that were refused. Waiting is done on what arrives, never on time.
"""

import asyncio
import gzip
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from http import HTTPStatus
from typing import Any, Self

from tests.harness.call import PATIENCE_S
from tests.harness.http1 import Broken, Head, iter_request_body, read_head
from tests.harness.listener import Listener
from tests.harness.oracle import COMPLETED, FAILED, Event

V0_PATHS = ("/batch/", "/batch")
V1_PATH = "/i/v1/analytics/events"
FLAGS_PATH = "/flags/definitions"
_BATCH_KEY = b'"batch":['


@dataclass(frozen=True)
class Post:
    """One request as it came; `body` is decompressed, `wire_bytes` is not counted so."""

    head: Head
    body: bytes
    wire_bytes: int

    @property
    def path(self) -> str:
        return self.head.start_line.split(" ")[1].split("?")[0]

    @property
    def is_v1(self) -> bool:
        return self.path == V1_PATH

    @property
    def document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.body)
        return document

    @property
    def raw_events(self) -> list[bytes]:
        """The bytes of each event of the batch, as they stood in the body."""
        text = self.body.decode()
        at = text.index(_BATCH_KEY.decode()) + len(_BATCH_KEY)
        found: list[bytes] = []
        while text[at] != "]":
            _, end = json.JSONDecoder().raw_decode(text, at)
            found.append(text[at:end].encode())
            at = end + (text[end] == ",")
        return found

    @property
    def uuids(self) -> list[str]:
        return [json.loads(raw)["uuid"] for raw in self.raw_events]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What to reply and what to keep. `body` None: what PostHog would say."""

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    verdicts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """v1: by uuid; an event that is to be dropped or retried is not kept."""
    keeps: bool | None = None
    """Whether the events are taken; None: when the status is 2xx."""
    is_lost: bool = False
    """The connection breaks in place of the reply."""
    is_truncated: bool = False
    """The connection breaks half-way through the reply's body."""
    gate: asyncio.Event | None = None
    """The reply waits for it; a gate that never opens is a server that never answers."""
    drips: bool = False
    """The head comes, then nothing more until the caller has gone."""


Script = Callable[[Post], Answer]


def refuse_uuids(uuids: Iterable[str]) -> Script:
    """400 for any batch that holds one of these."""
    refused = frozenset(uuids)
    return lambda post: Answer(status=400) if refused & set(post.uuids) else Answer()


def refuse_over(max_bytes: int) -> Script:
    """413 for a larger body."""
    return lambda post: Answer(status=413) if len(post.body) > max_bytes else Answer()


def always(answer: Answer) -> Script:
    return lambda post: answer


HTML = Answer(body=b"<html><body>hello</body></html>", keeps=True)
LOST = Answer(keeps=True, is_lost=True)
TRUNCATED = Answer(keeps=True, is_truncated=True)
QUOTA = Answer(body=b'{"status":"Ok","quota_limited":["events"]}', keeps=False)


@dataclass(frozen=True)
class Delivery:
    """One event that was taken, once for each time."""

    raw: bytes
    event: Event
    is_historical: bool


class ScriptedPostHog:
    """`async with ScriptedPostHog() as posthog:` listens on an ephemeral port of 127.0.0.1."""

    def __init__(self, default: Script | None = None) -> None:
        self.scripts: deque[Answer] = deque()
        self.default: Script = default or always(Answer())
        self.flags: dict[str, Any] = {"flags": [], "group_type_mapping": {}, "cohorts": {}}
        self.flags_answer: Answer | None = None
        """What requests for definitions get in place of `flags`."""
        self.flags_requests: list[Head] = []
        self.strangers: list[str] = []
        """Start lines of requests that are neither for capture nor for definitions."""
        self.posts: list[Post] = []
        self.deliveries: list[Delivery] = []
        self.problems: list[Exception] = []
        self._listener = Listener(self._connection)
        self._changed = asyncio.Event()

    @property
    def port(self) -> int:
        return self._listener.port

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def delivered(self) -> list[Event]:
        """Every event as often as it was taken."""
        return [delivery.event for delivery in self.deliveries]

    @property
    def events(self) -> dict[str, Event]:
        """By uuid, once."""
        return {delivery.event["uuid"]: delivery.event for delivery in self.deliveries}

    @property
    def divergent(self) -> list[str]:
        """Uuids that arrived with different bytes."""
        first: dict[str, bytes] = {}
        return [d.event["uuid"] for d in self.deliveries if first.setdefault(d.event["uuid"], d.raw) != d.raw]

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self.refuse()
        if self.problems and exc_info[0] is None:
            raise ExceptionGroup("the scripted PostHog failed", self.problems)

    async def listen(self) -> None:
        """Accept connections, on the same port as before if there was one."""
        await self._listener.listen()

    async def refuse(self) -> None:
        """Refuse new connections and break those that are open."""
        await self._listener.stop()

    async def wait_for(self, is_there: Callable[["ScriptedPostHog"], bool]) -> None:
        """Until what arrived satisfies the question; fails after `PATIENCE_S`."""
        async with asyncio.timeout(PATIENCE_S):
            while not is_there(self):
                self._changed.clear()
                await self._changed.wait()

    async def wait_for_end(self, request_id: str) -> list[Event]:
        """All events of a call, by uuid once, when its end is among them."""
        await self.wait_for(
            lambda posthog: any(event["event"] in (COMPLETED, FAILED) for event in posthog.of_request(request_id))
        )
        return self.of_request(request_id)

    def of_request(self, request_id: str) -> list[Event]:
        """The events of one call, by uuid once."""
        return [event for event in self.events.values() if event["properties"].get("request_id") == request_id]

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await read_head(reader)) and await self._serve(head, reader, writer):
                pass
        except (ConnectionError, Broken, asyncio.CancelledError):
            pass  # the caller left, or the server stops
        except Exception as problem:  # noqa: BLE001 - raised where the test can see it
            self.problems.append(problem)

    async def _serve(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; False when the connection is of no more use."""
        wire = b"".join([data async for data in iter_request_body(reader, head)])
        body = gzip.decompress(wire) if head.get("content-encoding") == "gzip" else wire
        post = Post(head, body, len(wire))
        if post.path == FLAGS_PATH:
            self.flags_requests.append(head)
            answer = self.flags_answer or self._definitions(head)
            self._changed.set()
            return await self._reply(answer, post, reader, writer)
        if post.path not in (*V0_PATHS, V1_PATH):
            self.strangers.append(head.start_line)
        self.posts.append(post)
        answer = self.scripts.popleft() if self.scripts else self._default_answer(post)
        is_kept = answer.keeps if answer.keeps is not None else 200 <= answer.status < 300
        if is_kept:
            self._keep(post, answer)
        self._changed.set()
        return await self._reply(answer, post, reader, writer)

    def _definitions(self, head: Head) -> Answer:
        """As PostHog gives them, with a weak tag; nothing where the caller has that tag."""
        body = json.dumps(self.flags).encode()
        etag = f'W/"{sha256(body).hexdigest()[:16]}"'
        if head.get("if-none-match") == etag:
            return Answer(status=304, body=b"", headers={"ETag": etag})
        return Answer(body=body, headers={"ETag": etag})

    async def _reply(
        self, answer: Answer, post: Post, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        """False when the connection is of no more use."""
        if answer.gate is not None:
            await answer.gate.wait()
        if answer.is_lost:
            return False
        await _write(writer, replace(answer, body=_body(answer, post) if answer.body is None else answer.body))
        if answer.drips:
            await reader.read()
        return not (answer.is_truncated or answer.drips)

    def _default_answer(self, post: Post) -> Answer:
        if post.path not in (*V0_PATHS, V1_PATH):
            return Answer(status=404)
        if not post.document.get("batch") or (post.is_v1 and len(set(post.uuids)) < len(post.uuids)):
            return Answer(status=400)
        return self.default(post)

    def _keep(self, post: Post, answer: Answer) -> None:
        is_historical = bool(post.document.get("historical_migration"))
        for raw in post.raw_events:
            event = json.loads(raw)
            if answer.verdicts.get(event["uuid"], {}).get("result") not in ("drop", "retry"):
                self.deliveries.append(Delivery(raw, event, is_historical))


def _body(answer: Answer, post: Post) -> bytes:
    if not 200 <= answer.status < 300:
        return b'{"error":"scripted"}'
    if post.is_v1:
        return json.dumps(
            {"results": {uuid: answer.verdicts.get(uuid, {"result": "ok"}) for uuid in post.uuids}}
        ).encode()
    return b'{"status":"Ok"}'


async def _write(writer: asyncio.StreamWriter, answer: Answer) -> None:
    body = answer.body or b""
    lines = [f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in answer.headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    if not answer.drips:
        writer.write(body[: len(body) // 2] if answer.is_truncated else body)
    await writer.drain()
