"""What changed between two periods of equal length: which differences are worth a sentence, the gravest first.

These are rules of thumb that keep noise out, not tests of hypotheses: experiments have those. A difference is named
only where both sides have enough calls, where it is larger than chance makes likely, and where it is large enough to
matter.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import sqrt

MIN_CALLS = 30
"""Of each side; fewer say nothing."""
SIGMAS = 3.0
"""A share must differ by so many standard errors."""
MIN_SHARE = 0.01
"""And by a point of a hundred."""
MIN_RATIO = 0.2
"""A time, a size or a volume must differ by a fifth."""
MIN_PART = 0.1
"""A part must have moved the whole's cost by a tenth."""


class Topic(StrEnum):
    """What a finding is about."""

    VOLUME = "volume"
    COST = "cost"
    COST_PER_CALL = "cost per call"
    ERRORS = "errors"
    LATENCY = "latency"
    INPUT = "input"
    COMPLETION = "completion"
    UNPRICED = "unpriced"
    APPEARED = "appeared"
    GONE = "gone"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """One period of a whole or a part. None where nothing is known; times are of completed calls."""

    calls: int = 0
    failed: int = 0
    cost_usd: float | None = None
    unpriced: int = 0
    p50_ms: float | None = None
    p95_ms: float | None = None
    input_tokens: float | None = None
    """Mean of a call."""
    tasks: int = 0
    completed_tasks: int = 0
    drifts: int = 0

    @property
    def failed_share(self) -> float | None:
        """0 to 1."""
        return self.failed / self.calls if self.calls else None

    @property
    def completed_share(self) -> float | None:
        """0 to 1, of the tasks that were reported."""
        return self.completed_tasks / self.tasks if self.tasks else None

    @property
    def usd_per_call(self) -> float | None:
        """Over the calls whose cost may be known."""
        priced = self.calls - self.unpriced
        return self.cost_usd / priced if self.cost_usd is not None and priced > 0 else None


NOTHING = Figures()
_QUANTITIES = (
    (Topic.LATENCY, "p95_ms", 1.0),
    (Topic.INPUT, "input_tokens", 0.5),
    (Topic.COST_PER_CALL, "usd_per_call", 0.7),
)
"""What is compared by its ratio, with its weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """A whole, or a part that is known by its name, in the period and in the one before."""

    name: str = ""
    now: Figures = NOTHING
    before: Figures = NOTHING


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A difference worth a sentence. `weight` orders findings; `part` is "" for the whole."""

    topic: Topic
    part: str
    now: float | None
    before: float | None
    weight: float


def findings(whole: Compared, parts: Sequence[Compared]) -> list[Finding]:
    """The gravest first."""
    found = [*_of(whole, whole), *(finding for part in parts for finding in _of(part, whole))]
    found += [
        Finding(topic=Topic.DRIFTED, part=part.name, now=part.now.drifts, before=None, weight=2.0)
        for part in parts
        if part.now.drifts
    ]
    return sorted(found, key=lambda finding: (-finding.weight, finding.part != "", finding.part))


def _of(one: Compared, whole: Compared) -> Iterator[Finding]:
    now, before, is_whole = one.now, one.before, one is whole
    if not is_whole and (topic := _came_or_went(one)) is not None:
        yield Finding(topic=topic, part=one.name, now=now.calls, before=before.calls, weight=0.5)
        return
    if now.unpriced and (is_whole or not before.unpriced):
        yield _finding(Topic.UNPRICED, one, now.unpriced, before.unpriced, 1.0 if is_whole else 0.4)
    if (cost := _cost(one, whole)) is not None:
        yield cost
    if min(now.calls, before.calls) >= MIN_CALLS:
        yield from _moved(one, is_whole=is_whole)


def _moved(one: Compared, *, is_whole: bool) -> Iterator[Finding]:
    """Shares and quantities; the number of calls is told of the whole alone, since a rollout moves those of parts."""
    for topic, part, of in ((Topic.ERRORS, "failed", "calls"), (Topic.COMPLETION, "completed_tasks", "tasks")):
        if (share := _share(one, part, of)) is not None:
            yield _finding(topic, one, *share, 8.0 * abs(share[0] - share[1]))
    for topic, name, weight in (*_QUANTITIES, *([(Topic.VOLUME, "calls", 0.5)] if is_whole else [])):
        if (ratio := _ratio(one, name)) is not None:
            yield _finding(topic, one, *ratio, weight * abs(ratio[0] / ratio[1] - 1))


def _finding(topic: Topic, one: Compared, now: float, before: float, weight: float) -> Finding:
    return Finding(topic=topic, part=one.name, now=now, before=before, weight=min(weight, 5.0))


def _came_or_went(one: Compared) -> Topic | None:
    if one.before.calls == 0 and one.now.calls >= MIN_CALLS:
        return Topic.APPEARED
    return Topic.GONE if one.now.calls == 0 and one.before.calls >= MIN_CALLS else None


def _cost(one: Compared, whole: Compared) -> Finding | None:
    """A change that moves the whole's cost by a tenth."""
    now, before, total = one.now.cost_usd or 0.0, one.before.cost_usd or 0.0, whole.before.cost_usd
    if not total or abs(now - before) / total < MIN_PART:
        return None
    return _finding(Topic.COST, one, now, before, abs(now - before) / total)


def _share(one: Compared, part: str, of: str) -> tuple[float, float] | None:
    """(now, before) of a share that moved by more than chance makes likely."""
    counts = [(getattr(side, part), getattr(side, of)) for side in (one.now, one.before)]
    if any(total < MIN_CALLS for _, total in counts):
        return None
    (now, now_of), (before, before_of) = counts
    pooled = (now + before) / (now_of + before_of)
    error = sqrt(pooled * (1 - pooled) * (1 / now_of + 1 / before_of))
    moved = now / now_of - before / before_of
    is_told = abs(moved) >= MIN_SHARE and abs(moved) > SIGMAS * error
    return (now / now_of, before / before_of) if is_told else None


def _ratio(one: Compared, name: str) -> tuple[float, float] | None:
    """(now, before) of a quantity that moved by a fifth."""
    now, before = getattr(one.now, name), getattr(one.before, name)
    if now is None or not before or abs(now / before - 1) < MIN_RATIO:
        return None
    return float(now), float(before)


def most_of(finding: Finding, all_findings: Iterable[Finding]) -> Finding | None:
    """The part that explains most of a change of the whole's cost: more than half of it."""
    moved = (finding.now or 0.0) - (finding.before or 0.0)
    parts = [one for one in all_findings if one.part and one.topic is finding.topic]
    best = max(parts, key=lambda one: ((one.now or 0.0) - (one.before or 0.0)) / moved if moved else 0.0, default=None)
    if best is None or not moved:
        return None
    return best if ((best.now or 0.0) - (best.before or 0.0)) / moved > 0.5 else None
