"""The table of holds after a change of what proves or protects, and the clocks that obey it."""

from collections.abc import Sequence
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.events import Change, Method, ProvedWith
from gateway.core.terms import MONEY_MOVING
from gateway.core.verification_changes import (
    HELD,
    ROWS,
    TABLE,
    WINDOW,
    Kind,
    Made,
    Proof,
    hold_for_withdrawal,
    holds_for,
    on_probation,
    standing,
)

HOUR = 3600 * 1_000_000
DAY = 24 * HOUR
NOW = 1_795_284_000_000_000

MADE = st.builds(
    Made,
    st.integers(0, 12 * 24).map(lambda hours: NOW + hours * HOUR),
    st.sampled_from(Method),
    st.sampled_from(Change),
    st.none() | st.sampled_from(ProvedWith),
    st.none() | st.booleans(),
)
MANY = st.lists(MADE, max_size=6)


def made(
    method: Method,
    change: Change,
    by: ProvedWith | None = ProvedWith.PASSKEY,
    *,
    at: int = NOW,
    known: bool | None = True,
) -> Made:
    return Made(at, method, change, by, known)


def hours(changes: Sequence[Made], last: Made) -> int:
    """Return for how many hours the last change holds withdrawals, people or not."""
    spec = standing([*changes, last]).hold
    if spec is None:
        return 0
    end = spec.until if spec.until is not None else spec.earliest
    assert end is not None
    return max((end - last.at) // HOUR, 0)


# The table --------------------------------------------------------------------------------------------------------

PUBLISHED = [
    (Kind.PASSWORD_CHANGED, 0, 24, False),
    (Kind.PASSWORD_RESET, 24, 48, False),
    (Kind.FACTOR_ADDED, 0, 72, False),
    (Kind.FACTOR_CHANGED, 24, 72, True),
    (Kind.CONTACT_CHANGED, 24, 72, True),
    (Kind.PROTECTION_LOWERED, 48, 72, False),
    (Kind.COMBINED, 72, 72, True),
]
"""Hours by the first column, by the second, and whether people must end the second (research page, section 4.3)."""


@pytest.mark.parametrize(("kind", "old_factor", "recovery", "people"), PUBLISHED)
def test_the_table_is_the_published_one(kind: Kind, old_factor: int, recovery: int, people: bool) -> None:
    first, second = TABLE[kind][Proof.OLD_FACTOR], TABLE[kind][Proof.RECOVERY]
    assert (first.length, second.length) == (old_factor * HOUR, recovery * HOUR)
    assert (first.people, second.people) == (False, people)


def test_every_kind_has_both_columns_and_every_change_its_row() -> None:
    assert set(TABLE) == set(Kind) == {kind for kind, *_ in PUBLISHED}
    assert all(set(columns) == set(Proof) for columns in TABLE.values())
    assert set(ROWS) == set(Method)
    assert all(set(changes) == set(Change) for changes in ROWS.values())
    named = {kind for changes in ROWS.values() for kind in changes.values()}
    assert named - {None} == set(Kind) - {Kind.COMBINED}


def test_recovery_is_never_the_easier_way() -> None:
    for columns in TABLE.values():
        first, second = columns[Proof.OLD_FACTOR], columns[Proof.RECOVERY]
        assert second.length >= first.length
        assert second.probation >= first.probation
        assert (first.expeditable, second.expeditable) == (True, False)
        assert second.people >= first.people


def test_a_new_factor_is_on_probation_for_a_day_at_least() -> None:
    for kind in (Kind.FACTOR_ADDED, Kind.FACTOR_CHANGED):
        assert all(cell.probation >= 24 * HOUR for cell in TABLE[kind].values())


def test_what_is_held_is_all_that_moves_value_out() -> None:
    assert HELD == MONEY_MOVING


def test_what_only_protects_is_not_held_against_anybody() -> None:
    protects = [
        (method, change) for method, changes in ROWS.items() for change, kind in changes.items() if kind is None
    ]
    assert protects == [(Method.WITHDRAWAL_LIMIT, Change.ADDED), (Method.API_KEY, Change.REMOVED)]
    for method, change in protects:
        assert standing([made(method, change, None, known=None)]).hold is None


# How it was proved ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "change", "by", "known", "held"),
    [
        (Method.PASSWORD, Change.REPLACED, ProvedWith.PASSWORD, True, 0),
        (Method.PASSWORD, Change.REPLACED, ProvedWith.PASSWORD, False, 24),
        (Method.PASSWORD, Change.REPLACED, ProvedWith.PASSWORD, None, 24),
        (Method.PASSWORD, Change.REPLACED, None, True, 24),
        (Method.PASSWORD, Change.RESET, ProvedWith.EMAIL, True, 24),
        (Method.PASSWORD, Change.RESET, ProvedWith.EMAIL, False, 48),
        (Method.PASSWORD, Change.RESET, ProvedWith.SUPPORT, True, 48),
        (Method.PASSWORD, Change.RESET, ProvedWith.PASSWORD, True, 48),
        (Method.PASSKEY, Change.ADDED, ProvedWith.TOTP, True, 0),
        (Method.PASSKEY, Change.ADDED, ProvedWith.PASSKEY, True, 72),
        (Method.PASSKEY, Change.ADDED, ProvedWith.TOTP, False, 72),
        (Method.TOTP, Change.REMOVED, ProvedWith.TOTP, True, 24),
        (Method.TOTP, Change.REMOVED, ProvedWith.PASSWORD, True, 72),
        (Method.TOTP, Change.REMOVED, ProvedWith.EMAIL, True, 72),
        (Method.TOTP, Change.RESET, ProvedWith.RECOVERY, True, 72),
        (Method.TOTP, Change.RESET, ProvedWith.IDENTITY, True, 72),
        (Method.TOTP, Change.RESET, ProvedWith.TOTP, True, 72),
        (Method.PHONE, Change.REPLACED, ProvedWith.PASSKEY, True, 24),
        (Method.EMAIL, Change.REPLACED, ProvedWith.EMAIL, True, 72),
        (Method.ADDRESS_ALLOWLIST, Change.REMOVED, ProvedWith.TOTP, True, 48),
        (Method.ADDRESS_ALLOWLIST, Change.ADDED, ProvedWith.TOTP, True, 48),
        (Method.WITHDRAWAL_LIMIT, Change.REPLACED, ProvedWith.TOTP, False, 72),
        (Method.API_KEY, Change.ADDED, ProvedWith.PASSWORD, True, 72),
    ],
)
def test_a_change_is_held_by_how_it_was_proved(
    method: Method, change: Change, by: ProvedWith | None, known: bool | None, held: int
) -> None:
    assert hours([], made(method, change, by, known=known)) == held


