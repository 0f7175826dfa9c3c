"""A view as lines for a terminal: figures first, then what somebody should look at."""

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import accumulate, islice
from typing import NamedTuple

from proxy.cli.terminal import BOLD, RED, UNKNOWN, YELLOW, cell, columns, rate, seconds, size, span, usd, whole
from proxy.cli.top.view import NO_TARGET, Outbox, Traffic, View

COLUMNS = 80
"""Where nobody says how wide it may be."""
_NAME = 17
_LABEL = 10
_WORST = 3
"""Targets whose errors are told."""
_DEGRADED = {
    "memory": "The journal has no file: events are kept in memory, and are lost if the process ends. Look at the data"
    " folder.",
    "disk_full": "The disk is full: new events are dropped and counted. Calls go on.",
    "delivery": "PostHog refuses what it is sent, or cannot be reached. Events wait; the log says why.",
    "flags": "Flag definitions cannot be fetched: rollouts go by the last good ones, or run their defaults.",
    "telemetry": "The OpenTelemetry collector takes no traces: they wait in the data folder.",
}


class Line(NamedTuple):
    """One line; `colour` is the sequence that begins it on a terminal that knows colours."""

    text: str
    colour: str = ""


class _Block(NamedTuple):
    """Figures that stand together; its texts are all of one width."""

    group: str
    heading: str
    figures: Callable[[Traffic], str]


class _Remark(NamedTuple):
    """What is told in words."""

    label: str
    text: str
    colour: str = ""


def frame_of(view: View, address: str, *, width: int = COLUMNS, rows: int | None = None) -> list[Line]:
    """The lines, none wider than `width`, which is 40 or more. With `rows`, targets with few calls give way so that
    all fits.
    """
    table = _Table(width, view.targets)
    width = min(width, max(COLUMNS, table.width))
    head = [_title(_about(view), address, width), Line(_calls(view)[:width]), Line(""), *table.headings()]
    tail = [*_lines(_of_calls(view), width), Line(""), *_lines(_of_outbox(view.outbox), width)]
    tail += _lines(_of_proxy(view), width)
    room = len(view.targets) if rows is None else max(1, rows - len(head) - len(tail) - 1)
    lines = [*head, *_targets(table, view.targets, room), table.row("all", view.total, BOLD), *tail]
    return lines[:rows]


def notice(text: str, address: str, *, width: int = COLUMNS) -> list[Line]:
    """A frame without figures: why there are none."""
    width = min(width, COLUMNS)
    parts = _wrapped(text, width)
    return [_title("promptlane", address, width), Line(""), *(Line(part, YELLOW) for part in parts)]


class _Table:
    """On a narrow terminal blocks give way from the right; on a wide one names are given more room."""

    def __init__(self, at_most: int, names: Mapping[str, object]) -> None:
        ends = [*accumulate((1 + len(block.heading) for block in _BLOCKS), initial=_NAME)]
        fitting = max(0, sum(end <= at_most for end in ends) - 1)
        self._blocks = _BLOCKS[:fitting]
        longest = max((columns(_shown(name)) for name in names), default=0)
        self._name = max(_NAME, min(longest, at_most - (ends[fitting] - _NAME)))
        self.width = ends[fitting] - _NAME + self._name

    def headings(self) -> Iterator[Line]:
        """Two lines."""
        yield self._line("", (block.group for block in self._blocks), BOLD)
        yield self._line("target", (block.heading for block in self._blocks), BOLD)

    def row(self, name: str, traffic: Traffic, colour: str = "") -> Line:
        """One target, or all of them."""
        return self._line(name, (block.figures(traffic) for block in self._blocks), colour)

    def _line(self, name: str, cells: Iterator[str], colour: str) -> Line:
        return Line(" ".join([cell(name, self._name), *cells]), colour)


def _about(view: View) -> str:
    parts = [f"promptlane {view.version or ''}".rstrip()]
    if view.workers is not None:
        parts.append(_counted(view.workers, "worker"))
    if view.config_digests:
        parts.append(f"configuration {' and '.join(view.config_digests)}")
    return " · ".join(parts)


def _title(text: str, address: str, width: int) -> Line:
    """The address stands at the right, if there is room."""
    gap = width - columns(text) - columns(address)
    return Line(f"{text}{' ' * gap}{address}" if gap > 0 else cell(text, width).rstrip(), BOLD)


def _calls(view: View) -> str:
    running = "" if view.calls_running is None else f"{view.calls_running} running, "
    left = f"; {_counted(view.total.cancelled, 'client')} left early" if view.total.cancelled else ""
    return f"{running}{_counted(view.total.calls, 'call')} ended in the last {span(view.span_s)}{left}"


