from gateway.adapters.feed import Heard
from gateway.adapters.redis.known import CLOCKS_DIFFER_US, Known

SINCE = 1_763_700_000_000_000
LATER = SINCE + CLOCKS_DIFFER_US


class Changes:
    """What a feed counted of each account."""

    def __init__(self) -> None:
        self.of: dict[str | None, int] = {}
        self.known = Known(lambda uid: self.of.get(uid, 0))

    def look(self, number: int, generation: int, since: int = SINCE) -> None:
        self.known.heard(Heard(number, generation, since))

    def holds(self, number: int, read_at: int = LATER) -> bool:
        return self.known.holds("alice", number, read_at)


def test_nothing_holds_before_anything_was_heard() -> None:
    assert not Changes().holds(10)


def test_a_snapshot_holds_from_the_first_number_that_was_heard_of() -> None:
    changes = Changes()
    changes.look(10, 0)
    assert [changes.holds(number) for number in (9, 10, 11)] == [False, True, True]


def test_a_change_of_the_account_ends_what_was_read_before_it_and_of_another_does_not() -> None:
    changes = Changes()
    changes.look(10, 0)
    changes.of = {"alice": 1}
    assert not changes.holds(10)
    # Until the next look nobody knows which number the change had.
    assert not changes.holds(11)
    changes.look(11, 1)
    assert [changes.holds(number) for number in (10, 11, 12)] == [False, True, True]
    changes.of = {"alice": 1, "bob": 2}
    changes.look(12, 2)
    assert [changes.holds(number) for number in (10, 11, 12)] == [False, True, True]


def test_a_look_that_saw_nothing_new_vouches_for_more() -> None:
    changes = Changes()
    changes.look(10, 0)
    changes.of = {"alice": 1}
    changes.look(10, 1)
    assert changes.holds(10)


def test_on_another_connection_numbers_from_before_say_nothing() -> None:
    """A copy was put back, and counts again what was counted otherwise."""
    changes = Changes()
    changes.look(10, 0)
    changes.look(10, 3, since=SINCE + 60_000_000)
    assert not changes.holds(10, LATER)
    assert not changes.holds(10, SINCE + 60_000_000 + CLOCKS_DIFFER_US - 1)
    assert changes.holds(10, SINCE + 60_000_000 + CLOCKS_DIFFER_US)


def test_a_count_that_went_back_forgets_all_that_was_heard() -> None:
    changes = Changes()
    changes.look(10, 0)
    changes.of = {"alice": 1}
    changes.look(8, 1)
    assert [changes.holds(number) for number in (7, 8, 10)] == [False, True, True]


def test_what_is_remembered_of_looks_is_bounded_and_what_is_forgotten_does_not_hold() -> None:
    changes = Changes()
    for number in range(10_000):
        changes.look(number, 0)
    assert len(changes.known._numbers) == len(changes.known._generations) <= 4096
    assert changes.holds(9_999)
    assert not changes.holds(0)
