"""The conservation oracle: joins what the caller, the provider, PostHog and the journal each saw of the same calls.

It is the judge of every scenario, whatever faults went before, at a moment when nothing is in flight:

* every admitted call has one `llm_request_started` and one end, and nothing else has any;
* admitted = delivered + pending + dead + counted drops;
* one uuid is one event: a resend is identical in name, distinct id, timestamp and properties;
* the provider saw each call at most as often as configuration allows, and each `$ai_generation` is one of those times.

Calls are joined by `request_id`, which the test's client sets, never by anything that the product made up. What a
call owes follows from what the outside saw of it (`owed`), so that the oracle does not believe the product's word.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

import orjson

from tests.harness.call import Record
from tests.harness.client import ClientCall, Ending, Leave

STARTED = "llm_request_started"
COMPLETED = "llm_request_completed"
FAILED = "llm_request_failed"
PRODUCT_FAMILY = frozenset({STARTED, COMPLETED, FAILED})
AI_FAMILY = frozenset({"$ai_generation", "$ai_embedding"})
DURABLE_AFTER_NS = 250_000_000
"""A call's rows must survive kill -9 from this long after the moment they tell of."""
_SHOWN = 5

Event = Mapping[str, Any]


class Owed(Enum):
    """What events a call must have. `AT_MOST_ONE`: the outside cannot tell whether it was admitted, or kept."""

    NOTHING = auto()
    AT_MOST_ONE = auto()
    ONE = auto()


class NotConserved(AssertionError):
    """Something was lost, doubled, invented or changed."""


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """The four ledgers. `delivered` has an entry for each time that PostHog took an event."""

    calls: Sequence[ClientCall]
    provider: Sequence[Record]
    delivered: Sequence[Event]
    kept: Sequence[Event] = ()
    """Pending and dead events, as the outbox exports them."""
    dropped: int = 0
    """Product events that the proxy counted as dropped."""
    kills_ns: Sequence[int] = ()
    """When the process was killed, monotonic."""
    allowed_attempts: int = 1


@dataclass(kw_only=True)
class Verdict:
    """Numbers for the report; `problems` by rule, each with the call or event that broke it."""

    calls: int
    admitted: int = 0
    uncertain: int = 0
    interrupted: int = 0
    resent: int = 0
    by_end: Counter[str] = field(default_factory=Counter)
    problems: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    def report(self) -> str:
        """Every broken rule with its count and the first few offenders."""
        lines = [
            f"{self.calls} calls, {self.admitted} admitted, {self.uncertain} uncertain, ends {dict(self.by_end)}, "
            f"{self.interrupted} interrupted, {self.resent} events resent"
        ]
        for rule, offenders in self.problems.items():
            lines.append(f"{len(offenders)} × {rule}")
            lines += [f"    {offender}" for offender in offenders[:_SHOWN]]
        return "\n".join(lines)


def verify(evidence: Evidence) -> Verdict:
    """Judge the evidence. Raises NotConserved with a report that names the calls."""
    verdict = Verdict(calls=len(evidence.calls))
    events = _once_by_uuid(evidence, verdict)
    by_call = _by_request(events)
    attempts = Counter(record.call_id for record in evidence.provider)
    missing = 0
    for call in evidence.calls:
        missing += _judge_call(call, by_call.pop(call.call_id, []), attempts[call.call_id], evidence, verdict)
    for request_id, strangers in by_call.items():
        names = sorted(str(event["event"]) for event in strangers)
        verdict.problems["events of no call"].append(f"{request_id}: {names}")
    if missing > evidence.dropped:
        verdict.problems["events missing"].append(f"{missing} missing, {evidence.dropped} counted as dropped")
    elif missing == 0 and evidence.dropped:
        verdict.problems["drops counted that did not happen"].append(str(evidence.dropped))
    if verdict.problems:
        raise NotConserved(verdict.report())
    return verdict


def owed(call: ClientCall, is_at_provider: bool, kills_ns: Sequence[int]) -> Owed:
    """What a call must have left behind, judged from outside."""
    if not call.plan.owes_events or call.ending is Ending.REFUSED or call.plan.leaves is Leave.IN_HEAD:
        return Owed.NOTHING
    is_admitted = call.status is not None or is_at_provider
    if not is_admitted:
        return Owed.AT_MOST_ONE
    for kill_ns in kills_ns:
        evident_ns = call.head_ns if call.head_ns is not None else call.ended_ns
        if call.began_ns <= kill_ns and evident_ns > kill_ns - DURABLE_AFTER_NS:
            return Owed.AT_MOST_ONE
    return Owed.ONE


