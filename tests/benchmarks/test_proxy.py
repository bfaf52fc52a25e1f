"""The comparison of proxies: that each is measured at the same work, and answers it rightly."""

import pytest

from benchmarks import proxy


@pytest.mark.timeout(120)
def test_every_proxy_does_every_kind_of_work(capsys) -> None:
    result = proxy.measure(1, 0.1, 1)

    assert {kind: set(rounds[0]) for kind, rounds in result.rounds.items()} == {
        kind: set(proxy.APPS) for kind in ("small", "down", "up", "messages")
    }
    for (one,) in result.rounds.values():
        assert all(turn.load.requests > 0 and turn.load.wrong == 0 for turn in one.values())
    assert all(0 < peak < 1_000 for peak in result.peak_mib.values())
    proxy.print_result(result, as_json=False)
    printed = capsys.readouterr().out
    assert all(printed.count(f" {app} ") == 4 for app in proxy.APPS)
