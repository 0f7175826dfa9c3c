"""From an outcome, and what is known of its call, to the events that tell of it.

The event carries what the call's own events say of user, prompt, flags and model, and sums over the trace. Where
PostHog's traces have a place for it, one of PostHog's own events comes with it. Outcomes are not sampled: each was sent
on purpose, and a sample of the ratings of a sample of the calls would be of neither.

A uuid that follows from the caller's own id is the same in every process that has the secret; timestamps are fixed
when the event is made, as those of calls are.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from proxy import __version__
from proxy.domain import journal_rows
from proxy.domain.ai_properties import ai_trace_id
from proxy.domain.event_properties import AI_GENERATION
from proxy.domain.events import EventPolicy, encoded, event_uuid, joined
from proxy.domain.identity import IdentityPolicy, id_of_trace
from proxy.domain.outcome_context import CallContext
from proxy.domain.outcome_properties import (
    AGENT_STEP,
    AI_EVALUATION,
    AI_FEEDBACK,
    AI_METRIC,
    AI_SPAN,
    OUTPUT_EVALUATED,
    OUTPUT_RATED,
    TASK_COMPLETED,
    allowed,
)
from proxy.domain.outcomes import Outcome
from proxy.domain.privacy import mac, purpose_key

_LLM_EVENTS = (OUTPUT_RATED, TASK_COMPLETED, OUTPUT_EVALUATED, AGENT_STEP)


@dataclass(frozen=True, slots=True, kw_only=True)
class Telling:
    """One outcome, and all that its events are made of. `seed` names it: the uuids follow from it."""

    outcome: Outcome
    seed: str
    begun_unix_us: int
    """When it was first said."""
    context: CallContext | None = None
    sums: Mapping[str, object] = field(default_factory=dict)
    key_alias: str | None = None
    """Of whoever told it; this and the next count where the call is not known."""
    environment: str

    @property
    def at_unix_us(self) -> int:
        """When it happened, as far as that was said."""
        return self.outcome.at_unix_us if self.outcome.at_unix_us is not None else self.begun_unix_us


def seed_of(secret: bytes, *parts: str) -> str:
    """A name for an outcome that follows from what its caller calls it; 32 hex digits."""
    return mac(purpose_key(secret, "outcome id"), "\0".join(parts).encode()).hex()[:32]


def row_of(told: Telling, policy: EventPolicy, identity: IdentityPolicy) -> journal_rows.Outcome:
    """What is kept and sent. No events where the families that would tell of it are off."""
    said = _said(told, policy)
    distinct_id = _distinct_id(told, said, identity)
    own = orjson.dumps({**(told.context.own if told.context else {}), **told.outcome.own})[1:-1]
    events = tuple(
        encoded(
            name,
            uuid,
            distinct_id=distinct_id,
            at_us=told.at_unix_us,
            said=joined(own, allowed(name).members(properties)),
        )
        for name, uuid, properties in _events(told, said, policy)
    )
    return journal_rows.Outcome(
        exchange_id=str(said.get("exchange_id") or ""),
        trace_id=str(said.get("trace_id") or ""),
        at_unix_us=told.at_unix_us,
        events=events,
    )


Properties = dict[str, object]


def _said(told: Telling, policy: EventPolicy) -> Properties:
    """What each of its events says."""
    context, about = told.context, told.outcome.about
    of_call: Mapping[str, object]
    if context is not None:
        of_call = {"trace_url": policy.trace_url_of(context.trace_id), **context.properties}
        of_call = {**of_call, "exchange_id": context.exchange_id, "trace_id": context.trace_id or None}
    else:
        of_call = {"exchange_id": about.exchange_id, "trace_id": about.trace_id, "request_id": about.request_id}
        of_call |= {"environment": told.environment, "key_alias": told.key_alias}
    return {
        **of_call,
        **{name: value for name, value in told.outcome.values.items() if value is not None},
        "context_found": context is not None,
        **told.sums,
        "proxy_version": __version__,
        "$lib": "promptlane",
        "$lib_version": __version__,
        "$geoip_disable": True,
        "$ignore_sent_at": True,
    }


def _distinct_id(told: Telling, said: Properties, identity: IdentityPolicy) -> str:
    """Whom the outcome names, else the call's user, else nobody; sets what follows from it."""
    person = told.outcome.person
    if person is not None:
        said["distinct_id_hashed"] = True if person.is_hashed else None
        said["$process_person_profile"] = None
        return person.distinct_id
    if told.context is not None:
        return told.context.distinct_id
    said["$process_person_profile"] = False
    return id_of_trace(told.outcome.about.trace_id or told.seed, identity.secret)


def _events(told: Telling, said: Properties, policy: EventPolicy) -> Iterator[tuple[str, str, Properties]]:
    """(name, uuid, properties) of each."""
    event = told.outcome.event
    if policy.product or event not in _LLM_EVENTS:
        yield event, event_uuid(told.seed, event), said
    trace_id = said.get("trace_id")
    if not policy.ai or not isinstance(trace_id, str):
        return
    shared = {**said, "$ai_trace_id": ai_trace_id(trace_id), "$ai_session_id": said.get("$session_id")}
    for name, own in _twins(event, said, told):
        uuid = event_uuid(told.seed, name)
        yield name, uuid, {**shared, **own, "$ai_span_id": uuid if name == AI_SPAN else None}


def _twins(event: str, said: Properties, told: Telling) -> Iterator[tuple[str, Properties]]:
    """PostHog's own events for the same thing."""
    if event in (OUTPUT_RATED, TASK_COMPLETED) and said.get("user_feedback") is not None:
        yield AI_FEEDBACK, {"$ai_feedback_text": said["user_feedback"]}
    if event == TASK_COMPLETED:
        yield AI_METRIC, {"$ai_metric_name": "task_completed", "$ai_metric_value": int(said["task_completed"] is True)}
    elif event == OUTPUT_EVALUATED:
        if said.get("eval_passed") is not None:
            yield AI_EVALUATION, _evaluation(said, told)
        if said.get("eval_score") is not None:
            yield AI_METRIC, {"$ai_metric_name": said["eval_name"], "$ai_metric_value": said["eval_score"]}
    elif event == AGENT_STEP:
        yield AI_SPAN, _span(said, told)


def _evaluation(said: Properties, told: Telling) -> Properties:
    return {
        "$ai_evaluation_name": said["eval_name"],
        "$ai_evaluation_result": said["eval_passed"],
        "$ai_evaluation_runtime": "llm_judge" if said.get("eval_model") is not None else None,
        "$ai_evaluation_model": said.get("eval_model"),
        "$ai_target_event_id": _generation(told),
    }


def _generation(told: Telling) -> str | None:
    """The uuid of the `$ai_generation` that tells of the call's last attempt, where the call is known."""
    attempt = told.context.properties.get("attempt") if told.context else None
    if told.context is None or not isinstance(attempt, int):
        return None
    return event_uuid(told.context.exchange_id, AI_GENERATION, attempt - 1)


def _span(said: Properties, told: Telling) -> Properties:
    duration_ms, status = said.get("duration_ms"), said.get("step_status")
    return {
        "$ai_parent_id": _generation(told) or ai_trace_id(str(said["trace_id"])),
        "$ai_span_name": said.get("tool_name") or said.get("agent_step_name"),
        "$ai_latency": duration_ms / 1_000 if isinstance(duration_ms, int | float) else None,
        "$ai_is_error": status == "error" if status in ("success", "error") else None,
    }