def _once_by_uuid(evidence: Evidence, verdict: Verdict) -> list[Event]:
    events: dict[str, Event] = {}
    for event in evidence.delivered:
        verdict.resent += _is_known(event, events, verdict)
    kept_uuids: set[str] = set()
    for event in evidence.kept:
        if event["uuid"] in kept_uuids:
            verdict.problems["kept twice under one uuid"].append(_named(event))
        kept_uuids.add(event["uuid"])
        _is_known(event, events, verdict)
    return list(events.values())


def _is_known(event: Event, events: dict[str, Event], verdict: Verdict) -> bool:
    """Add the event, or compare it with the one that has its uuid."""
    if event["uuid"] not in events:
        events[event["uuid"]] = event
        return False
    _compare(events[event["uuid"]], event, verdict)
    return True


def _compare(first: Event, second: Event, verdict: Verdict) -> None:
    if any(first.get(key) != second.get(key) for key in ("event", "distinct_id", "timestamp", "properties")):
        verdict.problems["one uuid, two different events"].append(_named(first))


def _by_request(events: Iterable[Event]) -> dict[str, list[Event]]:
    found: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        found[str(event["properties"].get("request_id"))].append(event)
    return found


def _judge_call(call: ClientCall, events: Sequence[Event], attempts: int, evidence: Evidence, verdict: Verdict) -> int:
    """Note what is wrong with one call; returns how many of its events are missing."""
    names = Counter(str(event["event"]) for event in events)
    starts, ends = names[STARTED], names[COMPLETED] + names[FAILED]
    due = owed(call, attempts > 0, evidence.kills_ns)
    verdict.admitted += due is Owed.ONE
    verdict.uncertain += due is Owed.AT_MOST_ONE
    told = f"{_told(call)}: {dict(names)}"
    problems = verdict.problems
    if starts > 1 or ends > 1:
        problems["more than one start or end"].append(told)
    if due is Owed.NOTHING and events:
        problems["events of a call that owes none"].append(told)
    if due is Owed.AT_MOST_ONE and starts != ends:
        problems["a start without an end, or the reverse"].append(told)
    if attempts > evidence.allowed_attempts:
        problems["asked the provider too often"].append(f"{_told(call)}: {attempts} times")
    if call.ending is Ending.SILENT:
        problems["the caller waited for ever"].append(told)
    _judge_end(call, events, evidence, verdict)
    _judge_generations(call, sum(names[name] for name in AI_FAMILY), attempts, due, evidence, verdict)
    return max(0, 1 - starts) + max(0, 1 - ends) if due is Owed.ONE else 0


def _judge_end(call: ClientCall, events: Sequence[Event], evidence: Evidence, verdict: Verdict) -> None:
    for event in events:
        if event["event"] not in (COMPLETED, FAILED):
            continue
        verdict.by_end[str(event["event"])] += 1
        is_interrupted = event["properties"].get("error_type") == "interrupted"
        verdict.interrupted += is_interrupted
        was_killed = any(call.began_ns <= kill_ns < call.ended_ns + DURABLE_AFTER_NS for kill_ns in evidence.kills_ns)
        if was_killed:
            continue
        if is_interrupted:
            verdict.problems["interrupted without a kill"].append(_told(call))
        elif call.plan.expected_end not in (None, event["event"]):
            fate = {key: event["properties"].get(key) for key in ("status", "error_type", "failed_phase")}
            verdict.problems["the wrong end"].append(f"{_told(call)}: {event['event']} {fate}")


def _judge_generations(
    call: ClientCall, generations: int, attempts: int, due: Owed, evidence: Evidence, verdict: Verdict
) -> None:
    is_exact = due is Owed.ONE and not evidence.dropped and not evidence.kills_ns
    if generations > attempts or (is_exact and generations != attempts):
        told = f"{_told(call)}: {generations} for {attempts} attempts"
        verdict.problems["AI events and attempts differ"].append(told)


def _told(call: ClientCall) -> str:
    leaves = f", leaves {call.plan.leaves}" if call.plan.leaves else ""
    return f"{call.call_id} [{call.plan.kind or call.plan.script}{leaves}] {call.status} {call.ending}"


def _named(event: Event) -> str:
    return f"{event['event']} {event['uuid']} {orjson.dumps(event.get('properties', {}).get('request_id')).decode()}"
