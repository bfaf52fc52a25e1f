"""Prints a digest of every score of a pretend history and of the profiles it leaves, to the last bit.

For `tests/test_compiled.py`, which runs it twice: by the sources, and by what was compiled of them.
"""

import hashlib

from gateway.core.login import Digests
from gateway.service.backtest import Backtest
from gateway.service.history import BadLine, Reader, events
from gateway.service.synth import Size, history, ndjson


def refused(fault: BadLine) -> None:
    raise fault


def main() -> None:
    # So few accounts are in use at once that most are packed and unpacked again and again.
    backtest = Backtest((0.02, 0.05), test_from_days=160, in_use=40)
    found = hashlib.sha256()
    lines = ndjson(history(7, Size(150, 200, 6)))
    for one in backtest.run(events(lines, Reader(Digests(b"of this test alone!")), refused)):
        found.update(f"{one.event.id} {one.score!r} {one.held} {tuple(one.rules)}\n".encode())
    for account in sorted({f"a{number:06d}" for number in range(150)}):
        found.update(backtest.shelf.take(account).profile.to_bytes())
    print(backtest.counts.withdrawals, backtest.fitted, backtest.thresholds, found.hexdigest())  # noqa: T201 - what it is for


if __name__ == "__main__":
    main()