def _targets(table: _Table, targets: Mapping[str, Traffic], room: int) -> Iterator[Line]:
    shown = len(targets) if len(targets) <= room else room - 1
    for name, traffic in islice(targets.items(), shown):
        yield table.row(_shown(name), traffic)
    if shown < len(targets):
        yield Line(f"… and {_counted(len(targets) - shown, 'target')} with fewer calls")


def _shown(target: str) -> str:
    return "(none was asked)" if target == NO_TARGET else target


def _of_calls(view: View) -> Iterator[_Remark]:
    failing = [(name, traffic) for name, traffic in view.targets.items() if traffic.errors]
    failing.sort(key=lambda item: -sum(item[1].errors.values()))
    for name, traffic in failing[:_WORST]:
        share = f"{sum(traffic.errors.values())} of {_counted(traffic.calls, 'call')}"
        yield _Remark("errors", f"{_shown(name)} {share}: {_reasons(traffic.errors)}", RED)
    unpriced = {name: traffic.unpriced for name, traffic in view.targets.items() if traffic.unpriced}
    if unpriced:
        text = f"no price for {_counted(sum(unpriced.values()), 'call')} to {', '.join(unpriced)}; see pricing.yaml"
        yield _Remark("prices", text, YELLOW)


def _of_outbox(outbox: Outbox) -> Iterator[_Remark]:
    if outbox.pending_events is None:
        return
    waiting = _counted(outbox.pending_events, "event")
    if outbox.pending_bytes is not None and outbox.max_bytes:
        waiting += f" ({size(outbox.pending_bytes)} of {size(outbox.max_bytes)})"
    if outbox.pending_events and outbox.oldest_age_s is not None:
        waiting += f", the oldest {span(outbox.oldest_age_s)} old"
    yield _Remark("outbox", f"{waiting}; {rate(outbox.delivered_per_s)} delivered/s")
    if outbox.dead:
        yield _Remark("dead", f"{_reasons(outbox.dead)}: see `promptlane outbox dead`", YELLOW)
    if outbox.dropped_total:
        yield _Remark("dropped", f"{_reasons(outbox.dropped_total)}, since the journal began", YELLOW)
    if outbox.unbalanced:
        yield _Remark("unbalanced", f"{outbox.unbalanced} events of which nobody knows: a bug", RED)


def _of_proxy(view: View) -> Iterator[_Remark]:
    if not view.was_last_reload_applied:
        text = "The files cannot be used, so the configuration of before still runs: `promptlane check` says why."
        yield _Remark("reload", text, RED)
    for part in view.degraded:
        yield _Remark("degraded", _DEGRADED.get(part, part), RED)


def _lines(remarks: Iterator[_Remark], width: int) -> Iterator[Line]:
    for label, text, colour in remarks:
        for number, part in enumerate(_wrapped(text, width - _LABEL - 1)):
            yield Line(f"{'' if number else label:{_LABEL}} {part}", colour)


def _wrapped(text: str, width: int) -> Sequence[str]:
    """Words that are too long for a line are cut."""
    return [cell(part, width).rstrip() for part in textwrap.wrap(text, width, break_on_hyphens=False)]


def _reasons(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{reason} {count}" for reason, count in counts.items())


def _percent(share: float | None) -> str:
    """At most 4 columns; only what never happened is 0 %."""
    if share is None:
        return UNKNOWN
    percent = share * 100
    return f"{percent:.0f}%" if percent >= 9.95 or not percent else f"{max(percent, 0.1):.1f}%"


def _counted(count: int, noun: str) -> str:
    return f"{whole(count)} {noun}{'' if count == 1 else 's'}"


_BLOCKS = (
    _Block("       ", "calls/s", lambda its: f"{rate(its.calls_per_s):>7}"),
    _Block("    ", " err", lambda its: f"{_percent(its.error_share):>4}"),
    _Block("first token", "  p50   p95", lambda its: f"{seconds(its.ttft_p50_s):>5} {seconds(its.ttft_p95_s):>5}"),
    _Block(
        "      total", "  p50   p95", lambda its: f"{seconds(its.latency_p50_s):>5} {seconds(its.latency_p95_s):>5}"
    ),
    _Block(
        " tokens/s", "  in  out", lambda its: f"{rate(its.input_tokens_per_s):>4} {rate(its.output_tokens_per_s):>4}"
    ),
    _Block(
        "           cost", "an hour  so far", lambda its: f"{usd(its.cost_usd_per_h):>7} {usd(its.cost_usd_total):>7}"
    ),
)
"""In the order in which they stand; what a narrow terminal leaves out comes last."""
