"""A call as a line of a table: what `calls` finds in the store, and what the demo sees as it ends."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from proxy.cli.terminal import GREEN, PLAIN, RED, UNKNOWN, YELLOW, cell, plain, seconds, whole
from proxy.domain.errors import Status

Properties = Mapping[str, object]
"""Those of the event that ended the call."""

HEADING = f"{'time UTC':8} {'prompt version':14} {'model':14} {'ttft':>5} {'total':>5} {'tokens':>9} {'cost':>9} status"
"""The line over the rows; they are 80 columns wide at most."""
_TOKENS_AND_COST = 9 + 1 + 9
WIDE_HEADING = (
    f"{'time UTC':23} {'prompt version':24} {'model':28} {'endpoint':16} {'target':24} {'ttft':>5} {'total':>5}"
    f" {'tokens':>9} {'cost':>9} {'status':17} {'error type':23} {'trace':32} exchange"
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_STATUS_COLOURS: Mapping[str, str] = {Status.SUCCESS: GREEN, Status.CANCELLED: YELLOW}


def ended_at(unix_us: int) -> datetime:
    """As a time of UTC."""
    return _EPOCH + timedelta(microseconds=unix_us)


def call_row(ended_unix_us: int, properties: Properties, *, in_colour: bool) -> str:
    """One line of at most 80 columns; a dash stands for what is not known.

    Where a failed call has neither tokens nor cost, their place tells why it failed.
    """
    tokens, cost = _tokens(properties), _cost(properties)
    error_type = _text(properties, "error_type")
    if tokens == UNKNOWN != error_type and not _number(properties, "estimated_cost_usd"):
        middle = f"{cell(error_type, _TOKENS_AND_COST).strip():>{_TOKENS_AND_COST}}"
    else:
        middle = f"{tokens:>9} {cost:>9}"
    at = f"{ended_at(ended_unix_us):%H:%M:%S}"
    names = f"{cell(_text(properties, 'prompt_version_id'), 14)} {cell(_text(properties, 'model'), 14)}"
    status = _painted(properties, cell(_text(properties, "status"), 9).rstrip(), in_colour=in_colour)
    return f"{at} {names} {_ms(properties, 'ttft_ms'):>5} {_ms(properties, 'latency_ms'):>5} {middle} {status}"


def wide_row(ended_unix_us: int, properties: Properties, *, in_colour: bool) -> str:
    """Everything that identifies the call, uncut, however wide that is."""
    at = ended_at(ended_unix_us).strftime("%Y-%m-%d %H:%M:%S.%f")[:23]
    names = (("prompt_version_id", 24), ("model", 28), ("endpoint", 16), ("target", 24))
    shown = " ".join(f"{_text(properties, name):<{width}}" for name, width in names)
    numbers = f"{_ms(properties, 'ttft_ms'):>5} {_ms(properties, 'latency_ms'):>5} {_tokens(properties):>9}"
    status = _painted(properties, f"{_text(properties, 'status'):<17}", in_colour=in_colour)
    fate = f"{_cost(properties):>9} {status} {_text(properties, 'error_type'):<23}"
    return f"{at} {shown} {numbers} {fate} {_text(properties, 'trace_id'):<32} {_text(properties, 'exchange_id')}"


def _painted(properties: Properties, status: str, *, in_colour: bool) -> str:
    colour = _STATUS_COLOURS.get(str(properties.get("status")), RED)
    return f"{colour}{status}{PLAIN}" if in_colour else status


def _text(properties: Properties, name: str) -> str:
    value = properties.get(name)
    return UNKNOWN if value is None else plain(str(value))


def _number(properties: Properties, name: str) -> float | None:
    value = properties.get(name)
    return value if isinstance(value, int | float) else None


def _ms(properties: Properties, name: str) -> str:
    duration_ms = _number(properties, name)
    return seconds(None if duration_ms is None else duration_ms / 1000)


def _tokens(properties: Properties) -> str:
    counts = [_number(properties, name) for name in ("input_tokens", "output_tokens")]
    return UNKNOWN if counts == [None, None] else "→".join("?" if it is None else whole(it) for it in counts)


def _cost(properties: Properties) -> str:
    """To the millionth of a dollar, as far as 9 columns go."""
    cost_usd = _number(properties, "estimated_cost_usd")
    if cost_usd is None:
        return UNKNOWN
    if 0 < cost_usd < 0.0000005:
        return "<$.000001"
    return f"${cost_usd:.{max(0, 7 - len(f'{cost_usd:.0f}'))}f}"
