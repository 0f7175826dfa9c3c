"""From windows to one row per gateway: medians over the rounds, and what each adds to the direct call."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isnan, nan
from statistics import median, quantiles

from tools.bench.client import Window
from tools.bench.payload import EVENTS_PER_STREAM


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """The windows of one gateway's turn; CPU is the gateway's own, not a number where it is unknown."""

    plain: Window
    streams: Window
    calm: Window
    paced: Window
    plain_cpu_s: float
    streams_cpu_s: float
    paced_cpu_s: float

    @property
    def errors(self) -> int:
        """Replies that failed or were not the upstream's bytes."""
        return sum(window.errors for window in (self.plain, self.streams, self.calm, self.paced))

    @property
    def received_bytes(self) -> int:
        """All that the client read."""
        return sum(window.received_bytes for window in (self.plain, self.streams, self.calm, self.paced))


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One row. Latencies are what is added to the direct call; the direct row has its own, absolute."""

    name: str
    errors: int
    received_bytes: int
    requests_per_s: float
    streams_per_s: float
    cpu_us_per_request: float
    cpu_us_per_stream: float
    cpu_us_per_paced_event: float
    added_p50_ms: float
    added_p99_ms: float
    added_ttft_p50_ms: float
    added_ttft_p99_ms: float
    requests_to_direct: float
    requests_to_bare: float | None
    streams_to_direct: float
    streams_to_bare: float | None
    spread: float
    """How far the rounds' requests/s lie apart: (highest - lowest) / median."""

    def as_json(self) -> dict[str, object]:
        """All fields; numbers rounded to four digits after the point, null where unknown."""
        return {
            key: (None if isnan(value) else round(value, 4)) if isinstance(value, float) else value
            for key, value in asdict(self).items()
        }


def summarise(rounds: Mapping[str, Sequence[Round]]) -> list[Summary]:
    """One row per gateway, in the order given; the row `direct` must be there."""
    return [_summary(name, rounds) for name in rounds]


def _summary(name: str, rounds: Mapping[str, Sequence[Round]]) -> Summary:
    mine, direct, bare = rounds[name], rounds["direct"], rounds.get("bare aiohttp")

    def added(measure: Callable[[Round], float]) -> float:
        if name == "direct":
            return median(map(measure, mine))
        return median(measure(own) - measure(base) for own, base in zip(mine, direct, strict=True))

    def ratio(measure: Callable[[Round], float], base: Sequence[Round]) -> float:
        return median(measure(own) / (measure(other) or 1.0) for own, other in zip(mine, base, strict=True))

    return Summary(
        name=name,
        errors=sum(one.errors for one in mine),
        received_bytes=sum(one.received_bytes for one in mine),
        requests_per_s=median(map(_requests_per_s, mine)),
        streams_per_s=median(map(_streams_per_s, mine)),
        cpu_us_per_request=_cpu_us([(one.plain_cpu_s, one.plain.replies) for one in mine]),
        cpu_us_per_stream=_cpu_us([(one.streams_cpu_s, one.streams.replies) for one in mine]),
        cpu_us_per_paced_event=_cpu_us([(one.paced_cpu_s, one.paced.replies * EVENTS_PER_STREAM) for one in mine]),
        added_p50_ms=added(lambda one: _percentile_ms(one.calm.latency_s, 50)),
        added_p99_ms=added(lambda one: _percentile_ms(one.calm.latency_s, 99)),
        added_ttft_p50_ms=added(lambda one: _percentile_ms(one.paced.first_body_s, 50)),
        added_ttft_p99_ms=added(lambda one: _percentile_ms(one.paced.first_body_s, 99)),
        requests_to_direct=ratio(_requests_per_s, direct),
        requests_to_bare=ratio(_requests_per_s, bare) if bare else None,
        streams_to_direct=ratio(_streams_per_s, direct),
        streams_to_bare=ratio(_streams_per_s, bare) if bare else None,
        spread=_spread(list(map(_requests_per_s, mine))),
    )


def _requests_per_s(one: Round) -> float:
    return one.plain.replies / one.plain.seconds


def _streams_per_s(one: Round) -> float:
    return one.streams.replies / one.streams.seconds


def _cpu_us(costs: Sequence[tuple[float, int]]) -> float:
    return median(cpu_s / replies * 1e6 if replies else nan for cpu_s, replies in costs)


def _percentile_ms(samples_s: Sequence[float], percent: int) -> float:
    if len(samples_s) < 2:
        return nan
    return quantiles(samples_s, n=100, method="inclusive")[percent - 1] * 1000


def _spread(values: Sequence[float]) -> float:
    return (max(values) - min(values)) / (median(values) or 1.0)


_COLUMNS: Mapping[str, Callable[[Summary], str]] = {
    "": lambda row: row.name,
    "requests/s": lambda row: f"{row.requests_per_s:,.0f}",
    "× bare": lambda row: _ratio(row.requests_to_bare),
    "CPU µs": lambda row: _number(row.cpu_us_per_request),
    "p50 ms": lambda row: _added(row, row.added_p50_ms),
    "p99 ms": lambda row: _added(row, row.added_p99_ms),
    "streams/s": lambda row: f"{row.streams_per_s:,.0f}",
    "× bare ": lambda row: _ratio(row.streams_to_bare),
    "CPU µs ": lambda row: _number(row.cpu_us_per_stream),
    "ttft p50 ms": lambda row: _added(row, row.added_ttft_p50_ms),
    "ttft p99 ms": lambda row: _added(row, row.added_ttft_p99_ms),
    "CPU µs/event": lambda row: _number(row.cpu_us_per_paced_event),
}


def table(summaries: Sequence[Summary]) -> str:
    """The rows as text. A row with errors shows nothing else: its numbers would mean nothing."""
    rows = [tuple(_COLUMNS), *map(_cells, summaries)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
    direct = next(summary for summary in summaries if summary.name == "direct")
    return "\n".join(
        (
            *lines,
            "Latencies: direct as measured, the others as added to direct in the same round.",
            f"The direct row is the rig's own ceiling. A gateway near {direct.streams_per_s / 2:,.0f} streams/s is held"
            " back by the rig: its CPU tells more.",
            f"Rounds of one row differ by up to {max(summary.spread for summary in summaries):.0%}.",
        )
    )


def _cells(row: Summary) -> tuple[str, ...]:
    if row.errors:
        return (row.name, f"FAILED: {row.errors} errors", *[""] * (len(_COLUMNS) - 2))
    return tuple(cell(row) for cell in _COLUMNS.values())


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _number(value: float) -> str:
    return "" if isnan(value) else f"{value:,.0f}"


def _added(row: Summary, value_ms: float) -> str:
    return f"{value_ms:.2f}" if row.name == "direct" else f"{value_ms:+.2f}"