@given(MADE)
def test_one_change_is_held_as_its_cell_of_the_table_says(one: Made) -> None:
    spec = standing([one]).hold
    if one.kind is None:
        assert spec is None
        return
    cells = TABLE[one.kind]
    if spec is None:
        assert cells[Proof.OLD_FACTOR].length == 0
        assert one.familiar is True
        return
    cell = cells[spec.proof]
    end = one.at + cell.length
    assert (spec.kind, spec.operations, spec.since, spec.revokes) == (one.kind, HELD, one.at, cell.revokes)
    assert (spec.until, spec.earliest) == (None if cell.people else end, None if cell.expeditable else end)
    assert spec.expeditable is cell.expeditable
    assert spec.proof is Proof.RECOVERY or one.familiar is True


@given(MADE)
def test_not_knowing_is_never_the_easier_way(one: Made) -> None:
    blind = one._replace(familiar=None)
    mute = one._replace(proved_with=None)
    assert hours([], blind) >= hours([], one)
    assert hours([], mute) >= hours([], one)


# The clocks -------------------------------------------------------------------------------------------------------


@given(MANY, MADE)
def test_a_further_change_never_ends_a_hold_sooner(changes: list[Made], one: Made) -> None:
    before, after = standing(changes).hold, standing([*changes, one]).hold
    if before is None:
        return
    assert after is not None
    if before.until is not None and after.until is not None:
        assert after.until >= before.until
    if before.earliest is not None and before.earliest > one.at >= before.since:
        assert after.earliest is not None
        assert after.earliest >= before.earliest


@given(MANY, MADE)
def test_a_further_change_restarts_the_clock_and_the_longest_wins(changes: list[Made], one: Made) -> None:
    earlier = [each for each in changes if each.at < one.at]
    before = standing(earlier).hold
    after = standing([*earlier, one]).hold
    if before is None or one.kind is None:
        return
    end = before.until if before.until is not None else before.earliest
    assert end is not None
    if one.at < end:
        assert after is not None
        assert after.since == one.at
        assert hours(earlier, one) >= (end - before.since) // HOUR
        assert not (after.expeditable and not before.expeditable)


@given(MANY, st.randoms(use_true_random=False))
def test_the_order_of_arrival_and_repeats_never_matter(changes: list[Made], random: object) -> None:
    shuffled = changes * 2
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert standing(shuffled) == standing(changes)


@given(MADE, MADE)
def test_two_different_changes_within_a_week_are_held_72_hours_at_least(one: Made, other: Made) -> None:
    if one.kind is None or other.kind is None or one.method == other.method or abs(one.at - other.at) >= WINDOW:
        return
    last = max(one, other, key=lambda each: each.at)
    spec = standing([one, other]).hold
    assert spec is not None
    assert spec.since == last.at
    assert hours([one, other], last) >= 72


