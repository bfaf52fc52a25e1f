import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.forgetting import DAY, SECOND, unit
from gateway.core.login import ADDRESS, ASN, COUNTRY, DEVICE, PREFIX, Login
from gateway.core.profile import CAPS, MOST_DESTINATIONS, MOST_WAITING, Profile
from tests.core.accounts import AWAY, NOON, alice, destination, login


def at(days: float) -> int:
    return NOON + int(days * DAY)


def trusted(profile: Profile, days: float = 0.0, **facts: object) -> bool:
    seen = login(days, **facts)
    profile.settle(seen.at)
    return profile.weight(DEVICE, seen.values[DEVICE], seen.at) > 0


def test_a_new_device_is_trusted_after_30_days_and_not_before() -> None:
    profile = alice()
    profile.observe(login(0, "first", device="new phone"))

    assert not trusted(profile, 29.9, device="new phone")
    assert trusted(profile, 30.0, device="new phone")


def test_an_old_factor_that_confirms_a_withdrawal_ends_the_wait_for_its_device_alone() -> None:
    profile = alice()
    profile.observe(login(0, "phone", device="new phone"))
    profile.observe(login(0.1, "charlie", **AWAY))
    profile.confirm(login(1, device="new phone"), ["totp"], destination("cold wallet"))

    assert trusted(profile, 1, device="new phone")
    assert not trusted(profile, 1, **AWAY)


def test_a_factor_that_was_changed_within_30_days_ends_no_wait() -> None:
    profile = alice()
    profile.change("totp", at(-28.5), recovered=False)
    profile.observe(login(0, "phone", device="new phone"))
    profile.confirm(login(1, device="new phone"), ["totp"], None)

    assert not trusted(profile, 1, device="new phone")


def test_who_changes_the_number_changes_what_texts_prove() -> None:
    profile = alice()
    assert profile.is_old_factor("sms", at(0))

    profile.change("phone", at(-1), recovered=True)

    assert not profile.is_old_factor("sms", at(0))
    assert profile.is_old_factor("totp", at(0))


def test_no_factor_is_old_on_an_account_that_is_young_and_a_password_is_none() -> None:
    assert not alice(days=20).is_old_factor("totp", at(0))
    assert not alice().is_old_factor("password", at(0))


