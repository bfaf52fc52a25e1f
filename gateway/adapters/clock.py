"""The system's clock."""

from time import time_ns  # noqa: TID251 - the one place that reads it


class SystemClock:
    """The time of this machine."""

    __slots__ = ()

    def now(self) -> int:
        """Return microseconds since the epoch, UTC."""
        return time_ns() // 1000
