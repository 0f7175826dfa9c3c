"""The system's clocks."""

import time


class SystemClock:
    """Satisfies `pipeline.ports.Clock`."""

    monotonic_ns = staticmethod(time.monotonic_ns)
    """Nanoseconds that never go back."""

    def unix_us(self) -> int:
        """Microseconds since 1970 UTC."""
        return time.time_ns() // 1_000
