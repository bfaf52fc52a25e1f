import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.profile import Profile
from tests.core.accounts import TOKYO, alice, destination, login


def test_the_latest_logins_come_back_as_they_were() -> None:
    profile = alice()
    profile.observe(
        login(1, "far", session="s1", country="JP", asn=None, place=TOKYO, networks=frozenset({"vpn", "corporate"}))
    )
    profile.observe(login(2, "unknown", session=None, country=None, place=None, networks=None, device=None))

    again = Profile.from_bytes(profile.to_bytes())

    far, unknown = again.latest[-2:]
    assert (far.country, far.asn, far.networks) == ("JP", None, frozenset({"vpn", "corporate"}))
    assert far.place is not None
    assert (round(far.place.latitude, 2), far.place.radius_km) == (35.68, 10.0)
    assert far.session == profile.latest[-2].session
    assert (unknown.country, unknown.place, unknown.networks, unknown.device, unknown.session) == (None,) * 5


def test_a_year_of_daily_logins_takes_less_than_two_kilobytes() -> None:
    profile = alice(days=365)
    profile.confirm(login(), ["totp"], destination("cold wallet"))

    assert len(profile.to_bytes()) < 2_000


@pytest.mark.parametrize("data", [b"", b"\x02", b"\x01", b"\x01" * 40, bytes(1 << 17)])
def test_what_is_no_profile_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="profile"):
        Profile.from_bytes(data)


@given(st.integers(1, 400))
def test_a_profile_that_lost_its_end_is_refused(lost: int) -> None:
    data = alice(days=40).to_bytes()

    with pytest.raises(ValueError, match="profile"):
        Profile.from_bytes(data[: -min(lost, len(data) - 1)])


def test_a_profile_that_goes_on_after_its_end_is_refused() -> None:
    with pytest.raises(ValueError, match="goes on after its end"):
        Profile.from_bytes(alice(days=40).to_bytes() + b"x")
