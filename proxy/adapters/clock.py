"""The system's clocks."""

import time


class SystemClock:
    """Satisfies `pipeline.ports.Clock`."""

    def monotonic_ns(self) -> int:
        """Nanoseconds that never go back."""
        return time.monotonic_ns()

    def unix_us(self) -> int:
        """Microseconds since 1970 UTC."""
        return time.time_ns() // 1_000
