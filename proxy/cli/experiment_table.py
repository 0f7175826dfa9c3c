"""A judgement as a table for a terminal, and as JSON for programs."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from proxy.cli.terminal import GREEN, PLAIN, RED, UNKNOWN, YELLOW, cell, span
from proxy.domain.experiments import Goal, Guardrail
from proxy.domain.judgement import (
    Arm,
    Comparison,
    Finding,
    Judgement,
    Outcome,
    Shares,
    Standing,
    Watch,
    number_text,
    verdict,
)

METHOD = "asymptotic confidence sequences, 95 % over all looks together; people counted once, by distinct id"
_NAME, _VALUE, _BOUNDS, _PEOPLE, _DIFFERENCE = 22, 11, 22, 9, 36
_MARKS = {Outcome.BETTER: GREEN, Outcome.WORSE: RED, Outcome.BROKEN: RED, Outcome.MISMATCH: RED}
_STANDINGS = {Standing.BROKEN: RED, Standing.BROKEN_EVERYWHERE: YELLOW, Standing.KEPT: GREEN, Standing.OPEN: ""}


def lines(judgement: Judgement, *, source: str, stopped_because: str | None, in_colour: bool) -> Iterator[str]:
    """What `promptlane experiment report` prints."""

    def painted(text: str, colour: str) -> str:
        return f"{colour}{text}{PLAIN}" if in_colour and colour else text

    said = verdict(judgement)
    yield f"{judgement.name}, flag {judgement.flag}: {_time(judgement)}, from {source}"
    yield ""
    yield painted(said.text, _MARKS.get(said.outcome, ""))
    if stopped_because is not None:
        yield painted(f"The rollout was stopped: {stopped_because}", YELLOW)
    yield ""
    yield from _heading()
    yield f"{judgement.primary.metric.label} (should {judgement.goal.value})"
    for arm in judgement.primary.arms:
        comparison = _of(judgement.primary, arm)
        yield _row(judgement.primary, arm, comparison) + _better(comparison, judgement.goal)
    for watch in judgement.watches:
        yield f"{watch.finding.metric.label} ({limit_text(watch)})"
        for arm in watch.finding.arms:
            standing = watch.standings.get(arm.variant)
            shown = "" if standing is None else painted(standing.value, _STANDINGS[standing])
            yield _row(watch.finding, arm, _of(watch.finding, arm)) + shown
    yield ""
    yield from _notes(judgement)


def limit_text(watch: Watch) -> str:
    """`at most 4,000 ms`, `at most 2.0 points above control`."""
    guardrail = watch.guardrail
    if guardrail.max is not None:
        return f"at most {number_text(guardrail.max, watch.finding)}"
    return f"at most {number_text(guardrail.max_increase, watch.finding, is_difference=True)} above control"


def _heading() -> Iterator[str]:
    names = (("", _NAME), ("value", _VALUE), ("bounds", _BOUNDS), ("people", _PEOPLE))
    yield (" " + "".join(cell(name, width) for name, width in names) + "against control").rstrip()


def _row(finding: Finding, arm: Arm, comparison: Comparison | None) -> str:
    bounds = UNKNOWN
    if arm.low is not None or arm.high is not None:
        bounds = f"{_bare(arm.low, finding)} to {_bare(arm.high, finding)}"
    parts = (
        (f" {arm.variant}", _NAME),
        (number_text(arm.value, finding), _VALUE),
        (bounds, _BOUNDS),
        (f"{arm.measured:,}", _PEOPLE),
        ("" if comparison is None else _difference(comparison, finding), _DIFFERENCE),
    )
    return (" " + "".join(cell(text, width) for text, width in parts)).rstrip() + ("  " if comparison else "")


def _bare(value: float | None, finding: Finding) -> str:
    """Without its unit, which stands beside the value."""
    return "?" if value is None else number_text(value, finding).split(" ")[0]


def _difference(comparison: Comparison, finding: Finding) -> str:
    if comparison.difference is None:
        return UNKNOWN
    amount = _signed(comparison.difference, finding)
    if comparison.low is None or comparison.high is None:
        return f"{amount} (too few people)" if comparison.low is comparison.high is None else amount
    low, high = (_signed(bound, finding).split(" ")[0] for bound in (comparison.low, comparison.high))
    return f"{amount} ({low} to {high})"


def _signed(value: float, finding: Finding) -> str:
    text = number_text(value, finding, is_difference=True)
    return text if text.startswith("-") else f"+{text}"


def _of(finding: Finding, arm: Arm) -> Comparison | None:
    return next((each for each in finding.comparisons if each.variant == arm.variant), None)


def _better(comparison: Comparison | None, goal: Goal) -> str:
    if comparison is None or comparison.chance_above_control is None:
        return ""
    chance = comparison.chance_above_control if goal is Goal.INCREASE else 1 - comparison.chance_above_control
    if not 0.001 <= chance <= 0.999:
        return f"better with {'over 99.9%' if chance > 0.5 else 'under 0.1%'} probability"
    return f"better with {chance:.1%} probability"


def _time(judgement: Judgement) -> str:
    if judgement.since_unix_us is None:
        return "no time yet"
    since, until = (datetime.fromtimestamp(us / 1e6, UTC) for us in (judgement.since_unix_us, judgement.until_unix_us))
    return f"{since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} UTC ({span((until - since).total_seconds())})"


def _notes(judgement: Judgement) -> Iterator[str]:
    yield f"People: {_shares_text(judgement.shares)}."
    if judgement.switched:
        yield f"{judgement.switched:,} people were seen in more than one variant; they count in their first."
    for finding in (judgement.primary, *(watch.finding for watch in judgement.watches)):
        if finding.is_share and finding.metric.event != "" and all(arm.value == 1 for arm in finding.arms):
            yield f"Every {finding.metric.label} is true: send it as false, too, where it did not happen."
        if any(judgement.shares.people.values()) and not any(arm.measured for arm in finding.arms):
            yield f"Nobody has a value of {finding.metric.label} yet: is that its name, and is it sent and allowed?"
    yield f"Bounds: {METHOD}."


def _shares_text(shares: Shares) -> str:
    whole = sum(shares.people.values())
    counted = ", ".join(
        f"{count:,} {variant}" + (f" ({count / whole:.1%})" if whole else "")
        for variant, count in shares.people.items()
    )
    if shares.expected is None:
        return f"{counted}; the expected shares are not known"
    expected = ", ".join(f"{share:.1%} {variant}" for variant, share in shares.expected.items())
    if shares.p_value is None:
        return f"{counted}; expected {expected}"
    fits = "which does not fit" if shares.is_mismatch else "which fits"
    return (
        f"{counted}; expected {expected}, {fits}"
        f" (p {shares.p_value:.2g} over all looks; chi-square {shares.chi_square_p_value:.2g})"
    )


def as_json(judgement: Judgement, *, source: str, stopped_because: str | None) -> dict[str, Any]:
    """Everything, with null for what is not known."""
    said = verdict(judgement)
    shares = judgement.shares
    return {
        "experiment": judgement.name,
        "flag": judgement.flag,
        "control": judgement.control,
        "since": _iso(judgement.since_unix_us),
        "until": _iso(judgement.until_unix_us),
        "source": source,
        "method": METHOD,
        "verdict": {"outcome": said.outcome.value, "variant": said.variant, "text": said.text},
        "stopped_because": stopped_because,
        "people": dict(shares.people),
        "switched_people": judgement.switched,
        "sample_ratio": {
            "expected": None if shares.expected is None else dict(shares.expected),
            "p_value": shares.p_value,
            "chi_square_p_value": shares.chi_square_p_value,
            "is_mismatch": shares.is_mismatch,
        },
        "primary": {"goal": judgement.goal.value, **_finding_json(judgement.primary)},
        "guardrails": [
            {**_limit_json(watch.guardrail), **_finding_json(watch.finding, watch.standings)}
            for watch in judgement.watches
        ],
    }


def _limit_json(guardrail: Guardrail) -> dict[str, Any]:
    return {"max": guardrail.max, "max_increase": guardrail.max_increase, "quantile": guardrail.quantile}


def _finding_json(finding: Finding, standings: Mapping[str, Standing] | None = None) -> dict[str, Any]:
    return {
        "metric": finding.metric.label,
        "unit": finding.metric.unit or None,
        "is_share": finding.is_share,
        "variants": {arm.variant: _variant_json(finding, arm, standings) for arm in finding.arms},
    }


def _variant_json(finding: Finding, arm: Arm, standings: Mapping[str, Standing] | None) -> dict[str, Any]:
    told: dict[str, Any] = {"people": arm.measured, "value": arm.value, "low": arm.low, "high": arm.high}
    if (comparison := _of(finding, arm)) is not None:
        told["against_control"] = {
            "difference": comparison.difference,
            "low": comparison.low,
            "high": comparison.high,
            "probability_above_control": comparison.chance_above_control,
            "p_value": comparison.p_value,
        }
        if standings is not None:
            told["standing"] = standings[arm.variant].value
    return told


def _iso(unix_us: int | None) -> str | None:
    return None if unix_us is None else datetime.fromtimestamp(unix_us / 1e6, UTC).isoformat()
