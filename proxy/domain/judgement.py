"""What an experiment has shown so far: findings as values, and the verdict on them in plain words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from proxy.domain.experiments import Goal, Guardrail, Metric

MISMATCH_BELOW = 0.01
"""Of the sequential p value of the shares: below, people were not dealt out as they should have been."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """One variant by one metric. Of `people` exposed, `measured` have a value; None is not known yet."""

    variant: str
    people: int
    measured: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """A variant against control; None where there are too few people to say."""

    variant: str
    difference: float | None
    low: float | None
    high: float | None
    chance_above_control: float | None = None
    """The probability that the variant's true value is above control's."""
    p_value: float | None = None
    """Always valid; None for quantiles."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One metric in all variants, control first."""

    metric: Metric
    is_share: bool
    arms: Sequence[Arm]
    comparisons: Sequence[Comparison]

    def arm(self, variant: str) -> Arm:
        """That variant's."""
        return next(arm for arm in self.arms if arm.variant == variant)

    def comparison(self, variant: str) -> Comparison:
        """That variant's with control."""
        return next(each for each in self.comparisons if each.variant == variant)


class Standing(StrEnum):
    """How a variant stands to a guardrail."""

    BROKEN = "broken"
    """Shown to be beyond the limit."""
    BROKEN_EVERYWHERE = "broken in control too"
    """Beyond the limit, and so is control: to move people there would not help."""
    KEPT = "kept"
    """Shown to be within the limit."""
    OPEN = "open"
    """Not shown either way yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A guardrail and how each variant but control stands to it."""

    guardrail: Guardrail
    finding: Finding
    standings: Mapping[str, Standing]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Whether people were dealt out as they should have been. `expected` are fractions of 1; None: not known."""

    people: Mapping[str, int]
    expected: Mapping[str, float] | None
    p_value: float | None
    """Always valid."""
    chi_square_p_value: float | None
    """Right for one look alone; told because other tools tell it."""

    @property
    def is_mismatch(self) -> bool:
        """The assignment is broken, or the count of it."""
        return self.p_value is not None and self.p_value < MISMATCH_BELOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """All that is known. `switched` people were seen in more than one variant and count in their first."""

    name: str
    flag: str
    control: str
    goal: Goal
    since_unix_us: int | None
    until_unix_us: int
    shares: Shares
    switched: int
    primary: Finding
    watches: Sequence[Watch]


class Outcome(StrEnum):
    """What to make of it, the gravest first."""

    NOBODY = "nobody"
    MISMATCH = "mismatch"
    BROKEN = "broken"
    BETTER = "better"
    WORSE = "worse"
    OPEN = "open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """`variant` is the one that it is about, where it is one."""

    outcome: Outcome
    text: str
    variant: str | None = None


def broken(judgement: Judgement) -> list[tuple[str, Watch]]:
    """Variants and the guardrails that they have broken and control has not."""
    return [
        (variant, watch)
        for watch in judgement.watches
        for variant, standing in watch.standings.items()
        if standing is Standing.BROKEN
    ]


def verdict(judgement: Judgement) -> Verdict:
    """The one sentence that somebody in a hurry reads."""
    if sum(judgement.shares.people.values()) == 0:
        text = "Nobody has been given a variant yet."
        return Verdict(outcome=Outcome.NOBODY, text=text)
    if judgement.shares.is_mismatch:
        text = (
            "Do not trust these numbers: people are not spread over the variants as they should be now. Were the shares"
            " changed meanwhile? Then look at the time since, by --since. Else find out why first."
        )
        return Verdict(outcome=Outcome.MISMATCH, text=text)
    if breaches := broken(judgement):
        variant, watch = breaches[0]
        return Verdict(outcome=Outcome.BROKEN, variant=variant, text=breach_text(variant, watch))
    shown = [
        (each, better)
        for each in judgement.primary.comparisons
        if (better := _is_better(each, judgement.goal)) is not None
    ]
    label = judgement.primary.metric.label
    for each, better in sorted(shown, key=lambda pair: not pair[1]):
        word = Outcome.BETTER if better else Outcome.WORSE
        amount = difference_text(each, judgement.primary)
        text = f"{each.variant} is {word} than {judgement.control}: {label} {amount}."
        return Verdict(outcome=word, variant=each.variant, text=text + _about_guardrails(each.variant, judgement))
    return Verdict(outcome=Outcome.OPEN, text=_open_text(judgement))


def breach_text(variant: str, watch: Watch) -> str:
    """What a broken guardrail says, with its evidence."""
    guardrail, finding = watch.guardrail, watch.finding
    arm = finding.arm(variant)
    value = number_text(arm.value, finding)
    if guardrail.max is not None:
        limit = number_text(guardrail.max, finding)
        return (
            f"{variant} breaks a guardrail: {finding.metric.label} is {value} in {arm.measured} people, above {limit}."
        )
    assert guardrail.max_increase is not None
    amount = difference_text(finding.comparison(variant), finding)
    limit = number_text(guardrail.max_increase, finding, is_difference=True)
    return f"{variant} breaks a guardrail: {finding.metric.label} {amount}, where {limit} are allowed."


def difference_text(comparison: Comparison, finding: Finding) -> str:
    """`rises by 6.1 points (2.0 to 10.2)`."""
    if comparison.difference is None:
        return "is not known yet"
    low, high = comparison.low, comparison.high
    direction = "rises" if comparison.difference >= 0 else "falls"
    sign = 1 if comparison.difference >= 0 else -1
    ends = sorted(bound * sign for bound in (low, high) if bound is not None)
    amount = number_text(abs(comparison.difference), finding, is_difference=True)
    if len(ends) < 2:
        return f"{direction} by {amount}"
    low_text, high_text = (number_text(end, finding, is_difference=True).split(" ")[0] for end in ends)
    return f"{direction} by {amount} ({low_text} to {high_text})"


def number_text(value: float | None, finding: Finding, *, is_difference: bool = False) -> str:
    """A value of the metric as people write it: shares in percent, their differences in points."""
    if value is None:
        return "-"
    if finding.is_share and finding.metric.quantile is None:
        return f"{100 * value:.1f} points" if is_difference else f"{100 * value:.1f}%"
    if finding.metric.unit == "USD":
        return f"${value:.4f}" if value >= 0 else f"-${-value:.4f}"
    digits = 0 if abs(value) >= 100 else 2
    return f"{value:,.{digits}f}{f' {finding.metric.unit}' if finding.metric.unit else ''}"


def _is_better(comparison: Comparison, goal: Goal) -> bool | None:
    """None where nothing is shown."""
    if comparison.low is None or comparison.high is None or comparison.low <= 0 <= comparison.high:
        return None
    return (comparison.low > 0) is (goal is Goal.INCREASE)


def _about_guardrails(variant: str, judgement: Judgement) -> str:
    labels = {
        standing: [it.finding.metric.label for it in judgement.watches if it.standings[variant] is standing]
        for standing in Standing
    }
    said = ""
    if beyond := labels[Standing.BROKEN_EVERYWHERE]:
        said += f" Beyond its guardrail, as {judgement.control} is: {', '.join(beyond)}."
    if waiting := labels[Standing.OPEN]:
        said += f" Not shown yet to be within its guardrail: {', '.join(waiting)}."
    return said or (" Every guardrail is kept." if judgement.watches else "")


def _open_text(judgement: Judgement) -> str:
    known = [each for each in judgement.primary.comparisons if each.low is not None and each.high is not None]
    label = judgement.primary.metric.label
    if not known:
        return f"Too early: too few people have a value of {label}."
    each = known[0]
    low, high = (number_text(end, judgement.primary, is_difference=True) for end in (each.low, each.high))
    return f"No difference shown yet: {label} of {each.variant} differs from {judgement.control} by {low} to {high}."
