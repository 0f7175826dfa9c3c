"""An outcome call, from its head to its events.

`hear` decides who calls and what is said, and refuses all of it or nothing. `tell` joins each outcome to its call and
hands its events to the journal; it goes on when its client leaves, since what was said was said.

The call's record may be in another worker's journal, and its end may not be on disk yet, so a call that is not found,
or of whose trace something still runs, is looked for again for a while. Whoever repeats an outcome under the name that
it had is answered as before and nothing is told twice: all workers share what was said under which name. Two who say it
at the very same moment make the same event, under one uuid and one timestamp.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from proxy.domain.chat import parse_json
from proxy.domain.context_token import verify
from proxy.domain.errors import Conflict
from proxy.domain.events import event_uuid
from proxy.domain.headers import header
from proxy.domain.ids import exchange_of
from proxy.domain.limits import Limits
from proxy.domain.outcome_access import Door, Teller, teller_of
from proxy.domain.outcome_context import CallContext, Found, of_claims, of_record, seen_by, sums
from proxy.domain.outcome_events import Telling, row_of
from proxy.domain.outcome_names import Name, Said, names_of
from proxy.domain.outcomes import BadOutcome, Outcome, Problem, Reference, Terms, Verb, place, read
from proxy.pipeline.client_body import read_whole
from proxy.pipeline.ports import CallFinder
from proxy.pipeline.services import RawRequest, Services, Snapshot

BODY_LIMITS = Limits(body_bytes=1 << 20, body_silence_s=10.0)
UNKNOWN_S = 1.0
"""How long a call of which nothing is known is looked for."""
RUNNING_S = 0.3
"""How long the end of one that seems to run is waited for: an end is on disk within 100 ms."""
PAUSE_S = 0.02
"""Before the second look; each further pause is twice as long."""


Result = Literal["found", "unknown", "repeated", "refused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeServices:
    """What outcome calls need besides what all calls need."""

    services: Services
    finder: CallFinder
    count: Callable[[Verb, Result], None]
    """Called once for each outcome, and once for each call that was refused."""
    admin_token: str | None = field(default=None, repr=False)
    is_loopback: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One outcome. `seed` makes its uuid; `context` is what a token said of its call."""

    outcome: Outcome
    seed: str
    name: Name | None
    context: CallContext | None
    said: Said | None
    """What was remembered of it when it came."""

    @property
    def is_told(self) -> bool:
        """It was told before."""
        return self.said is not None and self.said.is_told


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A call that was understood, and will be told."""

    verb: Verb
    teller: Teller
    snapshot: Snapshot
    entries: Sequence[Entry]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """The answer: for each outcome, in order, its event's uuid and whether its call is known."""

    uuids: Sequence[str]
    context_found: Sequence[bool]
    is_repeated: bool
    """All of it had been told before."""


async def hear(raw: RawRequest, verb: Verb, desk: OutcomeServices) -> Heard:
    """Who calls, and what is said. Raises RequestError; then nothing was taken."""
    snapshot, now_us = desk.services.snapshot(), desk.services.clock.unix_us()
    teller = teller_of(raw.headers, raw.target.raw_query, verb, _door(snapshot, desk), now_us)
    body = parse_json(await read_whole(raw, BODY_LIMITS))
    rated = teller.rates_call
    terms = Terms(
        verb=verb,
        policy=snapshot.identity,
        now_unix_us=now_us,
        about=Reference(exchange_id=rated, context=header(raw.headers, "x-llm-context")),
        is_rating_alone=rated is not None,
    )
    outcomes = read(body, terms)
    names = names_of(
        outcomes,
        body,
        caller=teller.name,
        verb=verb,
        key=header(raw.headers, "idempotency-key"),
        rated=rated,
        secret=snapshot.secret,
    )
    contexts = _contexts(outcomes, teller, snapshot.secret)
    entries = [
        Entry(
            outcome=outcome,
            seed=name.seed if name else desk.services.random_bytes(16).hex(),
            name=name,
            context=context,
            said=_recall(name, desk.services, now_us),
        )
        for outcome, name, context in zip(outcomes, names, contexts, strict=True)
    ]
    return Heard(verb=verb, teller=teller, snapshot=snapshot, entries=entries)


def _door(snapshot: Snapshot, desk: OutcomeServices) -> Door:
    return Door(
        keyring=snapshot.keyring,
        has_keys=snapshot.has_keys,
        policy=snapshot.outcomes,
        secret=snapshot.secret,
        admin_token=desk.admin_token,
        is_loopback=desk.is_loopback,
    )


