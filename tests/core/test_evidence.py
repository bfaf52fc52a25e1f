"""A weak signal is evidence on the days it was seen, and nothing else about it matters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.evidence import (
    KEPT,
    LONGEST_WITHIN,
    MOST_TEXT,
    UNSEEN,
    After,
    Sightings,
    after_document,
    after_of,
    days_seen,
    enough,
    from_text,
    merged,
    seen,
    to_text,
)

DAY = 86_400_000_000
NOW = 20_000 * DAY
"""A midnight."""

INSTANTS = st.integers(NOW - 300 * DAY, NOW + DAY - 1)
MANY = st.lists(INSTANTS, max_size=40)
AFTER = st.integers(1, LONGEST_WITHIN).flatmap(lambda within: st.builds(After, st.integers(1, within), st.just(within)))


def of(instants: list[int]) -> Sightings:
    found = UNSEEN
    for at in instants:
        found = seen(found, at)
    return found


@given(MANY, st.randoms(use_true_random=False))
def test_order_of_arrival_never_matters(instants: list[int], rng) -> None:
    shuffled = rng.sample(instants, len(instants))

    assert of(shuffled) == of(instants)


@given(MANY, MANY)
def test_two_halves_come_to_the_whole(some: list[int], others: list[int]) -> None:
    assert merged(of(some), of(others)) == merged(of(others), of(some)) == of(some + others)


@given(st.lists(st.integers(0, 4_000 * DAY), max_size=40), st.lists(st.integers(0, 4_000 * DAY), max_size=40))
def test_order_never_matters_even_where_years_lie_between(some: list[int], others: list[int]) -> None:
    assert merged(of(some), of(others)) == of(others + some) == of(sorted(some + others))


@given(MANY)
def test_repeats_change_nothing(instants: list[int]) -> None:
    assert of(instants + instants) == of(instants)
    assert merged(of(instants), of(instants)) == of(instants)


@given(MANY, st.integers(0, DAY - 1))
def test_the_time_of_day_changes_nothing(instants: list[int], shift: int) -> None:
    assert of([at // DAY * DAY + shift for at in instants]) == of(instants)


@given(MANY, st.data(), AFTER, INSTANTS)
def test_forgetting_a_sighting_never_flags(instants: list[int], data: st.DataObject, after: After, at: int) -> None:
    kept = data.draw(st.lists(st.sampled_from(instants), unique=True)) if instants else []

    if enough(of(kept), after, at):
        assert enough(of(instants), after, at)


@given(MANY, AFTER, INSTANTS)
def test_enough_is_counted_as_one_would_by_hand(instants: list[int], after: After, at: int) -> None:
    today = at // DAY
    days = {one // DAY for one in instants if today - after.within_days < one // DAY <= today}

    assert days_seen(of(instants), after.within_days, at) == len(days)
    assert enough(of(instants), after, at) is (len(days) >= after.days)


@given(st.lists(st.integers(1 * DAY, 40_000 * DAY), max_size=60))
def test_a_text_says_the_same_and_is_short(instants: list[int]) -> None:
    text = to_text(of(instants))

    assert from_text(text) == of(instants)
    assert len(text) <= MOST_TEXT
    assert of(instants).days < 1 << KEPT


@given(st.text(max_size=150))
def test_no_text_is_read_but_those_that_are_written(text: str) -> None:
    try:
        found = from_text(text)
    except ValueError as fault:
        assert "is no record of sightings" in str(fault)  # noqa: PT017 - either way is right, and each says something
    else:
        assert to_text(found) == text


@pytest.mark.parametrize(
    "text", ["0:1", "20000:0", "20000:2", "20000:01", "20000:F", "-1:1", "1:1 ", f"9:1{'0' * 91}1"]
)
def test_what_is_nearly_a_record_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no record of sightings"):
        from_text(text)


def test_three_days_of_thirty_are_three_days_of_thirty() -> None:
    after = After(3, 30)
    twice = of([NOW - 29 * DAY, NOW - 5 * DAY, NOW - 5 * DAY + 1, NOW - 4 * DAY - 1])

    assert not enough(twice, after, NOW)
    assert enough(seen(twice, NOW), after, NOW)
    assert not enough(seen(twice, NOW + DAY), after, NOW + DAY)


def test_where_nothing_is_asked_for_nothing_need_be_seen() -> None:
    assert enough(UNSEEN, None, NOW)
    assert not enough(UNSEEN, After(1, 1), NOW)


def test_what_is_older_than_a_year_is_forgotten() -> None:
    old = of([NOW - KEPT * DAY])

    assert seen(old, NOW) == seen(UNSEEN, NOW)
    assert seen(seen(UNSEEN, NOW), NOW - KEPT * DAY) == seen(UNSEEN, NOW)


def test_what_is_asked_for_is_recorded_and_read_again() -> None:
    assert after_document(After(3, 30)) == {"days": 3, "within_days": 30}
    assert after_of(after_document(After(3, 30))) == After(3, 30)
    assert after_of(None) is None
