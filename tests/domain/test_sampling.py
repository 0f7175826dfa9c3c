import pytest

from proxy.domain.sampling import is_sampled

TRACES = [f"trace_{number}" for number in range(2_000)]


def test_all_or_none() -> None:
    assert all(is_sampled(trace, 1.0) for trace in TRACES)
    assert not any(is_sampled(trace, 0.0) for trace in TRACES)


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_a_share_is_kept_and_a_smaller_one_is_part_of_it(share: float) -> None:
    kept = {trace for trace in TRACES if is_sampled(trace, share)}
    assert len(kept) == pytest.approx(share * len(TRACES), rel=0.15)
    assert {trace for trace in TRACES if is_sampled(trace, share / 2)} < kept
