import json
import sys
from pathlib import Path

import pytest

from benchmarks import archive


@pytest.mark.parametrize("backend", ["sqlite", "memory"])
def test_a_small_run_takes_all_and_asks_every_kind(
    backend: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--decisions", "900", "--stretch", "400", "--rounds", "1", "--days", "0.01", "--forget", "--json"]
    monkeypatch.setattr(sys, "argv", ["archive", *options, "--backend", backend, "--folder", str(tmp_path)])
    archive.main()
    report = json.loads(capsys.readouterr().out)
    assert report["decisions"] == 900
    assert {"all", "account", "country + rule", "find", "counts, all"} < set(report["searches"])
    assert report["searches"]["all"]["found"] == 50
    assert list(tmp_path.iterdir()) == []


def test_what_is_drawn_is_as_realistic_as_it_says() -> None:
    world = archive.World(5000, 1, 10)
    stretches = list(world.stretches(1000))
    decisions = [one for stretch in stretches for one in stretch.decisions]
    assert len({one.id for one in decisions}) == 5000
    assert 7 < 5000 / sum(len(stretch.rulings) for stretch in stretches) < 13
    assert all(int.from_bytes(one.id[:6], "big") == one.at // 1000 for one in decisions)