def test_a_destination_is_known_by_a_confirmed_withdrawal_and_the_first_one_counts() -> None:
    profile = alice()
    profile.confirm(login(1), [], destination("cold wallet"))
    profile.confirm(login(5), [], destination("cold wallet"))

    use = profile.destinations[destination("cold wallet") or 0]
    assert (use.first_s, use.last_s) == (at(1) // SECOND, at(5) // SECOND)


def test_what_was_not_seen_for_180_days_is_forgotten() -> None:
    profile = alice()

    assert profile.logins(at(29)) > 0
    assert trusted(profile, 179 - 1)
    assert not trusted(profile, 182)
    assert profile.logins(at(182)) == 0


def test_after_everything_was_forgotten_shares_are_of_what_is_new() -> None:
    profile = alice()
    profile.settle(at(40))
    profile.observe(login(400, "back", country="ES"))
    profile.settle(at(431))

    assert profile.weight(COUNTRY, "ES", at(431)) == profile.total
    assert profile.weight(COUNTRY, "PT", at(431)) == 0


def test_an_older_login_counts_less() -> None:
    profile = Profile()
    profile.observe(login(-121, "old"))
    profile.observe(login(-31, "young", country="ES"))
    profile.settle(at(0))

    ratio = profile.weight(COUNTRY, "ES", at(0)) / profile.weight(COUNTRY, "PT", at(0))
    assert abs(ratio - 2) < 1e-6
    assert abs(profile.logins(at(-31)) - 1.5) < 1e-6


@pytest.mark.parametrize("gap", [0, 200])
@pytest.mark.parametrize("asked", [login(0), login(0, **AWAY), login(0, device=None, ip=None)])
def test_what_waits_is_trusted_where_nobody_pretends_as_if_it_had_been_learned(gap: int, asked: Login) -> None:
    """After a gap all that was before is forgotten, there as here."""
    one, other = Profile(), Profile()
    for profile in (one, other):
        for day in range(-90 - gap, -60 - gap):
            profile.observe(login(day, f"before {day}"))
        for day in range(-9, 0):
            profile.observe(login(day, f"after {day}", **(AWAY if day % 3 else {})))
        profile.confirm(login(-5, **AWAY), ["totp"], None)
        profile.settle(at(0))
    other.settle(at(31))

    usual = one.unguarded(asked.values)

    assert (usual.total, usual.learned_day) == (pytest.approx(other.total), other.learned_day)
    for level, value in enumerate(asked.values):
        expected = None if value is None else other.known[level].get(value)
        assert usual.known[level] == ({} if expected is None else {value: pytest.approx(expected)})


def test_a_profile_is_bounded_whatever_comes() -> None:
    profile = Profile()
    for number in range(3000):
        profile.observe(
            login(
                number / 4 - 800,
                f"event {number}",
                ip=f"{20 + number % 90}.{number // 250}.{number % 200}.9",
                device=f"device {number}",
                agent=f"App{number}/1 Windows",
                asn=1 + number,
                country=("PT", "ES", "FR", "DE", "IT", "NL", "BE", "AT", "PL", "SE")[number % 10],
            )
        )
        profile.confirm(login(number / 4 - 800), [], number + 1)
        profile.change(f"method {number}", at(number / 4 - 800), recovered=False)

    assert all(len(known) <= cap for known, cap in zip(profile.known, CAPS, strict=True))
    assert len(profile.waiting) <= MOST_WAITING
    assert len(profile.destinations) <= MOST_DESTINATIONS
    assert len(profile.latest) == 5
    assert len(profile.changes) <= 16
    assert len(profile.to_bytes()) < 16_000


def test_the_most_used_values_survive_where_there_is_no_room() -> None:
    profile = alice(days=300)
    for number in range(200):
        profile.observe(login(number / 10, f"hotel {number}", ip=f"20.{number}.1.1", asn=9000 + number))
    profile.settle(at(60))

    home = login().values
    assert all(profile.weight(level, home[level], at(60)) > 0 for level in (ASN, PREFIX, ADDRESS))


def test_a_new_device_finds_room_where_all_others_are_used_more() -> None:
    profile = Profile()
    for number in range(64):
        profile.observe(login(number / 2, f"event {number}", device=f"device {number % 16}"))
    profile.observe(login(40, "new", device="new phone"))

    assert trusted(profile, 70, device="new phone")


def test_the_first_use_after_60_days_of_silence_is_remembered() -> None:
    profile = alice()
    profile.observe(login(20, "soon"))
    assert profile.returned_s == 0

    profile.observe(login(81, "late"))
    assert profile.returned_s == at(81) // SECOND


EVENTS = st.lists(
    st.tuples(
        st.floats(0, 25, allow_nan=False),
        st.sampled_from(["login", "confirm", "change"]),
        st.sampled_from(["laptop", "phone", "tablet"]),
    ),
    min_size=1,
    max_size=20,
)


def play(profile: Profile, number: int, event: tuple[float, str, str]) -> None:
    days, what, name = event
    if what == "login":
        profile.observe(login(days, f"event {number}", device=name))
    elif what == "confirm":
        profile.confirm(login(days, device=name), ["totp"], destination(name))
    else:
        profile.change(name, at(days), recovered=name == "phone")


@given(EVENTS, st.data())
def test_an_event_that_comes_again_changes_nothing(events: list[tuple[float, str, str]], data: st.DataObject) -> None:
    events = sorted(events)
    profile = alice(days=60, every=5)
    for number, event in enumerate(events):
        play(profile, number, event)
    before = profile.to_bytes()
    again = data.draw(st.sampled_from(range(len(events))))

    if events[again][1] == "confirm":
        # A confirmation is told apart by what it confirms: nothing that came after it may be taken for confirmed.
        profile.confirm(login(events[again][0], device="no device of hers"), [], destination(events[again][2]))
    else:
        play(profile, again, events[again])

    assert profile.to_bytes() == before


@given(EVENTS)
def test_a_profile_is_the_same_after_it_was_bytes(events: list[tuple[float, str, str]]) -> None:
    profile = alice(days=60, every=5)
    for number, event in enumerate(sorted(events)):
        play(profile, number, event)

    again = Profile.from_bytes(profile.to_bytes())

    assert again.to_bytes() == profile.to_bytes()
    assert again.waiting == profile.waiting
    assert again.changes == profile.changes
    assert again.destinations == profile.destinations
    assert [set(known) for known in again.known] == [set(known) for known in profile.known]
    assert abs(again.total - profile.total) <= 1e-6 * unit(NOON)
