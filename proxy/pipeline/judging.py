"""Judges: a sample of answers is shown to a model, through the proxy's own routes, after their calls have ended.

A judge's call is a call like any other, so that keys, retries and prices are those of its route. What it must not be is
a part of the product: it runs under a configuration of its own, in which no product events are made, no route has
checks or judges, nothing is kept of its content, and nothing is remembered of it. So there is no recursion, and no
number of the product has a judge in it. What is said of the call that was judged is an outcome of that call.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace

import orjson

from proxy.domain import events
from proxy.domain.answers import answer_of
from proxy.domain.checks import CheckResult
from proxy.domain.endpoints import Dialect
from proxy.domain.errors import ProxyError
from proxy.domain.exchange import Exchange
from proxy.domain.fields import fields_of
from proxy.domain.identity import VirtualKey
from proxy.domain.ids import new_exchange_id
from proxy.domain.judges import PURPOSE, VERSION, Judge, Verdict, question_of, request_body, verdict_of
from proxy.domain.outcome_context import of_record
from proxy.domain.outcome_events import Telling, row_of
from proxy.domain.outcome_properties import OUTPUT_EVALUATED
from proxy.domain.outcomes import Outcome, Reference
from proxy.domain.paths import RequestTarget
from proxy.domain.prompt_versions import NO_DEMAND
from proxy.domain.prompts import NO_PROMPTS
from proxy.domain.routing import route_of
from proxy.pipeline.handle import endpoint_of, handle
from proxy.pipeline.services import RawRequest, Reply, Services, Snapshot
from proxy.providers.codecs import decoder_for

MOST_AT_ONCE = 4
"""Answers that are being judged; one more is left out."""
QUESTION_LIMIT_BYTES = 131_072
"""A longer request is not read again for its question, which would hold up other calls: it is not judged."""
REPLY_LIMIT_BYTES = 262_144
TIMEOUT_MS = 60_000
_PATHS = {Dialect.OPENAI: "/v1/chat/completions", Dialect.ANTHROPIC: "/v1/messages"}

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Budget:
    """So many a minute, and a sixth of that at once, but one at least."""

    per_minute: float
    left: float = 1.0
    at_ns: int = 0

    def take(self, now_ns: int) -> bool:
        refilled = self.left + (now_ns - self.at_ns) * self.per_minute / 60e9
        self.left, self.at_ns = min(max(1.0, self.per_minute / 6), refilled), now_ns
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


class Judging:
    """One worker's judges. `share` is its part of each budget; `count` is told what every judging came to."""

    def __init__(self, services: Services, count: Callable[[str, CheckResult], None], *, share: float = 1.0) -> None:
        self._services = services
        self._count = count
        self._share = share
        self._budgets: dict[Judge, _Budget] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._key = f"plk_{services.random_bytes(16).hex()}"

    def consider(self, exchange: Exchange, request: bytes | None) -> None:
        """Have the answer judged if it is drawn; returns at once. `request` is the body that the client sent."""
        answer = answer_of(exchange)
        if answer is None or answer.text is None or request is None or len(request) > QUESTION_LIMIT_BYTES:
            return
        for judge in exchange.judges:
            if not self._is_drawn(judge):
                continue
            if len(self._tasks) >= MOST_AT_ONCE:
                self._count(judge.name, "lost")
                continue
            task = asyncio.ensure_future(self._judge(judge, exchange, request, answer.text))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def stop(self) -> None:
        """Give up what is being judged."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def _is_drawn(self, judge: Judge) -> bool:
        if int.from_bytes(self._services.random_bytes(4)) >= judge.sample * 2**32:
            return False
        budget = self._budgets.get(judge)
        if budget is None:
            configured = {each for route in self._services.snapshot().routing.routes for each in route.judges}
            self._budgets = {known: each for known, each in self._budgets.items() if known in configured}
            budget = self._budgets[judge] = _Budget(judge.per_minute * self._share)
        return budget.take(self._services.clock.monotonic_ns())

    async def _judge(self, judge: Judge, exchange: Exchange, request: bytes, answer: str) -> None:
        result: CheckResult = "lost"
        try:
            said = await self._ask(judge, question_of(request), answer)
            if said is not None:
                verdict = verdict_of(said, judge)
                result = "undecided" if verdict is None else "passed" if verdict.passed else "failed"
                if verdict is not None:
                    self._tell(judge, verdict, exchange)
        except ProxyError:
            pass  # its own call says what happened
        except Exception:
            log.exception("a judge stumbled over an answer", extra={"exchange_id": exchange.exchange_id})
        finally:
            self._count(judge.name, result)

    async def _ask(self, judge: Judge, question: str, answer: str) -> str | None:
        """What the judge's model says; None where its provider refused. Raises ProxyError."""
        services = replace(self._services, snapshot=self._own_snapshot, shared=_Forgetful(), judge=None)
        route = route_of(services.snapshot().routing, judge.model)
        dialect = route.targets[0].provider.dialect if route is not None else Dialect.OPENAI
        raw = self._request(judge, dialect, request_body(judge, dialect, question, answer))
        status, body = 0, bytearray()

        def take(piece: bytes) -> None:
            body.extend(piece)
            if len(body) > REPLY_LIMIT_BYTES:
                raise ConnectionAbortedError  # as a client that leaves, so that the provider stops

        async def deliver(reply: Reply) -> None:
            nonlocal status
            status = reply.status
            if isinstance(reply.body, bytes):
                take(reply.body)
            else:
                await reply.body.pour(take)

        try:
            await handle(raw, services, deliver)
        except ConnectionAbortedError:
            return None
        if status >= 300:
            return None
        decoder = decoder_for(endpoint_of(raw).api, "application/json", status)
        decoder.feed(bytes(body), 0)
        return decoder.finish().answer_text

    def _own_snapshot(self) -> Snapshot:
        snapshot = self._services.snapshot()
        routes = tuple(replace(route, checks=(), judges=()) for route in snapshot.routing.routes)
        return replace(
            snapshot,
            routing=replace(snapshot.routing, routes=routes),
            keyring=_OwnKey(self._key),
            events=replace(snapshot.events, product=False, purpose=PURPOSE),
            versions=NO_DEMAND,
            prompts=NO_PROMPTS,
            capture=None,
        )

    def _request(self, judge: Judge, dialect: Dialect, body: bytes) -> RawRequest:
        services = self._services
        unix_us = services.clock.unix_us()
        exchange_id = new_exchange_id(unix_us, services.random_bytes(10))
        headers = {
            "X-Promptlane-Key": self._key,
            "Content-Type": "application/json",
            "X-Trace-Id": f"{PURPOSE}_{exchange_id}",
            "X-Prompt-Name": judge.name,
            "X-Prompt-Version": VERSION,
            "X-LLM-Timeout-Ms": str(TIMEOUT_MS),
        }
        if dialect is Dialect.ANTHROPIC:
            headers["Anthropic-Version"] = "2023-06-01"
        return RawRequest(
            exchange_id=exchange_id,
            method="POST",
            target=RequestTarget(_PATHS.get(dialect, _PATHS[Dialect.OPENAI]), ""),
            headers=fields_of(headers.items()),
            body=_once(body),
            has_body=True,
            content_length=len(body),
            received_ns=services.clock.monotonic_ns(),
            received_unix_us=unix_us,
            arrived=body,
        )

    def _tell(self, judge: Judge, verdict: Verdict, exchange: Exchange) -> None:
        """Note the verdict as an outcome of the call, which has its end by now."""
        snapshot = self._services.snapshot()
        record = orjson.loads(events.closing(exchange, snapshot.events).record)
        values = {
            "eval_name": judge.name,
            "eval_passed": verdict.passed,
            "eval_score": verdict.score,
            "eval_reason_code": verdict.reason,
            "eval_model": judge.model,
        }
        outcome = Outcome(event=OUTPUT_EVALUATED, about=Reference(exchange_id=exchange.exchange_id), values=values)
        telling = Telling(
            outcome=outcome,
            seed=f"{exchange.exchange_id}/{PURPOSE}/{judge.name}",
            begun_unix_us=self._services.clock.unix_us(),
            context=of_record(record),
            environment=snapshot.identity.environment,
        )
        self._services.journal.note(row_of(telling, snapshot.events, snapshot.identity))


class _OwnKey:
    """The keyring of judges' calls: one key, made at random, that nobody else is ever asked for."""

    def __init__(self, key: str) -> None:
        self._key = key

    def find(self, presented: str) -> VirtualKey | None:
        """See the port."""
        return VirtualKey(alias=PURPOSE) if presented == self._key else None


class _Forgetful:
    """Knows nothing, and says that it knew all: so nothing is told for being new."""

    def recall(self, _: bytes) -> bytes | None:
        """See the port."""
        return None

    def remember(self, _: bytes, __: bytes) -> bool:
        """See the port."""
        return False

    def revise(self, _: bytes, change: Callable[[bytes | None], bytes]) -> bytes | None:
        """See the port."""
        change(None)
        return None


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
