"""Alerts as data: when the number of a rule is too high, when it is well again, and what is remembered between looks.

An alert fires once and resolves once. It fires when the number is above the limit, and resolves when the number has
come down to `RESOLVED_SHARE` of the limit by which it fired: so one that wavers around its limit does not ring all day,
and a bad day does not become the usual one while it lasts. Where there are too few calls for a number, nothing fires,
and what fires resolves when that has lasted for a window.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from types import MappingProxyType

RESOLVED_SHARE = 0.9
LONGEST_WINDOW_S = 86_400
KEPT_CHANGES = 200
"""The newest of them."""
TRIED_FOR_US = 86_400_000_000
"""A message that could not be sent for so long is given up."""


class Metric(StrEnum):
    """What a rule watches."""

    ERROR_RATE = "error_rate"
    """The share of calls that failed."""
    COST = "cost_usd"
    """What the calls of a window cost together."""
    LATENCY = "latency_ms"
    """A quantile of successful calls' durations."""
    TTFT = "ttft_ms"
    """A quantile of successful calls' times to the first token."""
    DRIFT = "prompt_drift"
    """How often a prompt version ran with another text than before."""
    DROPPED = "dropped_events"
    """Events that were lost, for whatever reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """How a metric is taken, said and bounded."""

    label: str
    unit: str = ""
    min_calls: int | None = None
    """How many calls it needs unless a rule says otherwise; None: it is not made of calls."""
    above: float | None = None
    """The limit where a rule names none; None: a rule has to."""
    is_quantile: bool = False
    is_of_calls: bool = True
    """It can be narrowed to some calls."""

    @property
    def compares(self) -> bool:
        """It can be held against the usual."""
        return self.min_calls is not None


TRAITS: Mapping[Metric, Trait] = MappingProxyType(
    {
        Metric.ERROR_RATE: Trait(label="error rate", unit="%", min_calls=20),
        Metric.COST: Trait(label="cost", unit="USD", min_calls=0),
        Metric.LATENCY: Trait(label="latency", unit="ms", min_calls=20, is_quantile=True),
        Metric.TTFT: Trait(label="time to first token", unit="ms", min_calls=20, is_quantile=True),
        Metric.DRIFT: Trait(label="prompt drift", above=0.0),
        Metric.DROPPED: Trait(label="dropped events", above=0.0, is_of_calls=False),
    }
)
DIMENSIONS: Mapping[str, str] = MappingProxyType(
    {
        "environment": "environment",
        "prompt": "prompt_name",
        "model": "model",
        "provider": "provider",
        "key": "key_alias",
    }
)
"""By what a rule may be narrowed, and the property that has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One entry of `rules:`."""

    name: str
    metric: Metric
    above: float
    """The alert fires above it, exclusively. Shares are fractions."""
    times_usual: float | None = None
    """It fires only where the number is also above so many times the usual one, which is that of the day before."""
    window_s: float = 600.0
    min_calls: int = 0
    quantile: float = 0.95
    where: Mapping[str, str] = field(default_factory=dict)
    """Values by a key of DIMENSIONS; all must hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertPolicy:
    """The values of alerts.yaml."""

    rules: tuple[Rule, ...] = ()
    every_s: float = 60.0
    webhook_url: str | None = field(default=None, repr=False)
    """Whoever has it may write there: it goes nowhere else."""
    pages_url: str | None = None
    """Where `/ui` is for people, without a slash at its end; None where the configuration does not say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The number of a rule at one look. None: unknown, since there are too few calls."""

    value: float | None
    calls: int = 0
    """How many it was made of; 0 where it is not made of calls."""
    usual: float | None = None

    def limit(self, rule: Rule) -> float:
        """What the value must not be above. Where the usual is unknown, `above` alone counts."""
        if rule.times_usual is None or self.usual is None:
            return rule.above
        return max(rule.above, rule.times_usual * self.usual)


class State(StrEnum):
    """What an alert came to."""

    FIRED = "fired"
    RESOLVED = "resolved"


class Because(StrEnum):
    """Why an alert resolved."""

    WELL = "well"
    """The number came down."""
    TOO_FEW_CALLS = "too_few_calls"
    """There was nothing to look at for a window."""
    RULE_GONE = "rule_gone"
    """The configuration has no such rule any more."""