def _contexts(outcomes: Sequence[Outcome], teller: Teller, secret: bytes) -> list[CallContext | None]:
    """What the tokens say, each read once. Another key's call is as good as unknown. Raises BadOutcome."""
    read: dict[str, CallContext | None] = {}
    problems = []
    for outcome in outcomes:
        token = outcome.about.context
        if token is None or token in read:
            continue
        claims = verify(token, secret)
        if claims is None:
            problems.append(Problem(place(outcome.path, "context"), "is no token of this proxy's"))
        context = None if claims is None else of_claims(claims)
        is_foreign = context is None or (teller.alias is not None and context.key_alias not in (None, teller.alias))
        read[token] = None if is_foreign else context
    if problems:
        raise BadOutcome(problems)
    return [None if (token := outcome.about.context) is None else read[token] for outcome in outcomes]


def _recall(name: Name | None, services: Services, now_us: int) -> Said | None:
    """What is remembered under the name. Raises Conflict where that was something else."""
    if name is None:
        return None
    said = Said.unpacked(services.shared.recall(name.memory_key), now_us)
    if said is not None and said.digest != name.digest:
        raise Conflict(f"{name.path} was used within the last day for something else.", code="id_reused")
    return said


async def tell(heard: Heard, desk: OutcomeServices) -> Receipt:
    """Join each outcome to its call, and have its events kept and sent."""
    fresh = [entry for entry in heard.entries if not entry.is_told]
    for entry in fresh:
        if entry.name is not None and entry.said is None:
            _remember(entry.name, Said(at_unix_us=desk.services.clock.unix_us(), digest=entry.name.digest), desk)
    patience_s = {_sought(entry): RUNNING_S if entry.context else UNKNOWN_S for entry in fresh}
    looked = await asyncio.gather(*(_find(about, s, heard, desk) for about, s in patience_s.items()))
    found = dict(zip(patience_s, looked, strict=True))
    is_found = [_tell(entry, found.get(_sought(entry), Found()), heard, desk) for entry in heard.entries]
    return Receipt(
        uuids=[event_uuid(entry.seed, entry.outcome.event) for entry in heard.entries],
        context_found=is_found,
        is_repeated=not fresh,
    )


def _tell(entry: Entry, found: Found, heard: Heard, desk: OutcomeServices) -> bool:
    """Hand one outcome's events to the journal, if that was not done before; whether its call is known."""
    if entry.said is not None and entry.said.is_told:
        desk.count(heard.verb, "repeated")
        return entry.said.is_found
    services, snapshot = desk.services, heard.snapshot
    begun_us = services.clock.unix_us()
    if entry.name is not None:
        said = Said.unpacked(services.shared.recall(entry.name.memory_key), begun_us)
        begun_us = said.at_unix_us if said is not None else begun_us  # another worker's, where two began at once
    context = entry.context if found.meant is None else of_record(found.meant)
    telling = Telling(
        outcome=entry.outcome,
        seed=entry.seed,
        at_unix_us=entry.outcome.at_unix_us or begun_us,
        context=context,
        sums=_sums(found, context),
        key_alias=heard.teller.alias,
        environment=heard.teller.environment or snapshot.identity.environment,
    )
    row = row_of(telling, snapshot.events, snapshot.identity)
    if row.events:
        services.journal.note(row)
    is_found = context is not None
    if entry.name is not None:
        said = Said(at_unix_us=begun_us, digest=entry.name.digest, is_told=True, is_found=is_found)
        _remember(entry.name, said, desk)
    desk.count(heard.verb, "found" if is_found else "unknown")
    return is_found


def _sums(found: Found, context: CallContext | None) -> dict[str, object]:
    """Of the trace, else of the one call whose token told its cost."""
    if found.trace:
        return sums(found.trace) if found.is_whole else {}
    return {"estimated_cost_usd": context.cost_usd if context else None}


def _remember(name: Name, said: Said, desk: OutcomeServices) -> None:
    desk.services.shared.remember(name.memory_key, said.packed())


def _sought(entry: Entry) -> Reference:
    """What to look for in the journals."""
    about, context = entry.outcome.about, entry.context
    if context is not None:
        return Reference(exchange_id=context.exchange_id, trace_id=context.trace_id or None)
    ours = exchange_of(about.request_id) if about.request_id else None
    return Reference(
        exchange_id=about.exchange_id or ours, request_id=None if ours else about.request_id, trace_id=about.trace_id
    )


async def _find(about: Reference, patience_s: float, heard: Heard, desk: OutcomeServices) -> Found:
    """Look, and look again while nothing is found or something runs; what is known when the time is over."""
    found = Found()
    if about == Reference():
        return found
    loop, sees = asyncio.get_running_loop(), seen_by(heard.teller.alias)
    began_s, pause_s = loop.time(), PAUSE_S
    try:
        async with asyncio.timeout(patience_s) as patience:
            while True:
                found = await desk.finder.find(about, sees)
                if found.meant is not None and not found.is_running:
                    return found
                if found.meant is not None:
                    patience.reschedule(began_s + min(patience_s, RUNNING_S))
                await asyncio.sleep(pause_s)
                pause_s *= 2
    except TimeoutError:
        return found
