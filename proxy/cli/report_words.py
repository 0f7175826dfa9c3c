"""A report in words: the table of figures, and a sentence for each finding."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from proxy.cli.terminal import UNKNOWN, cell, plain, seconds, usd, whole
from proxy.domain.comparison import Compared, Figures, Finding, Topic, most_of

_NAME = 24
_HEADING = f"{'':{_NAME}} {'calls':>6} {'failed':>7} {'p50':>6} {'p95':>6} {'cost':>8} {'a call':>8} {'tasks ok':>8}"
"""80 columns."""
_SHOWN_PARTS = 15
_ALARMING = {Topic.ERRORS, Topic.COMPLETION, Topic.DRIFTED, Topic.UNPRICED}


def table(all_calls: Compared, parts: Sequence[Compared]) -> Iterator[str]:
    """The whole in both periods, then each prompt version now."""
    yield _HEADING.rstrip()
    yield _row("all calls", all_calls.now)
    yield _row("  the period before", all_calls.before)
    for part in parts[:_SHOWN_PARTS]:
        yield _row(part.name, part.now)
    if len(parts) > _SHOWN_PARTS:
        yield f"… and {len(parts) - _SHOWN_PARTS} more prompt versions; --json has all."


def _row(name: str, figures: Figures) -> str:
    times = [seconds(None if ms is None else ms / 1000) for ms in (figures.p50_ms, figures.p95_ms)]
    return (
        f"{cell(name, _NAME)} {whole(figures.calls):>6} {percent(figures.failed_share):>7} {times[0]:>6} {times[1]:>6}"
        f" {usd(figures.cost_usd):>8} {usd(figures.usd_per_call):>8} {percent(figures.completed_share):>8}"
    )


def percent(share: float | None) -> str:
    """One decimal below ten."""
    if share is None:
        return UNKNOWN
    return f"{share * 100:.1f}%" if share < 0.0995 else f"{share * 100:.0f}%"


def said(shown: Iterable[Finding], found: Sequence[Finding]) -> Iterator[str]:
    """A sentence for each, with the part that explains a change of the whole's cost."""
    for finding in shown:
        sentence = _sentence(finding)
        if finding.topic is Topic.COST and not finding.part and (part := most_of(finding, found)) is not None:
            sentence += f", most of it {plain(part.part)}"
        yield sentence + "."


def verdict(found: Iterable[Finding]) -> str:
    """What to look at first."""
    grave = next((one for one in found if one.topic in _ALARMING), None)
    if grave is None:
        return "Nothing here asks for action at once."
    where = f" of {plain(grave.part)}" if grave.part else ""
    return f"Look first at: {grave.topic}{where}. `promptlane calls ls --help` finds the calls behind it."


def _sentence(finding: Finding) -> str:
    """Where there was nothing before, there is no change in parts of a hundred to tell."""
    words, shown = _SENTENCES[finding.topic]
    now, before = finding.now or 0.0, finding.before or 0.0
    change = f"{abs(now / before - 1):.0%}" if before else "all of it"
    return words.format(
        who=plain(finding.part) or "All calls",
        rose="rose" if now > before else "fell",
        more="more" if now > before else "less",
        change=change,
        now=shown(now),
        before=shown(before),
        by=shown(abs(now - before)),
    )


def _ms(duration_ms: float) -> str:
    return seconds(duration_ms / 1000)


_SENTENCES: Mapping[Topic, tuple[str, Callable[[float], str]]] = {
    Topic.VOLUME: ("{who}: their number {rose} by {change}, from {before} to {now}", whole),
    Topic.COST: ("{who}: cost {rose} by {by} ({change}), to {now}", usd),
    Topic.COST_PER_CALL: ("{who}: a call costs {change} {more}, {now} after {before}", usd),
    Topic.ERRORS: ("{who}: failures {rose} from {before} to {now}", percent),
    Topic.COMPLETION: ("{who}: completed tasks {rose} from {before} to {now}", percent),
    Topic.LATENCY: ("{who}: p95 latency {rose} by {change}, from {before} to {now}", _ms),
    Topic.INPUT: ("{who}: the input of a call {rose} by {change}, from {before} to {now} tokens", whole),
    Topic.UNPRICED: ("{who}: {now} calls have no price; `promptlane price MODEL` shows what to add", whole),
    Topic.APPEARED: ("{who} is new, with {now} calls", whole),
    Topic.GONE: ("{who} had {before} calls before, and none now", whole),
    Topic.DRIFTED: ("{who} ran with a changed text: give a changed prompt a new version id", whole),
}
