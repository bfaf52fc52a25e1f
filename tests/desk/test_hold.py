"""Clocks of holds: the longest wins, a restart never shortens, and what is not expeditable nobody hurries."""

from hypothesis import given
from hypothesis import strategies as st

from gateway.core.terms import Operation
from gateway.core.verification_changes import HELD, HoldSpec, Kind, Proof
from gateway.desk.hold import Hold, hold_of, is_over, longest, may_end, restarted, started, too_early

INSTANTS = st.integers(0, 1000)
HOLDS = st.builds(
    started,
    st.frozensets(st.sampled_from(Operation)),
    INSTANTS,
    st.none() | INSTANTS,
    expeditable=st.booleans(),
)
END = 10**9


def end(hold: Hold) -> int:
    return END if hold.until is None else hold.until


@given(HOLDS, HOLDS, INSTANTS)
def test_the_longest_of_two_clocks_wins(one: Hold, other: Hold, at: int) -> None:
    both = longest(one, other)
    assert both == longest(other, one)
    assert both.operations == one.operations | other.operations
    assert end(both) == max(end(one), end(other))
    assert is_over(both, at) is (is_over(one, at) and is_over(other, at))
    assert may_end(both, at) is (may_end(one, at) and may_end(other, at))


@given(HOLDS)
def test_a_clock_is_the_longest_beside_itself(one: Hold) -> None:
    assert longest(one, one) == one


@given(HOLDS, INSTANTS)
def test_a_restarted_clock_has_all_of_its_length_to_come(one: Hold, at: int) -> None:
    again = restarted(one, at)
    assert again.since == max(one.since, at)
    assert end(again) >= end(one)
    if one.until is not None and again.until is not None:
        assert again.until - again.since == one.until - one.since
    assert again.expeditable is one.expeditable


@given(HOLDS, INSTANTS)
def test_what_is_not_expeditable_ends_at_its_time_and_not_before(one: Hold, at: int) -> None:
    if not one.expeditable:
        assert one.until is not None
        assert may_end(one, at) is is_over(one, at)


def test_a_hold_without_a_length_is_for_people_to_end_at_any_time() -> None:
    hold = started(HELD, 5, None, expeditable=False)
    assert (hold.until, hold.expeditable, is_over(hold, END), may_end(hold, 5)) == (None, True, False, True)


def test_a_change_of_verification_makes_the_hold_that_its_table_says() -> None:
    spec = HoldSpec(Kind.FACTOR_CHANGED, Proof.RECOVERY, HELD, 5, None, 77, revokes=False)
    assert hold_of(spec) == Hold(HELD, 5, None, 77)


def test_who_comes_too_early_is_told_when_and_what_can_be_done_before() -> None:
    refused = too_early(started(HELD, 0, 72 * 3600 * 1_000_000, expeditable=False))
    assert refused.what == "hold"
    assert "nobody may release it before 1970-01-04T00:00:00.000000Z" in refused.message
    assert "upheld at any time" in refused.message
