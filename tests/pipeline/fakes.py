"""Stand-ins for the outside world: everything is scripted, nothing waits."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

import orjson

from proxy.domain.endpoints import Dialect, Endpoint
from proxy.domain.errors import UpstreamError, UpstreamUnreachable
from proxy.domain.estimate import Estimate, TextToCount
from proxy.domain.events import EventPolicy
from proxy.domain.exchange import Exchange
from proxy.domain.fields import Fields, fields_of
from proxy.domain.fingerprints import PromptHashing
from proxy.domain.identity import IdentityPolicy, VirtualKey
from proxy.domain.ids import new_exchange_id
from proxy.domain.journal_rows import Closing, Opening, Outcome
from proxy.domain.limits import Limits
from proxy.domain.paths import parse_target
from proxy.domain.price_book import PriceBook
from proxy.domain.prompt_edit import PromptEdit
from proxy.domain.rates import Price, RateCard, Rates
from proxy.domain.request_facts import RequestFacts, all_edited_facts, read_all_facts
from proxy.domain.routing import Provider, Route, RoutingTable, Timeouts
from proxy.pipeline.handle import handle
from proxy.pipeline.ports import ChunkSink, Sink, UpstreamRequest
from proxy.pipeline.services import RawRequest, Reply, Services, Snapshot
from tests.pipeline.stand_ins import FakeChecker as FakeChecker
from tests.pipeline.stand_ins import FakeSharedMemory as FakeSharedMemory

SECRET = b"0123456789abcdef"
OPENAI = Provider(name="openai", label="openai", kind="openai", dialect=Dialect.OPENAI, base_url="http://o.test/v1")
OURS = Provider(
    name="ours", label="openai", kind="openai", dialect=Dialect.OPENAI, base_url="http://u.test/v1", api_key="sk-ours-1"
)
ANTHROPIC = Provider(
    name="anthropic", label="anthropic", kind="anthropic", dialect=Dialect.ANTHROPIC, base_url="http://a.test"
)
CHAT = {"model": "gpt-4.1-mini", "messages": [{"role": "user", "content": "hi"}]}

JSON = fields_of([("Content-Type", "application/json")])

Step = bytes | UpstreamError | Callable[[], Any]
"""A body piece, an error that breaks the reply off, or something awaited between two pieces."""


@dataclass
class ScriptedReply:
    """What one attempt meets. `error` comes before any head."""

    status: int = 200
    headers: Fields = JSON
    steps: Sequence[Step] = ()
    error: UpstreamError | None = None
    reason: str = "OK"
    before_head: Callable[[], Any] | None = None
    is_left_early: bool = False
    is_left: bool = False
    flow: list[str] = field(default_factory=list)
    """Each `pause` and `resume`."""

    def __post_init__(self) -> None:
        self._coming = list(self.steps)
        self._ahead: list[bytes] = []

    async def begin(self, on_begun: Callable[[], None]) -> None:
        """Until the first byte of the body, or its end."""
        self.is_left_early = True
        while self._coming and not self._ahead:
            await self._step(self._ahead.append)
        if self._ahead:
            on_begun()

    def peek(self) -> bytes:
        return b"".join(self._ahead)

    async def read(self, limit_bytes: int) -> bytes | None:
        while self._coming and len(self.peek()) <= limit_bytes:
            await self._step(self._ahead.append)
        self._ahead = [self.peek()]
        is_whole = len(self._ahead[0]) <= limit_bytes
        self.is_left_early = not is_whole
        return self._ahead[0] if is_whole else None

    async def pour(self, sink: Sink, _: ChunkSink | None = None) -> None:
        for piece in self._ahead:
            sink(piece)
        while self._coming:
            await self._step(sink)
        self.is_left_early = False

    async def _step(self, sink: Sink) -> None:
        step = self._coming.pop(0)
        if isinstance(step, bytes):
            sink(step)
        elif isinstance(step, UpstreamError):
            raise step
        else:
            await step()

    def pause(self) -> None:
        self.flow.append("pause")

    def resume(self) -> None:
        self.flow.append("resume")

    def close(self) -> None:
        assert not self.is_left, "a reply is closed once"
        self.is_left = True


@dataclass
class FakeUpstream:
    """Hands out the scripted replies in order and keeps what it was asked."""

    replies: list[ScriptedReply]
    requests: list[UpstreamRequest] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)

    async def send(self, request: UpstreamRequest) -> ScriptedReply:
        reply = self.replies[len(self.requests)]
        self.requests.append(request)
        body = request.body
        if body is not None and not isinstance(body, bytes):
            body = b"".join([piece async for piece in body])
        self.bodies.append(body or b"")
        if not isinstance(reply.error, UpstreamUnreachable):
            request.on_sent()
        if reply.error is not None:
            raise reply.error
        try:
            if reply.before_head is not None:
                await reply.before_head()
            await reply.begin(request.on_begun)
        except BaseException:
            reply.is_left = True
            raise
        return reply


@dataclass
class FakeJournal:
    """Keeps rows; can be made to fail."""

    openings: list[Opening] = field(default_factory=list)
    closings: list[Closing] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    is_broken: bool = False

    def open(self, opening: Opening) -> None:
        if self.is_broken:
            raise RuntimeError("a bug in the journal")
        self.openings.append(opening)

    def close(self, closing: Closing) -> None:
        self.closings.append(closing)

    def note(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)

    async def keep(self, outcomes: Sequence[Outcome]) -> bool:
        self.outcomes += [] if self.is_broken else outcomes
        return not self.is_broken

    def events(self, name: str) -> list[dict[str, Any]]:
        rows: list[Opening | Closing | Outcome] = [*self.openings, *self.closings, *self.outcomes]
        return [orjson.loads(event.body) for row in rows for event in row.events if event.name == name]

    def end(self) -> dict[str, Any]:
        """The properties of the one end there is."""
        assert len(self.openings) == len(self.closings) == 1
        (end,) = self.events("llm_request_completed") + self.events("llm_request_failed")
        properties: dict[str, Any] = end["properties"]
        return properties


@dataclass
class FakeEstimator:
    """Answers at once, or not at all when full."""

    answer: Estimate = field(default_factory=lambda: Estimate(input_tokens=7, output_tokens=3))
    is_full: bool = False
    jobs: list[TextToCount] = field(default_factory=list)

    def submit(self, job: TextToCount, done: Callable[[Estimate], None]) -> bool:
        if self.is_full:
            return False
        self.jobs.append(job)
        done(self.answer)
        return True


class SteppingClock:
    """Each look at the monotonic clock is one millisecond later than the one before."""

    def __init__(self) -> None:
        self._now_ns = 0

    def monotonic_ns(self) -> int:
        self._now_ns += 1_000_000
        return self._now_ns

    def unix_us(self) -> int:
        return 1_795_000_000_000_000


class Keys:
    """One known proxy key."""

    def find(self, presented: str) -> VirtualKey | None:
        return VirtualKey(alias="web", allow=("gpt-*", "fast")) if presented == "plk_web" else None


class PlainSide:
    """A decompressor for replies that only pretend to be compressed."""

    def feed(self, chunk: bytes) -> bytes:
        return chunk


def snapshot(*routes: Route, timeouts: Timeouts | None = None, limits: Limits | None = None) -> Snapshot:
    """OpenAI and Anthropic by pass-through, plus the given routes."""
    openai = OPENAI if timeouts is None else replace(OPENAI, timeouts=timeouts)
    return Snapshot(
        routing=RoutingTable(
            providers={"openai": openai, "anthropic": ANTHROPIC, "ours": OURS},
            routes=routes,
            defaults={Dialect.OPENAI: openai, Dialect.ANTHROPIC: ANTHROPIC, Dialect.GEMINI: None},
        ),
        keyring=Keys(),
        identity=IdentityPolicy(secret=SECRET),
        events=EventPolicy(trace_url="http://proxy.test/t/{trace_id}"),
        prices=PriceBook(table=_prices(), version="test"),
        limits=limits or Limits(),
        secret=SECRET,
    )


def _prices() -> dict[str, dict[str, Price]]:
    rates = Rates(input_usd_per_mtok=Decimal("0.4"), output_usd_per_mtok=Decimal("1.6"))
    return {"openai": {"gpt-4.1-mini": Price(card=RateCard(standard=rates))}}


@dataclass
class World:
    """One pipeline with its stand-ins."""

    services: Services
    upstream: FakeUpstream
    journal: FakeJournal
    estimator: FakeEstimator
    checker: FakeChecker
    observed: list[Exchange]


async def elsewhere(body: bytes, endpoint: Endpoint, hashing: PromptHashing) -> RequestFacts:
    """Reads a large body right here."""
    return read_all_facts(body, endpoint, hashing)


async def edited_elsewhere(
    body: bytes, endpoint: Endpoint, hashing: PromptHashing, edit: PromptEdit
) -> tuple[bytes, RequestFacts]:
    """Edits a large body right here."""
    return all_edited_facts(body, endpoint, hashing, edit)


def world(*replies: ScriptedReply, configured: Snapshot | None = None) -> World:
    """Build one."""
    upstream, journal, estimator = FakeUpstream(list(replies)), FakeJournal(), FakeEstimator()
    observed: list[Exchange] = []
    checker = FakeChecker()
    seed = iter(range(1, 10_000))
    services = Services(
        snapshot=lambda: configured or snapshot(),
        upstream=upstream,
        journal=journal,
        shared=FakeSharedMemory(),
        estimator=estimator,
        checker=checker,
        later=lambda action: action(),
        clock=SteppingClock(),
        random_bytes=lambda count: next(seed).to_bytes(4) * (count // 4) + bytes(count % 4),
        decode_copy=lambda body, encoding, limit: body.removeprefix(encoding.encode()),
        read_elsewhere=elsewhere,
        edit_elsewhere=edited_elsewhere,
        side_decompressor=lambda encoding: PlainSide(),
        observe=observed.append,
    )
    return World(services, upstream, journal, estimator, checker, observed)


_IDS = (new_exchange_id(1_795_000_000_000_000, count.to_bytes(10)) for count in range(1, 1_000_000))


def request(
    body: Any = CHAT,
    *,
    target: str = "/v1/chat/completions",
    method: str = "POST",
    headers: Sequence[tuple[str, str]] = (("Authorization", "Bearer sk-theirs"),),
    pieces: Sequence[Any] | None = None,
) -> RawRequest:
    """A request whose body is JSON of `body`, or comes in the given pieces (an exception is raised where it stands)."""
    data = body if isinstance(body, bytes) else orjson.dumps(body)

    async def stream() -> AsyncIterator[bytes]:
        for piece in [data] if pieces is None else pieces:
            if isinstance(piece, bytes):
                yield piece
            elif isinstance(piece, BaseException):
                raise piece
            else:
                await piece()

    return RawRequest(
        exchange_id=next(_IDS),
        method=method,
        target=parse_target(target),
        headers=fields_of(headers),
        body=stream(),
        has_body=bool(data) or pieces is not None,
        content_length=len(data) if pieces is None else None,
        received_ns=0,
        received_unix_us=1_795_000_000_000_000,
    )


@dataclass
class Answer:
    """What the client got."""

    status: int
    headers: dict[str, str]
    pieces: list[bytes]

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


async def call(made: World, raw: RawRequest | None = None, *, on_piece: Callable[[int], Any] | None = None) -> Answer:
    """Carry a request through `handle` as the edge would; `on_piece` may raise at the n-th write."""
    answer = Answer(0, {}, [])

    def write(piece: bytes) -> None:
        answer.pieces.append(piece)
        if on_piece is not None:
            on_piece(len(answer.pieces))

    async def deliver(reply: Reply) -> None:
        answer.status = reply.status
        answer.headers = {name.lower(): value for name, value in reply.headers}
        if isinstance(reply.body, bytes):
            answer.pieces.append(reply.body)
        else:
            await reply.body.pour(write)

    await handle(raw or request(), made.services, deliver)
    return answer


def event(payload: Any) -> bytes:
    """One server-sent event."""
    return b"data: " + orjson.dumps(payload) + b"\n\n"


def stream_chunk(content: str | None = None, **more: Any) -> bytes:
    """One chat chunk."""
    delta = {} if content is None else {"content": content}
    choice = {"index": 0, "delta": delta, "finish_reason": more.pop("finish_reason", None)}
    return event({"id": "c", "model": "gpt-4.1-mini", "choices": [choice], **more})


DONE = b"data: [DONE]\n\n"
SSE = fields_of([("Content-Type", "text/event-stream")])
USAGE = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
PLAIN_BODY = orjson.dumps(
    {
        "id": "c",
        "model": "gpt-4.1-mini",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hello."}, "finish_reason": "stop"}],
        "usage": USAGE,
    }
)


def plain(**more: Any) -> ScriptedReply:
    """A whole good reply."""
    return ScriptedReply(**{"steps": (PLAIN_BODY,), **more})


def streamed(*steps: Step) -> ScriptedReply:
    """A stream of the given steps, or a short good one with usage."""
    usage = event({"id": "c", "model": "gpt-4.1-mini", "choices": [], "usage": USAGE})
    return ScriptedReply(
        headers=SSE, steps=steps or (stream_chunk("Hel"), stream_chunk("lo.", finish_reason="stop"), usage, DONE)
    )
