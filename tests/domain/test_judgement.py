from dataclasses import replace

import pytest

from proxy.domain.experiments import Goal, Guardrail, Primary, measured_by
from proxy.domain.judgement import (
    Arm,
    Comparison,
    Finding,
    Judgement,
    Outcome,
    Shares,
    Standing,
    Verdict,
    Watch,
    number_text,
    verdict,
)

PRIMARY = measured_by(Primary(event="ticket", property="resolved"))
ESCALATED = Guardrail(metric="escalated_to_human", max_increase=0.02)
SLOW = Guardrail(metric="latency_ms", quantile=0.95, max=4_000)


def arm(variant: str, value: float | None) -> Arm:
    return Arm(variant=variant, people=200, measured=190, value=value, low=None, high=None)


def finding(low: float | None, high: float | None) -> Finding:
    middle = None if low is None or high is None else (low + high) / 2
    return Finding(
        metric=PRIMARY,
        is_share=True,
        arms=[arm("control", 0.5), arm("treatment", 0.5 + (middle or 0))],
        comparisons=[Comparison(variant="treatment", difference=middle, low=low, high=high)],
    )


def watch(guardrail: Guardrail, standing: Standing, **changed: object) -> Watch:
    is_share = guardrail is ESCALATED
    found = replace(finding(0.03, 0.11), metric=measured_by(guardrail), is_share=is_share, **changed)  # type: ignore[arg-type]
    return Watch(guardrail=guardrail, finding=found, standings={"treatment": standing})


def judgement(primary: Finding, *watches: Watch, goal: Goal = Goal.INCREASE, **shares: object) -> Judgement:
    dealt = {"people": {"control": 200, "treatment": 200}, "expected": None, "p_value": None} | shares
    return Judgement(
        name="support",
        flag="support-test",
        control="control",
        goal=goal,
        since_unix_us=None,
        until_unix_us=1,
        shares=Shares(**dealt, chi_square_p_value=None),  # type: ignore[arg-type]
        switched=0,
        primary=primary,
        watches=watches,
    )


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        (
            judgement(finding(0.02, 0.1), watch(ESCALATED, Standing.KEPT)),
            "treatment is better than control: ticket.resolved rises by 6.0 points (2.0 to 10.0)."
            " Every guardrail is kept.",
        ),
        (
            judgement(finding(0.02, 0.1), watch(ESCALATED, Standing.OPEN)),
            "treatment is better than control: ticket.resolved rises by 6.0 points (2.0 to 10.0)."
            " Not shown yet to be within its guardrail: escalated_to_human.",
        ),
        (
            judgement(finding(-0.1, -0.02)),
            "treatment is worse than control: ticket.resolved falls by 6.0 points (2.0 to 10.0).",
        ),
        (
            judgement(finding(-0.1, -0.02), goal=Goal.DECREASE),
            "treatment is better than control: ticket.resolved falls by 6.0 points (2.0 to 10.0).",
        ),
        (
            judgement(finding(-0.02, 0.1)),
            "No difference shown yet: ticket.resolved of treatment differs from control by -2.0 points to 10.0 points.",
        ),
        (judgement(finding(None, None)), "Too early: too few people have a value of ticket.resolved."),
        (judgement(finding(0.1, 0.2), people={"control": 0}), "Nobody has been given a variant yet."),
        (
            judgement(finding(0.1, 0.2), watch(ESCALATED, Standing.BROKEN)),
            "treatment breaks a guardrail: escalated_to_human rises by 7.0 points (3.0 to 11.0),"
            " where 2.0 points are allowed.",
        ),
        (
            judgement(
                finding(0.1, 0.2), watch(SLOW, Standing.BROKEN, arms=[arm("control", 3), arm("treatment", 5_210)])
            ),
            "treatment breaks a guardrail: p95 latency_ms is 5,210 ms in 190 people, above 4,000 ms.",
        ),
        (
            judgement(finding(0.1, 0.2), watch(ESCALATED, Standing.BROKEN), p_value=0.001),
            "Do not trust these numbers: people are not spread over the variants as they should be now. Were the shares"
            " changed meanwhile? Then look at the time since, by --since. Else find out why first.",
        ),
    ],
)
def test_the_verdict_says_the_gravest_thing_in_a_sentence(found: Judgement, expected: str) -> None:
    assert verdict(found).text == expected


def test_the_verdict_is_for_programs_too() -> None:
    assert verdict(judgement(finding(-0.1, -0.02))) == Verdict(
        outcome=Outcome.WORSE, variant="treatment", text=verdict(judgement(finding(-0.1, -0.02))).text
    )


def test_what_control_breaks_too_is_not_the_variants_fault() -> None:
    found = judgement(finding(0.02, 0.1), watch(SLOW, Standing.BROKEN_EVERYWHERE))

    assert verdict(found).outcome is Outcome.BETTER
    assert verdict(found).text.endswith(" Beyond its guardrail, as control is: p95 latency_ms.")


@pytest.mark.parametrize(
    ("guardrail", "value", "text"),
    [
        (SLOW, 4_000, "4,000 ms"),
        (SLOW, 12.5, "12.50 ms"),
        (Guardrail(metric="cost_per_task_usd"), 0.03, "$0.0300"),
        (Guardrail(metric="cost_per_task_usd"), -0.03, "-$0.0300"),
        (Guardrail(metric="score"), 0.5, "0.50"),
        (SLOW, None, "-"),
    ],
)
def test_numbers_carry_their_unit(guardrail: Guardrail, value: float | None, text: str) -> None:
    assert number_text(value, replace(finding(0, 1), metric=measured_by(guardrail), is_share=False)) == text
