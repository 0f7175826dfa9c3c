"""What a reply of PostHog's capture means for the events that were sent: pure, one function.

A 200 may hide a loss: v0 (`/batch/`) accepts without naming events and reports an exhausted quota inside the reply,
v1 gives a verdict on each event. Nothing of a reply's text goes further than this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from http import HTTPStatus
from typing import Any

import orjson

from proxy.domain.values import value_class

MAX_WAIT_S = 300.0
"""A longer `Retry-After` is cut to this, so that a mistake at the other end cannot silence us for a day."""


class Action(StrEnum):
    """What to do with the batch."""

    SETTLE = "settle"
    """Each event's fate is in the outcome."""
    RESEND = "resend"
    """Accepted, perhaps: the reply could not be read."""
    HALVE = "halve"
    """Too large as a whole."""
    BISECT = "bisect"
    """Some event in it is refused."""
    WAIT = "wait"
    """Asked to come back later."""
    BACK_OFF = "back_off"
    """Broken at the moment."""
    PAUSE = "pause"
    """Will not work until somebody changes something."""


class Trouble(StrEnum):
    """Why nothing is delivered, for health and metrics."""

    UNREACHABLE = "unreachable"
    SERVER_ERROR = "server_error"
    RATE_LIMITED = "rate_limited"
    UNAUTHORIZED = "unauthorized"
    NOT_FOUND = "not_found"
    REDIRECTED = "redirected"
    REJECTED = "rejected"
    TOO_LARGE = "too_large"
    UNREADABLE = "unreadable"


@value_class
class Sent:
    """An event as far as a reply can speak of it."""

    uuid: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """With `SETTLE`, every event is in exactly one of the tuples."""

    action: Action
    trouble: Trouble | None = None
    wait_s: float | None = None
    """Seconds that PostHog asked for; None when it named none that makes sense."""
    verified: tuple[str, ...] = ()
    unverified: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    retry: tuple[str, ...] = ()
    dead: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """By reason."""


def read_reply(
    status: int, body: bytes, retry_after: str | None, events: Sequence[Sent], *, is_v1: bool, now_unix_s: float
) -> Outcome:
    """Map a reply to an action. `body` is decoded and bounded by the caller."""
    if 200 <= status < 300:
        reply = _json_object(body)
        if reply is None or (is_v1 and not isinstance(reply.get("results"), dict)):
            return Outcome(action=Action.RESEND, trouble=Trouble.UNREADABLE)
        return _v1_verdicts(reply["results"], events) if is_v1 else _v0_acceptance(reply, events)
    wait_s = retry_after_s(retry_after, now_unix_s)
    if status in _ACTIONS:
        action, trouble = _ACTIONS[status]
        return Outcome(action=action, trouble=trouble, wait_s=wait_s if action is Action.WAIT else None)
    if status >= 500:
        return Outcome(action=Action.BACK_OFF, trouble=Trouble.SERVER_ERROR)
    is_redirect = 300 <= status < 400
    return Outcome(action=Action.PAUSE, trouble=Trouble.REDIRECTED if is_redirect else Trouble.REJECTED)


_ACTIONS: dict[int, tuple[Action, Trouble]] = {
    HTTPStatus.BAD_REQUEST: (Action.BISECT, Trouble.REJECTED),
    HTTPStatus.UNAUTHORIZED: (Action.PAUSE, Trouble.UNAUTHORIZED),
    HTTPStatus.PAYMENT_REQUIRED: (Action.WAIT, Trouble.RATE_LIMITED),
    HTTPStatus.FORBIDDEN: (Action.PAUSE, Trouble.UNAUTHORIZED),
    HTTPStatus.NOT_FOUND: (Action.PAUSE, Trouble.NOT_FOUND),
    HTTPStatus.REQUEST_TIMEOUT: (Action.BACK_OFF, Trouble.SERVER_ERROR),
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: (Action.HALVE, Trouble.TOO_LARGE),
    HTTPStatus.TOO_MANY_REQUESTS: (Action.WAIT, Trouble.RATE_LIMITED),
}


def retry_after_s(value: str | None, now_unix_s: float) -> float | None:
    """Seconds to wait by a `Retry-After` header, at most `MAX_WAIT_S`; None for anything that makes no sense."""
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_WAIT_S)
    try:
        moment: datetime = parsedate_to_datetime(text)
        wait_s = moment.timestamp() - now_unix_s
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return min(wait_s, MAX_WAIT_S) if wait_s >= 0 else None


def _json_object(body: bytes) -> dict[str, Any] | None:
    try:
        reply = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return reply if isinstance(reply, dict) else None


_AI_RESOURCES = frozenset({"llm_events", "ai_events"})
_OTHER_RESOURCES = frozenset({"recordings", "exceptions", "surveys", "feature_flag_requests", "logs"})
"""Quotas that say nothing about the events that we send; a name in no list counts as one that does."""


def _v0_acceptance(reply: Mapping[str, Any], events: Sequence[Sent]) -> Outcome:
    limited = reply.get("quota_limited")
    names = {str(name) for name in limited} if isinstance(limited, list) else set()
    names -= _OTHER_RESOURCES
    over_quota = [event.uuid for event in events if names - _AI_RESOURCES or (names and event.name.startswith("$ai_"))]
    left_out = set(over_quota)
    accepted = [event.uuid for event in events if event.uuid not in left_out]
    return Outcome(
        action=Action.SETTLE, unverified=tuple(accepted), dead={"quota": tuple(over_quota)} if over_quota else {}
    )


def _v1_verdicts(results: Mapping[str, Any], events: Sequence[Sent]) -> Outcome:
    piles: dict[str, list[str]] = {"ok": [], "retry": [], "unknown": [], "quota": [], "refused": []}
    for event in events:
        piles[_pile(results.get(event.uuid))].append(event.uuid)
    return Outcome(
        action=Action.SETTLE,
        verified=tuple(piles["ok"]),
        unknown=tuple(piles["unknown"]),
        retry=tuple(piles["retry"]),
        dead={reason: tuple(piles[reason]) for reason in ("quota", "refused") if piles[reason]},
    )


def _pile(verdict: object) -> str:
    """An event that is not named was accepted, as PostHog has it."""
    if verdict is None:
        return "ok"
    result = verdict.get("result") if isinstance(verdict, dict) else None
    if result in ("ok", "warning"):
        return "ok"
    if result == "retry":
        return "retry"
    if result == "drop":
        details = str(verdict.get("details")) if isinstance(verdict, dict) else ""
        return "quota" if "billing" in details or "quota" in details else "refused"
    return "unknown"
