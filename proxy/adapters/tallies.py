"""Calls that are alike, counted together until the metrics library is told of them.

The library takes a lock and half a dozen function calls for each number, and a call has nine of them. Here they are
added up in plain slots, and what several calls came to is told at once.
"""

from bisect import bisect_left
from collections.abc import Sequence
from typing import NamedTuple

from prometheus_client import Histogram

LATENCY_BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)
OVERHEAD_BUCKETS_S = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5)


class Alike(NamedTuple):
    """The labels that calls of one tally share. `source` and `cost_status` are "" where nothing was read, or priced."""

    endpoint: str
    target: str
    status: str
    error_type: str
    source: str
    cost_status: str


class Durations:
    """Durations by the bucket in which they fall."""

    __slots__ = ("_bounds_s", "counts", "total_s")

    def __init__(self, bounds_s: Sequence[float]) -> None:
        """A duration is in the first bucket whose bound it does not exceed, or in one more that has none."""
        self._bounds_s = bounds_s
        self.counts = [0] * (len(bounds_s) + 1)
        self.total_s = 0.0

    def note(self, duration_ns: int) -> None:
        """Count one."""
        duration_s = duration_ns / 1e9
        self.counts[bisect_left(self._bounds_s, duration_s)] += 1
        self.total_s += duration_s


class Tally:
    """What several calls came to. Tokens and cost are None where none of them told any."""

    __slots__ = ("calls", "cost_usd", "first_token", "input_tokens", "latency", "output_tokens", "overhead")

    def __init__(self) -> None:
        self.calls = 0
        self.latency = Durations(LATENCY_BUCKETS_S)
        self.first_token = Durations(LATENCY_BUCKETS_S)
        self.overhead = Durations(OVERHEAD_BUCKETS_S)
        self.input_tokens: int | None = None
        self.output_tokens: int | None = None
        self.cost_usd: float | None = None


class SummedHistogram(Histogram):
    """A histogram that can be told of many durations at once. Its buckets are those of the durations."""

    def add(self, durations: Durations) -> None:
        """Take over what was counted, if anything was."""
        for bucket, count in zip(self._buckets, durations.counts, strict=True):
            if count:
                bucket.inc(count)
        if any(durations.counts):
            self._sum.inc(durations.total_s)
