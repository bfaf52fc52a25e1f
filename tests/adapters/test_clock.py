import time

from gateway.adapters.clock import SystemClock
from gateway.ports import Clock


def test_the_clock_tells_the_machines_time_in_microseconds() -> None:
    clock: Clock = SystemClock()
    before = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000
    now = clock.now()
    after = time.clock_gettime_ns(time.CLOCK_REALTIME) // 1000
    assert before <= now <= after
