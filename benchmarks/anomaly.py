"""What the anomaly score costs: a score, taking in a login, a profile in bytes, and events of a back-test a second.

    python -m benchmarks.anomaly [--accounts 300] [--json]

CPU time of this process, on a pretend history that is made beforehand.
"""

import argparse
import json
import time
from collections.abc import Callable

from gateway.core.anomaly import score
from gateway.core.login import Digests
from gateway.core.profile import Profile
from gateway.service.backtest import Backtest
from gateway.service.history import BadLine, Event, Reader, events
from gateway.service.synth import Size, history, ndjson

_KEY = b"of this benchmark alone"


def _refuse(fault: BadLine) -> None:
    raise fault


def _read(lines: list[bytes]) -> list[Event]:
    return list(events(lines, Reader(Digests(_KEY)), _refuse))


def _microseconds(call: Callable[[], object], times: int) -> float:
    best = float("inf")
    for _ in range(3):
        begun = time.process_time()
        for _ in range(times):
            call()
        best = min(best, (time.process_time() - begun) / times)
    return 1e6 * best


def measure(accounts: int, days: int = 365) -> dict[str, float]:
    """Return the figures, microseconds where nothing else is said."""
    lines = list(ndjson(history(7, Size(accounts, days, 10))))
    begun = time.process_time()
    found = _read(lines)
    reading = time.process_time() - begun
    run = Backtest(test_from_days=days * 300 / 365)
    begun = time.process_time()
    for event in found:
        run.take(event)
    running = time.process_time() - begun
    paid = [event for event in found if event.withdrawal is not None][-500:]
    standings = [run.shelf.take(event.account).profile for event in paid]

    def score_all() -> None:
        for event, profile in zip(paid, standings, strict=True):
            score(profile, run.everyone, event.login, event.withdrawal, run.params)

    def learn_all() -> None:
        profile = Profile()
        for event in paid:
            profile.observe(event.login)

    packed = [profile.to_bytes() for profile in standings]
    sizes = sorted(run.shelf.sizes())
    return {
        "events": len(found),
        "events_per_s": round(len(found) / (reading + running)),
        "read_us": round(1e6 * reading / len(found), 1),
        "take_us": round(1e6 * running / len(found), 1),
        "score_us": round(_microseconds(score_all, 5) / len(paid), 1),
        "observe_us": round(_microseconds(learn_all, 5) / len(paid), 1),
        "to_bytes_us": round(_microseconds(lambda: [one.to_bytes() for one in standings], 3) / len(paid), 1),
        "from_bytes_us": round(_microseconds(lambda: [Profile.from_bytes(one) for one in packed], 3) / len(paid), 1),
        "bytes_p50": sizes[len(sizes) // 2],
        "bytes_p95": sizes[int(0.95 * len(sizes))],
        "bytes_most": sizes[-1],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="What the anomaly score costs.")
    parser.add_argument("--accounts", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    found = measure(asked.accounts)
    if asked.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:<14} {value:>12,}")


if __name__ == "__main__":
    main()
