"""What is written down of a call: the rows that the pipeline makes and the journal keeps."""

from dataclasses import dataclass, field

from proxy.domain.values import value_class


@value_class
class JournalEvent:
    """One event as it will be sent: `body` is the JSON object of a PostHog batch entry, fixed for ever."""

    uuid: str
    name: str
    body: bytes = field(repr=False)


@value_class
class Opening:
    """What the journal keeps of a running call, so that the next start can close it after a crash.

    `facts` is a JSON object without content from which `domain.events.interrupted` builds the missing end.
    """

    exchange_id: str
    trace_id: str
    facts: bytes = field(repr=False)
    events: tuple[JournalEvent, ...] = ()


@value_class
class Closing:
    """The one end of a call. `record` is a JSON object without content, kept for traces and enrichment."""

    exchange_id: str
    trace_id: str
    ended_unix_us: int
    events: tuple[JournalEvent, ...]
    record: bytes = field(repr=False)
    request_id: str = ""
    """The client's own name for it; "" where it gave none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of calls, or went beside them: an outcome, an agent's step, an exposure, a changed rollout.

    Its events are sent like all others and kept as long as calls are. `exchange_id` and `trace_id` are "" where none
    is known.
    """

    exchange_id: str = ""
    trace_id: str = ""
    at_unix_us: int
    events: tuple[JournalEvent, ...]
