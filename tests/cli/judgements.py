"""Judgements to show."""

from proxy.domain.experiments import Goal, Guardrail, Primary, measured_by
from proxy.domain.judgement import Arm, Comparison, Finding, Judgement, Shares, Standing, Watch

SLOW = Guardrail(metric="latency_ms", quantile=0.95, max=4_000)
COSTLY = Guardrail(metric="cost_per_task_usd", max_increase=0.01)


def finding(asked: Primary | Guardrail, control: float, treatment: float, half: float | None, **told: bool) -> Finding:
    """Bounds that are `half` away; None: too few people."""

    def arm(variant: str, value: float) -> Arm:
        low, high = (None, None) if half is None else (value - half, value + half)
        return Arm(variant=variant, people=300, measured=250, value=value, low=low, high=high)

    difference = treatment - control
    comparison = Comparison(
        variant="treatment",
        difference=difference,
        low=None if half is None else difference - half,
        high=None if half is None else difference + half,
        chance_above_control=None if half is None else 0.975,
        p_value=None if half is None else 0.04,
    )
    is_share = told.get("is_share", False)
    arms = [arm("control", control), arm("treatment", treatment)]
    return Finding(metric=measured_by(asked), is_share=is_share, arms=arms, comparisons=[comparison])


def judgement(*, half: float | None = 0.05, resolved: float = 0.6) -> Judgement:
    """Of one variant against control, with a guardrail that is kept and one that is open."""
    return Judgement(
        name="support",
        flag="support-test",
        control="control",
        goal=Goal.INCREASE,
        since_unix_us=1_790_000_000_000_000,
        until_unix_us=1_790_086_400_000_000,
        shares=Shares(
            people={"control": 300, "treatment": 300},
            expected={"control": 0.5, "treatment": 0.5},
            p_value=1.0,
            chi_square_p_value=1.0,
        ),
        switched=3,
        primary=finding(Primary(event="ticket", property="resolved"), resolved, resolved + 0.08, half, is_share=True),
        watches=[
            Watch(guardrail=SLOW, finding=finding(SLOW, 2_000, 2_100, 300), standings={"treatment": Standing.KEPT}),
            Watch(guardrail=COSTLY, finding=finding(COSTLY, 0.01, 0.015, None), standings={"treatment": Standing.OPEN}),
        ],
    )
