import pytest

from proxy.cli.report_words import percent, said, table, verdict
from proxy.cli.terminal import columns
from proxy.domain.comparison import Compared, Figures, Finding, Topic

FIGURES = Figures(calls=123_456, failed=999, cost_usd=12_345.6, p50_ms=600, p95_ms=61_000, tasks=9, completed_tasks=3)


def finding(topic: Topic, now: float | None = 2.0, before: float | None = 1.0, part: str = "") -> Finding:
    return Finding(topic=topic, part=part, now=now, before=before, weight=1.0)


def test_a_table_fits_80_columns_and_says_what_is_left_out() -> None:
    parts = [Compared(name=f"a prompt with a long name pv_{number}", now=FIGURES) for number in range(17)]
    lines = list(table(Compared(now=FIGURES), parts))
    assert all(columns(line) <= 80 for line in lines)
    assert lines[1].split() == ["all", "calls", "123k", "0.8%", "600ms", "61.0s", "$12k", "$0.10", "33%"]
    assert set(lines[2].split()[4:]) == {"-"}
    assert lines[-1] == "… and 2 more prompt versions; --json has all."


@pytest.mark.parametrize(
    ("found", "sentence"),
    [
        (finding(Topic.COST, 3.2, 2.0), "All calls: cost rose by $1.20 (60%), to $3.20."),
        (finding(Topic.COST, 1.0, 0.0, "p v"), "p v: cost rose by $1.00 (all of it), to $1.00."),
        (finding(Topic.ERRORS, 0.005, 0.2), "All calls: failures fell from 20% to 0.5%."),
        (finding(Topic.LATENCY, 4_000, 2_000), "All calls: p95 latency rose by 100%, from 2.0s to 4.0s."),
        (finding(Topic.COST_PER_CALL, 1, 2), "All calls: a call costs 50% less, $1.00 after $2.00."),
        (finding(Topic.GONE, 0, 40, "p\x1b[31m"), "p?[31m had 40 calls before, and none now."),
        (
            finding(Topic.UNPRICED, 7, 0),
            "All calls: 7 calls have no price; `promptlane price MODEL` shows what to add.",
        ),
    ],
)
def test_a_sentence(found: Finding, sentence: str) -> None:
    assert list(said([found], [found])) == [sentence]


@pytest.mark.parametrize("topic", Topic)
def test_every_topic_has_one(topic: Topic) -> None:
    (sentence,) = said([finding(topic, part="p v")], [])
    assert sentence.startswith("p v")
    assert "{" not in sentence


def test_cost_names_the_part_that_explains_it() -> None:
    found = [finding(Topic.COST, 20, 10), finding(Topic.COST, 19, 10, "p v2")]
    assert list(said(found[:1], found)) == ["All calls: cost rose by $10.0 (100%), to $20.0, most of it p v2."]


def test_the_verdict_names_what_is_grave() -> None:
    assert verdict([finding(Topic.COST)]) == "Nothing here asks for action at once."
    assert verdict([finding(Topic.COST), finding(Topic.ERRORS, part="p v")]).startswith("Look first at: errors of p v.")


def test_percent() -> None:
    assert [percent(share) for share in (None, 0, 0.099, 0.0995, 1)] == ["-", "0.0%", "9.9%", "10%", "100%"]