def test_two_changes_of_the_same_thing_and_two_a_week_apart_stand_alone() -> None:
    replaced = made(Method.PASSWORD, Change.REPLACED)
    assert hours([replaced], replaced._replace(at=NOW + HOUR)) == 0
    assert hours([replaced], made(Method.PASSKEY, Change.ADDED, ProvedWith.TOTP, at=NOW + 7 * DAY)) == 0
    assert hours([replaced], made(Method.PASSKEY, Change.ADDED, ProvedWith.TOTP, at=NOW + 7 * DAY - 1)) == 72


def test_one_recovery_among_them_makes_people_end_the_hold_and_ends_the_sessions() -> None:
    reset = made(Method.PASSWORD, Change.RESET, ProvedWith.RECOVERY, known=False)
    spec = standing([reset, made(Method.TOTP, Change.REMOVED, at=NOW + DAY)]).hold
    assert spec is not None
    assert (spec.kind, spec.proof, spec.until, spec.revokes) == (Kind.COMBINED, Proof.RECOVERY, None, True)
    assert spec.earliest == NOW + DAY + 72 * HOUR


def test_a_hold_stands_until_its_end_and_one_for_people_for_good() -> None:
    reset = made(Method.PASSWORD, Change.RESET, ProvedWith.EMAIL)
    assert holds_for([], reset, NOW + 24 * HOUR - 1) is not None
    assert holds_for([], reset, NOW + 24 * HOUR) is None
    lost = made(Method.TOTP, Change.RESET, ProvedWith.RECOVERY)
    assert holds_for([], lost, NOW + 1000 * DAY) is not None


# Probation --------------------------------------------------------------------------------------------------------


def test_a_new_factor_proves_nothing_for_its_probation() -> None:
    enrolled = made(Method.TOTP, Change.ADDED)
    assert on_probation([enrolled], Method.TOTP, NOW) == NOW + 24 * HOUR
    assert on_probation([enrolled], Method.TOTP, NOW + 24 * HOUR) is None
    assert on_probation([enrolled], Method.PASSKEY, NOW) is None
    assert on_probation([enrolled], Method.TOTP, NOW - 1) is None
    removal = made(Method.EMAIL, Change.REPLACED, ProvedWith.TOTP, at=NOW + HOUR)
    spec = standing([enrolled, removal]).hold
    assert spec is not None
    assert spec.proof is Proof.RECOVERY


def test_a_message_to_a_new_telephone_number_is_a_new_factor_too() -> None:
    moved = made(Method.PHONE, Change.REPLACED, ProvedWith.RECOVERY, known=False)
    assert on_probation([moved], Method.SMS, NOW) == NOW + 72 * HOUR


@given(MANY, st.sampled_from(Method), st.integers(0, 20 * 24))
def test_probation_only_follows_a_change_of_what_is_on_it(changes: list[Made], method: Method, later: int) -> None:
    at = NOW + later * HOUR
    until = on_probation(changes, method, at)
    alike = {Method.PHONE, Method.SMS} if method in {Method.PHONE, Method.SMS} else {method}
    recent = [one for one in changes if one.method in alike and at - 72 * HOUR < one.at <= at]
    assert until is None or (recent and at < until <= max(one.at for one in recent) + 72 * HOUR)


# With a withdrawal ------------------------------------------------------------------------------------------------

CHANGED = made(Method.PASSWORD, Change.REPLACED)


@pytest.mark.parametrize(
    ("new", "share", "later", "held"),
    [
        (True, 0.5, 0, True),
        (True, 0.49, 0, False),
        (False, 1.0, 0, False),
        (None, None, 0, True),
        (None, 0.9, 7 * DAY - 1, True),
        (True, 0.9, 7 * DAY, False),
        (True, 0.9, -1, False),
    ],
)
def test_most_of_the_balance_to_a_new_address_after_a_change_is_held(
    new: bool | None, share: float | None, later: int, held: bool
) -> None:
    spec = hold_for_withdrawal([CHANGED], NOW + later, new_destination=new, balance_share=share)
    assert (spec is not None) is held
    if spec is not None:
        assert (spec.kind, spec.until) == (Kind.COMBINED, NOW + later + 72 * HOUR)


def test_after_a_recovery_people_must_end_that_hold() -> None:
    spec = hold_for_withdrawal([CHANGED._replace(familiar=False)], NOW, new_destination=True, balance_share=1.0)
    assert spec is not None
    assert (spec.until, spec.earliest, spec.revokes) == (None, NOW + 72 * HOUR, True)


def test_every_proof_that_can_be_told_is_a_factor_or_a_way_without_one() -> None:
    factors = {str(method) for method in Method}
    assert {str(by) for by in ProvedWith} - factors == {"identity", "recovery", "support"}
    for method, by in product(Method, ProvedWith):
        assert standing([made(method, Change.REPLACED, by)]).hold is not None or method is Method.PASSWORD
