from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram

from proxy.adapters.tallies import OVERHEAD_BUCKETS_S, Durations, SummedHistogram

BOUND_NS = [round(bound_s * 1e9) for bound_s in OVERHEAD_BUCKETS_S]


def samples(histogram: Histogram) -> list[tuple[str, Any, float]]:
    return [(one.name, one.labels, round(one.value, 6)) for family in histogram.collect() for one in family.samples]


@given(st.lists(st.integers(0, 10**9) | st.sampled_from(BOUND_NS)))
def test_what_is_added_at_once_is_what_the_library_makes_of_it_one_by_one(durations_ns: list[int]) -> None:
    singly = Histogram("seconds", "", buckets=OVERHEAD_BUCKETS_S, registry=CollectorRegistry())
    at_once = SummedHistogram("seconds", "", buckets=OVERHEAD_BUCKETS_S, registry=CollectorRegistry())
    noted = Durations(OVERHEAD_BUCKETS_S)
    for duration_ns in durations_ns:
        singly.observe(duration_ns / 1e9)
        noted.note(duration_ns)
    at_once.add(noted)
    assert samples(at_once) == samples(singly)