class Delivery(StrEnum):
    """Whether the webhook has had the message."""

    NOT_ASKED = "not_asked"
    """There was no webhook."""
    PENDING = "pending"
    DONE = "done"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertChange:
    """An alert that fired or resolved. The two of one alert have the same `alert_id`."""

    alert_id: str
    state: State
    rule: str
    metric: Metric
    quantile: float
    window_s: float
    where: Mapping[str, str]
    value: float | None
    limit: float
    """By which it fired."""
    usual: float | None
    calls: int
    at_unix_us: int
    fired_at_unix_us: int
    because: Because | None = None
    delivery: Delivery = Delivery.NOT_ASKED

    @property
    def lasted_s(self) -> float:
        """For how long the alert had fired by then."""
        return (self.at_unix_us - self.fired_at_unix_us) / 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Firing:
    """An alert that fires now. `unknown_since_unix_us`: since when there are too few calls."""

    fired: AlertChange
    unknown_since_unix_us: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Drops:
    """Dropped events as looks have seen them: the journals keep totals alone."""

    totals: Mapping[str, int] | None = None
    """Those of the last look, by the journal's file; None before the first one."""
    lost: tuple[tuple[int, int], ...] = ()
    """When some were seen to be new (µs since 1970), and how many."""

    def seen(self, totals: Mapping[str, int], now_us: int) -> "Drops":
        """After a look. What was lost before the first one is no news; a file that is not read now keeps
        its total.
        """
        if self.totals is None:
            return replace(self, totals=totals)
        new = sum(max(0, total - self.totals.get(name, 0)) for name, total in totals.items())
        kept = [each for each in self.lost if each[0] > now_us - LONGEST_WINDOW_S * 1_000_000]
        return Drops(totals={**self.totals, **totals}, lost=(*kept, *(((now_us, new),) if new else ())))

    def since(self, unix_us: int) -> int:
        """How many were lost after that moment."""
        return sum(count for at_us, count in self.lost if at_us > unix_us)


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertBook:
    """What is remembered between looks."""

    looked_at_unix_us: int | None = None
    firing: Mapping[str, Firing] = field(default_factory=dict)
    """By the name of the rule."""
    changes: tuple[AlertChange, ...] = ()
    """Oldest first."""
    drops: Drops = field(default_factory=Drops)

    @property
    def unsent(self) -> tuple[AlertChange, ...]:
        """Those that the webhook is to have yet, oldest first."""
        return tuple(each for each in self.changes if each.delivery is Delivery.PENDING)


def looked(
    book: AlertBook, rules: Sequence[Rule], readings: Mapping[str, Reading], now_us: int, *, has_webhook: bool
) -> AlertBook:
    """The book after a look. `readings` has one for each rule, by name."""
    firing: dict[str, Firing] = {}
    changes: list[AlertChange] = []
    going_on = dict(book.firing)
    metrics = {rule.name: rule.metric for rule in rules}
    for name, each in book.firing.items():
        if metrics.get(name) is not each.fired.metric:
            changes.append(_resolved(going_on.pop(name), Reading(value=None), now_us, Because.RULE_GONE))
    for rule in rules:
        after, change = judged(rule, readings[rule.name], going_on.get(rule.name), now_us)
        if after is not None:
            firing[rule.name] = after
        if change is not None:
            changes.append(change)
    delivery = Delivery.PENDING if has_webhook else Delivery.NOT_ASKED
    new = [replace(change, delivery=delivery) for change in changes]
    return replace(book, looked_at_unix_us=now_us, firing=firing, changes=(*book.changes, *new)[-KEPT_CHANGES:])


def judged(
    rule: Rule, reading: Reading, before: Firing | None, now_us: int
) -> tuple[Firing | None, AlertChange | None]:
    """What fires after a look at one rule, and what changed by it."""
    if before is None:
        limit = reading.limit(rule)
        if reading.value is None or reading.value <= limit:
            return None, None
        fired = _fired(rule, reading, limit, now_us)
        return Firing(fired=fired), fired
    if reading.value is None:
        since_us = now_us if before.unknown_since_unix_us is None else before.unknown_since_unix_us
        if now_us - since_us < rule.window_s * 1e6:
            return replace(before, unknown_since_unix_us=since_us), None
        return None, _resolved(before, reading, now_us, Because.TOO_FEW_CALLS)
    if reading.value > RESOLVED_SHARE * max(before.fired.limit, rule.above):
        return replace(before, unknown_since_unix_us=None), None
    return None, _resolved(before, reading, now_us, Because.WELL)


def _fired(rule: Rule, reading: Reading, limit: float, now_us: int) -> AlertChange:
    return AlertChange(
        alert_id=f"alert/{rule.name}/{now_us}",
        state=State.FIRED,
        rule=rule.name,
        metric=rule.metric,
        quantile=rule.quantile,
        window_s=rule.window_s,
        where=rule.where,
        value=reading.value,
        limit=limit,
        usual=reading.usual,
        calls=reading.calls,
        at_unix_us=now_us,
        fired_at_unix_us=now_us,
    )


def _resolved(firing: Firing, reading: Reading, now_us: int, because: Because) -> AlertChange:
    return replace(
        firing.fired,
        state=State.RESOLVED,
        value=reading.value,
        usual=reading.usual,
        calls=reading.calls,
        at_unix_us=now_us,
        because=because,
    )


def sent(book: AlertBook, change: AlertChange, delivery: Delivery) -> AlertBook:
    """The book after that became of the change's message."""
    changed = replace(change, delivery=delivery)
    return replace(book, changes=tuple(changed if each == change else each for each in book.changes))


def overdue(book: AlertBook, now_us: int, *, has_webhook: bool) -> AlertBook:
    """The book with the messages given up that nobody has taken for too long, or nobody is there to take."""
    return replace(
        book,
        changes=tuple(
            replace(each, delivery=Delivery.GIVEN_UP)
            if each.delivery is Delivery.PENDING and (now_us - each.at_unix_us > TRIED_FOR_US or not has_webhook)
            else each
            for each in book.changes
        ),
    )
