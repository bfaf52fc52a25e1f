import json
import sys

import pytest

from benchmarks import snapshots


def test_a_small_run_reads_the_same_of_the_store_and_of_redis(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["snapshots", "--reads", "40", "--accounts", "5", "--json"])
    snapshots.main()
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {"sqlite", "redis before sqlite", "postgresql", "redis before postgresql"}
    assert all(cost["alone_us"] > 0 for cost in found.values())
