from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.cli.top.scrape import NotMetrics, Scrape, Window, parse, quantile

CALLS = "promptlane_calls_total"


def scrape(text: str, at_s: float = 0.0) -> Scrape:
    return parse(f"promptlane_workers 1\n{text}", at_s)


def window(before: str, after: str, span_s: float = 10.0) -> Window:
    return Window(before=scrape(before), after=scrape(after, span_s))


@pytest.mark.parametrize("text", ["", "<html>hello</html>", "up 1\n", "promptlane_workers\n", "\x00"])
def test_what_is_no_metrics_of_ours_is_refused(text: str) -> None:
    with pytest.raises(NotMetrics):
        parse(text, 0.0)


def test_values_are_summed_over_the_labels_that_nobody_asks_for() -> None:
    found = scrape(f'{CALLS}{{target="a",status="x"}} 1\n{CALLS}{{target="a",status="y"}} 2\n{CALLS}{{target="b"}} 4\n')
    assert found.values(CALLS, "target") == {"a": 3, "b": 4}
    assert found.values(CALLS, "target", status="y") == {"a": 2}
    assert found.value(CALLS) == 7
    assert found.value("promptlane_outbox_bytes") is None


def test_a_series_that_is_new_began_at_0_and_none_goes_back() -> None:
    moved = window(
        f'{CALLS}{{target="a"}} 5\n{CALLS}{{target="b"}} 5', f'{CALLS}{{target="a"}} 9\n{CALLS}{{target="c"}} 2'
    )
    assert moved.gains(CALLS, "target") == {"a": 4, "c": 2}
    assert moved.per_s(CALLS) == pytest.approx(0.1)  # 11 in all, from 10
    assert moved.per_s("promptlane_tokens_total") is None
    assert window(f"{CALLS} 5", f"{CALLS} 3").per_s(CALLS) == 0


def test_a_window_is_split_by_a_label() -> None:
    parts = window(f'{CALLS}{{target="a"}} 5', f'{CALLS}{{target="a"}} 9\n{CALLS}{{target="b"}} 2').split("target")
    assert {name: part.per_s(CALLS) for name, part in parts.items()} == {"a": 0.4, "b": 0.2}


@pytest.mark.parametrize(
    ("before", "after", "is_restart"),
    [
        ('{target="a"} 5', '{target="a"} 5', False),
        ('{target="a"} 5', '{target="a"} 4', True),
        ('{target="a"} 5', '{target="b"} 9', True),
        ('{target="a"} 0', '{target="b"} 9', False),
    ],
)
def test_counters_that_go_back_are_a_restart(before: str, after: str, is_restart: bool) -> None:
    moved = window(CALLS + before, CALLS + after)
    assert moved.after.restarted_since(moved.before) is is_restart


def test_an_outbox_that_was_set_back_is_none() -> None:
    """Its totals come from several files, which are not read in one moment."""
    moved = window("promptlane_outbox_delivered_total 5", "promptlane_outbox_delivered_total 4")
    assert not moved.after.restarted_since(moved.before)


@pytest.mark.parametrize(
    ("counts", "share", "expected"),
    [
        ((10, 10, 10), 0.5, 0.5),
        ((0, 10, 10), 0.5, 1.5),
        ((5, 10, 10), 0.95, 1.9),
        ((0, 0, 10), 0.5, 2.0),
        ((0, 0, 0), 0.5, None),
    ],
)
def test_quantiles(counts: tuple[int, ...], share: float, expected: float | None) -> None:
    found = quantile(list(zip((1.0, 2.0, inf), counts, strict=True)), share)
    assert found == pytest.approx(expected) if expected is not None else found is None


def test_no_buckets_no_quantile() -> None:
    assert quantile([], 0.5) is None


@given(st.lists(st.integers(0, 50), min_size=3, max_size=3), st.floats(0.01, 1))
def test_a_quantile_lies_within_the_bounds_and_grows_with_its_share(counts: list[int], share: float) -> None:
    buckets = [(bound, sum(counts[: at + 1])) for at, bound in enumerate((1.0, 2.0, inf))]
    found, highest = quantile(buckets, share), quantile(buckets, 1.0)
    assert (found is None) == (sum(counts) == 0)
    if found is not None and highest is not None:
        assert 0 <= found <= highest <= 2.0


def test_a_histogram_s_quantiles_are_of_what_was_observed_meanwhile() -> None:
    def histogram(low: int, high: int) -> str:
        lines = [f'promptlane_call_seconds_bucket{{le="{le}"}} {n}' for le, n in (("1.0", low), ("+Inf", high))]
        return "\n".join(lines)

    moved = window(histogram(100, 200), histogram(104, 204))
    assert moved.quantiles("promptlane_call_seconds", 0.5, 1.0) == [0.5, 1.0]
