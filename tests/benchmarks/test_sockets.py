"""What idle WebSockets cost: that every server holds them, and that the gateway ends them."""

import pytest

from benchmarks import sockets


@pytest.mark.timeout(120)
def test_idle_websockets_are_held_and_ended(capsys) -> None:
    found = sockets.measure(24, 0.2, ("bare", "middleware", "gateway"))
    assert {one.sockets for one in found.values()} == {24}
    assert [app for app, one in found.items() if one.all_ended_s is not None] == ["middleware", "gateway"]
    for app in ("middleware", "gateway"):
        one = found[app]
        assert one.one_ended_s is not None
        assert 0 < one.one_ended_s < 30
        assert 0 < (one.all_ended_s or 0) < 30
    sockets.print_result(found, as_json=False)
    printed = capsys.readouterr().out
    assert "of bare" in printed
    assert "of nginx" not in printed
