"""What the demo's terminal shows: a line for each call as it ends, and what PostHog would have received."""

import threading
from collections import Counter
from collections.abc import Sequence

import orjson

from proxy.domain.errors import Status
from proxy.domain.exchange import Exchange
from proxy.domain.journal_rows import JournalEvent

HEADING = f"{'prompt version':<20} {'model':<24} {'ttft':>8} {'total':>8} {'tokens':>11} {'cost':>10}  status"
_GREEN, _RED, _YELLOW, _PLAIN = "\x1b[32m", "\x1b[31m", "\x1b[33m", "\x1b[0m"


def call_line(exchange: Exchange, *, in_colour: bool) -> str:
    """One line of at most 100 columns; a dash stands for what is not known."""
    attempt, caller, fate = exchange.final_attempt, exchange.caller, exchange.fate
    reading = attempt.reading if attempt else None
    cost = attempt.cost if attempt else None
    version = (caller.prompt_version_id if caller else None) or "-"
    requested = exchange.call.requested_model if exchange.call else None
    model = (reading.model if reading else None) or requested or "-"
    ttft = _ms(exchange.received_ns, reading.first_token_ns if reading else None)
    total = _ms(exchange.received_ns, exchange.ended_ns)
    tokens = f"{_count(reading.usage.input_tokens)}→{_count(reading.usage.output_tokens)}" if reading else "-"
    money = f"${cost.total_usd:.6f}" if cost and cost.total_usd is not None else "-"
    status = fate.status.value if fate else "-"
    if fate and fate.error_type:
        status += f" ({fate.error_type.value})"
    if in_colour and fate:
        colour = {Status.SUCCESS: _GREEN, Status.CANCELLED: _YELLOW}.get(fate.status, _RED)
        status = f"{colour}{status}{_PLAIN}"
    return f"{_cell(version, 20)} {_cell(model, 24)} {ttft:>8} {total:>8} {tokens:>11} {money:>10}  {status}"


def _cell(text: str, width: int) -> str:
    """The beginning of a name, without what would move the terminal's cursor."""
    return "".join(char if char.isprintable() else "?" for char in text[:width]).ljust(width)


def _ms(from_ns: int, to_ns: int | None) -> str:
    return "-" if to_ns is None else f"{(to_ns - from_ns) / 1e6:.0f} ms"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)


class EventView:
    """Remembers what became durable: counts by name and the last event of each. Fed by the journal's thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()
        self._last: dict[str, bytes] = {}

    def add(self, events: Sequence[JournalEvent]) -> None:
        """Take events in."""
        with self._lock:
            for event in events:
                self._counts[event.name] += 1
                self._last[event.name] = event.body

    def summary(self) -> str:
        """The counts, and one whole event as it would be sent."""
        with self._lock:
            counts = ", ".join(f"{count} × {name}" for name, count in sorted(self._counts.items()))
            body = self._last.get("llm_request_completed")
        if body is None:
            return counts or "no events yet"
        pretty = orjson.dumps(orjson.loads(body), option=orjson.OPT_INDENT_2).decode()
        return f"{counts}\n\nfor example:\n{pretty}"
