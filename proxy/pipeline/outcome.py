"""An outcome call, from its head to its events.

`hear` decides who calls and what is said, and refuses all of it or nothing. `tell` joins each outcome to its call and
hands its events to the journal; it goes on when its client leaves, since what was said was said.

The call's record may be in another worker's journal, and its end may not be on disk yet, so a call that is not found,
or of whose trace something still runs, is looked for again for a while. Whoever repeats an outcome under the name that
it had is answered as before and nothing is told twice: all workers share what was said under which name. Two who say it
at the very same moment make the same event, under one uuid and one timestamp.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from proxy.domain.chat import parse_json
from proxy.domain.context_token import verify
from proxy.domain.errors import Conflict, Overloaded
from proxy.domain.events import event_uuid
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
LOOK_S = 5.0
"""How long one look may take; it takes a millisecond, unless many come at once or the disk hangs."""
UNKNOWN_S = 1.0
"""How long a call of which nothing is known is looked for."""
RUNNING_S = 0.3
"""How long the end of one that seems to run is waited for: an end is on disk within 100 ms."""
KEEP_S = 5.0
"""How long the disk may take."""
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
        about=Reference(exchange_id=rated, context=raw.headers.first("x-llm-context")),
        is_rating_alone=rated is not None,
    )
    outcomes = read(body, terms)
    names = names_of(
        outcomes,
        body,
        caller=teller.name,
        verb=verb,
        key=raw.headers.first("idempotency-key"),
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
    told: dict[str, CallContext | None] = {}
    problems = []
    for outcome in outcomes:
        token = outcome.about.context
        if token is None or token in told:
            continue
        claims = verify(token, secret)
        if claims is None:
            problems.append(Problem(place(outcome.path, "context"), "is no token of this proxy's"))
        context = None if claims is None else of_claims(claims)
        told[token] = context if context is not None and teller.may_tell_of(context) else None
    if problems:
        raise BadOutcome(problems)
    return [None if (token := outcome.about.context) is None else told[token] for outcome in outcomes]


def _recall(name: Name | None, services: Services, now_us: int) -> Said | None:
    """What is remembered under the name. Raises Conflict where that was something else."""
    if name is None:
        return None
    said = Said.unpacked(services.shared.recall(name.memory_key), now_us)
    if said is not None and said.digest != name.digest:
        raise Conflict(f"{name.path} was used within the last day for something else.", code="id_reused")
    return said


async def tell(heard: Heard, desk: OutcomeServices) -> Receipt:
    """Join each outcome to its call, and have its events kept and sent. Raises Conflict, where somebody else says
    something else under the same name right now, and Overloaded.
    """
    fresh = [entry for entry in heard.entries if not entry.is_told]
    for entry in fresh:
        if entry.name is not None and entry.said is None:
            _begin(entry.name, desk)
    found = await _find_all(fresh, heard, desk)
    tellings = [_telling(entry, found[_sought(entry)], heard, desk) for entry in fresh]
    await _keep(tellings, heard, desk)
    for entry, telling in zip(fresh, tellings, strict=True):
        if entry.name is not None:
            desk.services.shared.remember(entry.name.memory_key, _said(entry.name, telling).packed())
    return _receipt(heard, tellings, desk)


def _begin(name: Name, desk: OutcomeServices) -> None:
    """Note that it is about to be told, unless somebody has done so since the name was looked up."""
    now_us = desk.services.clock.unix_us()
    begun = Said(at_unix_us=now_us, digest=name.digest).packed()

    def first(known: bytes | None) -> bytes:
        return known if known is not None and Said.unpacked(known, now_us) is not None else begun

    desk.services.shared.revise(name.memory_key, first)


def _telling(entry: Entry, found: Found, heard: Heard, desk: OutcomeServices) -> Telling:
    """All that the events are made of. Raises Conflict."""
    services, snapshot = desk.services, heard.snapshot
    now_us = services.clock.unix_us()
    said = _recall(entry.name, services, now_us)  # where two began at once, what the earlier one has said
    context = entry.context if found.meant is None else of_record(found.meant)
    return Telling(
        outcome=entry.outcome,
        seed=entry.seed,
        begun_unix_us=now_us if said is None else said.at_unix_us,
        context=context,
        sums=_sums(found, context),
        key_alias=heard.teller.alias,
        environment=heard.teller.environment or snapshot.identity.environment,
    )


async def _keep(tellings: Sequence[Telling], heard: Heard, desk: OutcomeServices) -> None:
    """Wait until all of it is on disk."""
    snapshot = heard.snapshot
    rows = [row_of(telling, snapshot.events, snapshot.identity) for telling in tellings]
    rows = [row for row in rows if row.events]
    try:
        async with asyncio.timeout(KEEP_S):
            is_kept = not rows or await desk.services.journal.keep(rows)
    except TimeoutError:
        is_kept = False
    if not is_kept:
        raise Overloaded("The outcome cannot be kept now; send it again, with the same id.", code="outcome_not_kept")


def _said(name: Name, telling: Telling) -> Said:
    is_found = telling.context is not None
    return Said(at_unix_us=telling.begun_unix_us, digest=name.digest, is_told=True, is_found=is_found)


def _receipt(heard: Heard, tellings: Sequence[Telling], desk: OutcomeServices) -> Receipt:
    found = {entry.seed: entry.said.is_found for entry in heard.entries if entry.said is not None}
    found |= {telling.seed: telling.context is not None for telling in tellings}
    for entry in heard.entries:
        desk.count(heard.verb, "repeated" if entry.is_told else "found" if found[entry.seed] else "unknown")
    return Receipt(
        uuids=[event_uuid(entry.seed, entry.outcome.event) for entry in heard.entries],
        context_found=[found[entry.seed] for entry in heard.entries],
        is_repeated=not tellings,
    )


def _sums(found: Found, context: CallContext | None) -> dict[str, object]:
    """Of the trace, else of the one call whose token told its cost."""
    if found.trace:
        return sums(found.trace) if found.is_whole else {}
    return {"estimated_cost_usd": context.cost_usd if context else None}


def _sought(entry: Entry) -> Reference:
    """What to look for in the journals."""
    about, context = entry.outcome.about, entry.context
    if context is not None:
        return Reference(exchange_id=context.exchange_id, trace_id=context.trace_id or None)
    ours = exchange_of(about.request_id) if about.request_id else None
    return Reference(
        exchange_id=about.exchange_id or ours, request_id=None if ours else about.request_id, trace_id=about.trace_id
    )


async def _find_all(entries: Sequence[Entry], heard: Heard, desk: OutcomeServices) -> Mapping[Reference, Found]:
    """Look for the calls of all, and again for those that may be about to be found; what is known when time is over."""
    patience_s = {_sought(entry): RUNNING_S if entry.context else UNKNOWN_S for entry in entries}
    found = dict.fromkeys(patience_s, Found())
    sought = [about for about in patience_s if about != Reference()]
    loop, sees, pause_s, began_s = asyncio.get_running_loop(), seen_by(heard.teller.alias), PAUSE_S, None
    while sought:
        try:
            async with asyncio.timeout(LOOK_S):
                found |= zip(sought, await desk.finder.find(sought, sees), strict=True)
        except TimeoutError:
            break
        began_s = began_s or loop.time()
        next_s = loop.time() - began_s + pause_s
        sought = [about for about in sought if next_s <= _worth_waiting_s(found[about], patience_s[about])]
        await asyncio.sleep(pause_s if sought else 0)
        pause_s *= 2
    return found


def _worth_waiting_s(found: Found, unknown_s: float) -> float:
    """How long, from the first look on, another one may still say more."""
    if found.meant is None:
        return unknown_s
    return RUNNING_S if found.is_running else 0
