"""From a provider's reply to the client's: the headers of the contract, and the cost where the body was held."""

from proxy.domain.context_token import sign_context
from proxy.domain.exchange import Attempt
from proxy.domain.feedback_token import sign_feedback
from proxy.domain.fingerprints import INFERRED
from proxy.domain.flag_properties import shown_to_client
from proxy.domain.headers import downstream_headers
from proxy.domain.identity import Caller
from proxy.domain.prompt_versions import WARNING as PROMPT_VERSION_MISSING
from proxy.pipeline.call import Call
from proxy.pipeline.ports import UpstreamReply
from proxy.pipeline.pump import Pump
from proxy.pipeline.services import Reply
from proxy.pipeline.settle import price

HELD_LIMIT_BYTES = 256 * 1024
"""Whole JSON replies up to this size are held until their end, so that their cost can stand in a header."""

_ALWAYS = ("X-Trace-Id", "X-Trace-Url", "X-LLM-Target", "X-LLM-Attempts", "X-LLM-Context", "Server-Timing")
"""On every reply to a call of a model."""


async def reply_of(pump: Pump, call: Call) -> Reply:
    """Build what the edge writes."""
    reply, attempt = pump.reply, pump.attempt
    if pump.held is None and call.exchange.endpoint.api and _is_document(pump):
        await pump.read(HELD_LIMIT_BYTES)
    if pump.held is not None:
        pump.finish(is_broken=False)
        price(attempt, call.exchange, call.snapshot)
    names, values = _own_headers(reply, attempt, call)
    if pump.media_type == "text/event-stream":
        names += ("X-Accel-Buffering", "Cache-Control")
        values += ("no", "no-cache")
    keeps_length = pump.keeps_length and pump.held is None
    headers = downstream_headers(reply.headers, names, values, keeps_length=keeps_length)
    return Reply(reply.status, reply.reason, headers, pump if pump.held is None else pump.held)


def _is_document(pump: Pump) -> bool:
    """One JSON document, by its bytes, too: some servers stream events as JSON, or blank lines before a slow reply."""
    return pump.media_type == "application/json" and pump.reply.peek()[:1] in (b"{", b"[", b"")


def _own_headers(reply: UpstreamReply, attempt: Attempt, call: Call) -> tuple[list[str], list[str]]:
    """Names, and a value for each."""
    exchange, snapshot, caller = call.exchange, call.snapshot, call.exchange.caller
    if caller is None:
        return [], []
    names = ["X-LLM-Request-Id" if "x-request-id" in reply.headers.names.at else "X-Request-Id"]
    values = [caller.request_id]
    if not exchange.endpoint.is_model_call:
        return names, values
    names += _ALWAYS
    values += (
        caller.trace_id,
        snapshot.events.trace_url_of(caller.trace_id),
        attempt.target.label,
        str(len(exchange.attempts)),
        sign_context(exchange, snapshot.secret),
        _server_timing(attempt, call),
    )
    model = (attempt.reading.model if attempt.reading else None) or attempt.target.model or exchange.asked_model
    if model is not None and model.isascii() and model.isprintable():
        names.append("X-LLM-Model")
        values.append(model)
    for name, value in _of_version(caller):
        names.append(name)
        values.append(value)
    if exchange.decisions or caller.flags:
        flags = shown_to_client(exchange.decisions, caller.flags)
        names += ["X-Feature-Flag"] * len(flags)
        values += flags
    if (life_s := snapshot.outcomes.feedback_token_s) is not None:
        expires_unix_s = exchange.received_unix_us // 1_000_000 + life_s
        names.append("X-LLM-Feedback-Token")
        values.append(sign_feedback(exchange.exchange_id, expires_unix_s, snapshot.secret))
    if attempt.cost is not None and attempt.cost.total_usd is not None:
        names.append("X-LLM-Cost-Usd")
        values.append(f"{attempt.cost.total_usd:f}")
    return names, values


def _of_version(caller: Caller) -> list[tuple[str, str]]:
    """An inferred version is no name that an app could send back, so it is not told here."""
    version, source = caller.prompt_version_id, caller.prompt_version_source
    own = [("X-LLM-Warning", PROMPT_VERSION_MISSING)] if PROMPT_VERSION_MISSING in caller.warnings else []
    if version is not None and source != INFERRED and version.isascii():
        own.append(("X-Prompt-Version", version))
    return own


def _server_timing(attempt: Attempt, call: Call) -> str:
    now_ns = call.services.clock.monotonic_ns()
    sent_ns = attempt.sent_ns or now_ns
    upstream_ns = (attempt.ended_ns or attempt.first_byte_ns or now_ns) - sent_ns
    proxy_ns = now_ns - call.exchange.received_ns - upstream_ns
    return f"upstream;dur={upstream_ns / 1e6:.1f}, proxy;dur={proxy_ns / 1e6:.1f}"
