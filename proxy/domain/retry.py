"""When an attempt may be repeated, and how long to wait before."""

from proxy.domain.errors import UpstreamError
from proxy.domain.routing import RetryPolicy

LONGEST_PAUSE_S = 5.0
FIRST_PAUSE_S = 0.25


def may_retry(policy: RetryPolicy, *, status: int | None = None, error: UpstreamError | None = None) -> bool:
    """True where `on` covers it. A broken connection counts only while nothing can have run at the provider."""
    if error is not None:
        return error.retryable and "connect" in policy.on
    if status is None or status < 400:
        return False
    return str(status) in policy.on or (status >= 500 and "5xx" in policy.on)


def retry_pause_s(ordinal: int, retry_after: str | None, draw: float) -> float | None:
    """Full jitter over a doubling window; `Retry-After` in seconds is kept to. None: too long to wait here.

    `ordinal` counts attempts from 0; `draw` is uniform in [0, 1). A date is not read: it would need a clock.
    """
    if retry_after is None:
        return draw * min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(ordinal, 10))
    if not retry_after.isdecimal() or int(retry_after[:6]) > LONGEST_PAUSE_S:
        return None
    return float(retry_after[:6])
