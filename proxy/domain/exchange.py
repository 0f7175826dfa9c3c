"""The record of one request with all its attempts and its one end.

`Exchange` is the only mutable record of the pipeline; each slot is written once, from left to right, and is
sealed by `pipeline.settle`. Times ending in `_ns` are monotonic nanoseconds; `received_unix_us` is wall-clock
microseconds since 1970 UTC. Fields are given by name; why they could be given by order, too, `values` tells.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from proxy.domain.capture import Tap
from proxy.domain.chat import ModelCall
from proxy.domain.checks import Check, Evaluation
from proxy.domain.endpoints import Endpoint
from proxy.domain.errors import ErrorType, FailedPhase, Status
from proxy.domain.identity import Caller
from proxy.domain.judges import Judge
from proxy.domain.meter import Reading
from proxy.domain.pricing import Cost
from proxy.domain.prompts import Assignment
from proxy.domain.rollout import Decision
from proxy.domain.routing import Target
from proxy.domain.stitching import Thread
from proxy.domain.values import value_class


@dataclass(slots=True)
class Attempt:
    """One request to one target. `sent_ns` is None while nothing had been handed to the network."""

    ordinal: int
    target: Target
    started_ns: int
    sent_ns: int | None = None
    first_byte_ns: int | None = None
    ended_ns: int | None = None
    http_status: int | None = None
    error_type: ErrorType | None = None
    error_code: str | None = None
    reading: Reading | None = None
    cost: Cost | None = None
    reached_provider: bool = False


_SUCCESS = Status.SUCCESS
"""Asked for many times in a call, and to ask the class of an enumeration for a member takes ten times as long."""


@value_class
class Fate:
    """How the call ended: exactly one per exchange."""

    status: Status
    error_type: ErrorType | None = None
    error_code: str | None = None
    failed_phase: FailedPhase | None = None
    http_status: int | None = None

    @property
    def is_completed(self) -> bool:
        """True when the end is `llm_request_completed`."""
        return self.status is _SUCCESS

    @property
    def is_whole(self) -> bool:
        """True when the client got a whole reply, also one that a check found wanting."""
        return self.status is _SUCCESS or self.status is Status.VALIDATION_FAILED


class CallMembers(NamedTuple):
    """What all that is written down of a call has in common, as members of JSON objects; see `domain.events`."""

    head: bytes
    """Of facts and records."""
    own: bytes
    """The caller's own properties."""
    common: bytes
    """What every event says of the call."""


@dataclass(slots=True)
class Exchange:
    """Filled by `pipeline.handle`, sealed by `pipeline.settle`."""

    exchange_id: str
    received_unix_us: int
    received_ns: int
    endpoint: Endpoint
    body_received_ns: int | None = None
    """The request body's last byte, where it is read whole before the call goes on."""
    admitted_ns: int | None = None
    caller: Caller | None = None
    call: ModelCall | None = None
    """Stated anew when all of it has been read."""
    parsed: Mapping[str, Any] | None = field(default=None, repr=False)
    """The body, held until the rest of it has been read: by then the request is on its way."""
    thread: Thread | None = None
    """What of it belongs to a conversation; None where nothing does."""
    decisions: tuple[Decision, ...] = ()
    """What was rolled out to this call, one for each flag that was asked."""
    assignment: Assignment | None = None
    """The version of a managed prompt that runs; `caller` and `call` are restated then, to say what ran."""
    sent: bytes | None = field(default=None, repr=False)
    """The request's body, decoded, until the end, which may have to count or judge it; None where it passed through."""
    tap: Tap | None = field(default=None, repr=False)
    """Holds content back for keeping; None where none is kept."""
    checks: tuple[Check, ...] = ()
    """What its route has looked at in the answer."""
    judges: tuple[Judge, ...] = ()
    """Who may be asked about it later."""
    attempts: list[Attempt] = field(default_factory=list)
    """In their order; `add` adds one."""
    final_attempt: Attempt | None = field(default=None, init=False)
    """The attempt whose reply the client got, or the last one tried."""
    committed_ns: int | None = None
    ended_ns: int | None = None
    evaluation: Evaluation | None = None
    """What the checks came to; None where none ran."""
    fate: Fate | None = None
    """Stated anew, once, where a check says that the call has failed after all."""
    is_started: bool = False
    """True once `llm_request_started` is journalled; only then is an end owed."""
    members: CallMembers | None = field(default=None, repr=False)
    """Made with the first event of the call."""

    @property
    def asked_model(self) -> str | None:
        """The model that routes are looked up by: that of the prompt's version, else the caller's."""
        if self.assignment is not None and self.assignment.model is not None:
            return self.assignment.model
        return self.call.requested_model if self.call is not None else None

    def __post_init__(self) -> None:
        if self.attempts:
            self.final_attempt = self.attempts[-1]

    def add(self, attempt: Attempt) -> None:
        """One more attempt begins."""
        self.attempts.append(attempt)
        self.final_attempt = attempt
