"""From a tool call and its result to the events that tell of the step: `llm_agent_step`, and PostHog's `$ai_span`.

A step begins where the reply that asks for it ends, and ends where the request that brings its result begins. Tools
that one reply asks for run in between, each as long as all of them: what an app does in that time is not seen here.
The events say of user, prompt and flags what the request says that brings the result, and belong to the call that
asked. Their uuids follow from that call, so a step that two workers report is one step.
"""

from collections.abc import Iterator

from proxy.domain import call_properties
from proxy.domain.ai_properties import ai_trace_id
from proxy.domain.conversation import ToolResult
from proxy.domain.event_properties import AI_GENERATION
from proxy.domain.events import EventPolicy, encoded, event_uuid, joined, own_members
from proxy.domain.exchange import Exchange
from proxy.domain.identity import Caller
from proxy.domain.journal_rows import Outcome
from proxy.domain.outcome_properties import AGENT_STEP, AI_SPAN, allowed
from proxy.domain.stitching import Asked
from proxy.domain.tool_results import StepStatus

Properties = dict[str, object]


def step_row(exchange: Exchange, result: ToolResult, asked: Asked, policy: EventPolicy) -> Outcome:
    """One step, as the request tells of it that brought the result. The caller must be known."""
    caller = exchange.caller
    assert caller is not None
    of_call = call_properties.of_call(exchange, caller, policy.trace_url_of(caller.trace_id))
    said = of_call | _step(exchange, result, asked)
    own = own_members(caller)
    events = tuple(
        encoded(
            name,
            event_uuid(asked.exchange_id, name, asked.ordinal),
            distinct_id=caller.distinct_id,
            at_us=exchange.received_unix_us,
            said=joined(own, allowed(name).members(said | more)),
        )
        for name, more in _events(caller, said, asked, policy)
    )
    return Outcome(
        exchange_id=asked.exchange_id, trace_id=caller.trace_id, at_unix_us=exchange.received_unix_us, events=events
    )


def _step(exchange: Exchange, result: ToolResult, asked: Asked) -> Properties:
    duration_ms = exchange.received_unix_us / 1_000 - asked.at_unix_ms
    return {
        "exchange_id": asked.exchange_id,
        "request_id": None,  # of the other call
        "analytics_warnings": None,
        "context_found": True,
        "tool_name": call_properties.tool_name(asked.name) if asked.name else None,
        "step_index": asked.step,
        "step_status": result.status,
        "step_status_source": result.source,
        "duration_ms": max(0.0, round(duration_ms, 3)),
        "retry_count": asked.retries,
    }


def _events(caller: Caller, said: Properties, asked: Asked, policy: EventPolicy) -> Iterator[tuple[str, Properties]]:
    """(name, what it says beside what both say); none where the trace is not sampled."""
    if not policy.samples(caller.trace_id):
        return
    if policy.product:
        yield AGENT_STEP, {}
    if policy.ai:
        duration_ms = said["duration_ms"]
        assert isinstance(duration_ms, float)
        yield (
            AI_SPAN,
            {
                "$ai_trace_id": ai_trace_id(caller.trace_id),
                "$ai_session_id": caller.session_id,
                "$ai_span_id": event_uuid(asked.exchange_id, AI_SPAN, asked.ordinal),
                "$ai_parent_id": event_uuid(asked.exchange_id, AI_GENERATION, asked.attempt),
                "$ai_span_name": said["tool_name"],
                "$ai_latency": duration_ms / 1_000,
                "$ai_is_error": said["step_status"] is StepStatus.ERROR,
            },
        )
