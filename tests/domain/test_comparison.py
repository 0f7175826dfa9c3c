from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.domain.comparison import MIN_CALLS, Compared, Figures, Topic, findings, most_of

QUIET = Figures(
    calls=1_000, failed=10, cost_usd=10.0, p50_ms=500.0, p95_ms=2_000.0, input_tokens=800.0, tasks=400,
    completed_tasks=300,
)  # fmt: skip
SAME = Compared(now=QUIET, before=QUIET)


def topics(whole: Compared, *parts: Compared) -> list[tuple[Topic, str]]:
    return [(finding.topic, finding.part) for finding in findings(whole, parts)]


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, []),
        ({"failed": 12}, []),  # chance
        ({"failed": 60}, [(Topic.ERRORS, "")]),
        ({"p95_ms": 2_300.0}, []),  # less than a fifth
        ({"p95_ms": 2_500.0}, [(Topic.LATENCY, "")]),
        ({"p95_ms": None}, []),
        ({"input_tokens": 1_600.0}, [(Topic.INPUT, "")]),
        ({"completed_tasks": 200}, [(Topic.COMPLETION, "")]),
        ({"cost_usd": 10.5}, []),
        ({"cost_usd": 20.0}, [(Topic.COST, ""), (Topic.COST_PER_CALL, "")]),
        ({"cost_usd": None}, [(Topic.COST, "")]),
        ({"unpriced": 3}, [(Topic.UNPRICED, "")]),
        ({"calls": 20, "failed": 20}, []),  # too few to speak of, and cheap
    ],
)
def test_what_is_worth_a_sentence(changed: dict[str, object], expected: list[tuple[Topic, str]]) -> None:
    assert topics(Compared(now=replace(QUIET, **changed), before=QUIET)) == expected  # type: ignore[arg-type]


def test_versions_come_and_go() -> None:
    new, old = Compared(name="v2", now=QUIET), Compared(name="v1", before=QUIET)
    few = Compared(name="v3", now=Figures(calls=MIN_CALLS - 1))
    assert topics(SAME, new, old, few) == [(Topic.GONE, "v1"), (Topic.APPEARED, "v2")]


def test_a_version_that_drifted_comes_before_what_is_smaller() -> None:
    part = Compared(name="v1", now=replace(QUIET, drifts=2, p95_ms=2_500.0), before=QUIET)
    assert topics(SAME, part) == [(Topic.DRIFTED, "v1"), (Topic.LATENCY, "v1")]


def test_the_part_that_explains_most_of_a_change() -> None:
    whole = Compared(now=replace(QUIET, cost_usd=20.0), before=QUIET)
    dear = Compared(name="v2", now=Figures(calls=900, cost_usd=17.0), before=Figures(calls=900, cost_usd=8.0))
    rest = Compared(name="v1", now=Figures(calls=100, cost_usd=3.0), before=Figures(calls=100, cost_usd=2.0))
    found = findings(whole, [dear, rest])
    cost = next(one for one in found if one.topic is Topic.COST and not one.part)
    explained = most_of(cost, found)
    assert explained is not None
    assert explained.part == "v2"
    assert most_of(replace(cost, now=cost.before), found) is None


def test_shares_of_nothing_are_unknown() -> None:
    assert (Figures().failed_share, Figures().completed_share, Figures().usd_per_call) == (None, None, None)
    assert Figures(calls=3, unpriced=3, cost_usd=0.0).usd_per_call is None


COUNTS = st.integers(0, 10_000)
FIGURES = st.builds(
    lambda calls, failed, cost, p95: Figures(calls=calls, failed=min(calls, failed), cost_usd=cost, p95_ms=p95),
    COUNTS, COUNTS, st.none() | st.floats(0, 1e6), st.none() | st.floats(0, 1e6),
)  # fmt: skip


@given(FIGURES, FIGURES, st.lists(st.tuples(FIGURES, FIGURES), max_size=3))
def test_any_figures_can_be_compared(now: Figures, before: Figures, parts: list[tuple[Figures, Figures]]) -> None:
    named = [Compared(name=f"v{number}", now=one, before=other) for number, (one, other) in enumerate(parts)]
    found = findings(Compared(now=now, before=before), named)
    weights = [finding.weight for finding in found]
    assert weights == sorted(weights, reverse=True)
    assert findings(Compared(now=now, before=now), []) == [
        finding for finding in findings(Compared(now=now, before=now), []) if finding.topic is Topic.UNPRICED
    ]
