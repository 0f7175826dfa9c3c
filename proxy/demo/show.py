"""What PostHog would have received of the demo's calls, for a terminal of 80 columns."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from proxy.domain.event_properties import COMPLETED, EVENTS
from proxy.domain.journal_rows import JournalEvent
from proxy.domain.outcome_properties import EVENTS as OUTCOMES

COLUMNS = 80
_PAIR_COLUMNS = COLUMNS - 5
"""Less the indent and a comma."""


class EventView:
    """Remembers what became durable: counts by name, and one call that went well. Fed by the journal's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._example: Mapping[str, Any] | None = None

    def add(self, events: Sequence[JournalEvent]) -> None:
        """Take events in."""
        with self._lock:
            for event in events:
                self._counts[event.name] += 1
                if event.name == COMPLETED:
                    self._consider(orjson.loads(event.body))

    def _consider(self, event: Mapping[str, Any]) -> None:
        """A step of an agent is the best example: its trace has more calls than one."""
        if self._example is None or "agent_step_name" in event["properties"]:
            self._example = event

    def counts(self) -> str:
        """A line for each kind of event, in the order in which a call gives them."""
        with self._lock:
            lines = [f"{self._counts[name]:>6} × {name}" for name in (*EVENTS, *OUTCOMES) if self._counts[name]]
        return "\n".join(lines) or "  none yet"

    def example(self) -> str | None:
        """The end of a call that went well, as JSON; None where none did."""
        with self._lock:
            return "\n".join(_filled(self._example)) if self._example else None


def _filled(event: Mapping[str, Any]) -> Iterator[str]:
    """JSON with as many properties on a line as fit."""
    yield "{"
    for name, value in event.items():
        if name != "properties":
            yield f"  {_pair(name, value)},"
    yield '  "properties": {'
    pairs = [_pair(name, value) for name, value in event["properties"].items()]
    line = "   "
    for pair in [*(f"{pair}," for pair in pairs[:-1]), *pairs[-1:]]:
        if len(line) + 1 + len(pair) > COLUMNS and line.strip():
            yield line
            line = "   "
        line += f" {pair}"
    yield line
    yield "  }\n}"


def _pair(name: str, value: object) -> str:
    """One property; of a text that fits no line, the beginning."""
    pair = f"{orjson.dumps(name).decode()}: {orjson.dumps(value).decode()}"
    too_long = len(pair) - _PAIR_COLUMNS
    return _pair(name, f"{value[: -too_long - 1]}…") if isinstance(value, str) and too_long > 0 else pair
