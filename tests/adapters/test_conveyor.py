"""Whoever puts something never waits, and what was lost is counted."""

import threading
from collections.abc import Sequence

from gateway.adapters.conveyor import Conveyor


def test_what_is_put_is_carried_in_order_and_in_batches() -> None:
    carried: list[Sequence[int]] = []
    conveyor = Conveyor(carried.append, name="test", batch=4, every_s=0.01)
    for number in range(10):
        conveyor.put(number)
    conveyor.start()
    conveyor.close()
    assert [one for batch in carried for one in batch] == list(range(10))
    assert max(map(len, carried)) == 4
    assert conveyor.dropped == 0


def test_what_finds_no_room_is_counted_and_nobody_waits() -> None:
    begun, go_on = threading.Event(), threading.Event()
    carried: list[int] = []

    def carry(batch: Sequence[int]) -> None:
        begun.set()
        assert go_on.wait(10)
        carried.extend(batch)

    conveyor = Conveyor(carry, name="test", room=3, batch=1, every_s=0.01)
    conveyor.start()
    conveyor.put(0)
    assert begun.wait(10)
    for number in range(1, 6):
        conveyor.put(number)
    assert conveyor.dropped == 2
    go_on.set()
    conveyor.close()
    assert carried == [0, 1, 2, 3]


def test_one_that_was_never_started_is_closed_at_once() -> None:
    Conveyor(print, name="test").close()


def test_who_is_slow_is_told_to_hurry_and_waited_for_no_longer(monkeypatch) -> None:
    monkeypatch.setattr("gateway.adapters.conveyor._CLOSE_S", 0.01)
    told = threading.Event()
    conveyor = Conveyor(lambda _: told.wait(10), name="test", every_s=0.001, hurry=told.set)
    conveyor.put(1)
    conveyor.start()
    conveyor.close()
    assert told.is_set()
