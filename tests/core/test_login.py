import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.login import ADDRESS, AGENT, BROWSER, DEVICE, HOURS, PREFIX, SYSTEM, Digests
from tests.core.accounts import DIGESTS, login


def test_an_ipv6_customer_is_a_64_in_a_48() -> None:
    one = login(ip="2a02:908:1:2:aaaa::1").values
    privacy = login(ip="2a02:908:1:2:bbbb::9").values
    other_line = login(ip="2a02:908:1:3::1").values
    other_site = login(ip="2a02:908:2:2::1").values

    assert (one[PREFIX], one[ADDRESS]) == (privacy[PREFIX], privacy[ADDRESS])
    assert one[PREFIX] == other_line[PREFIX]
    assert one[ADDRESS] != other_line[ADDRESS]
    assert one[PREFIX] != other_site[PREFIX]


def test_an_ipv4_customer_is_an_address_in_a_24() -> None:
    one, near, far = (login(ip=ip).values for ip in ("85.240.1.7", "85.240.1.8", "85.240.2.7"))

    assert one[PREFIX] == near[PREFIX] != far[PREFIX]
    assert one[ADDRESS] != near[ADDRESS]


def test_the_hour_is_one_of_six_by_utc() -> None:
    assert [login(day).values[HOURS] for day in (-0.5, -0.4, 0.0, 0.4)] == [0, 0, 3, 5]


def test_what_is_missing_is_unknown() -> None:
    values = login(ip=None, agent=None, device="", country=None, asn=None).values

    assert values[:HOURS] == (None,) * HOURS


def test_an_address_that_is_none_is_unknown() -> None:
    assert login(ip="85.240.1.7:443").values[ADDRESS] is None


def test_what_is_personal_is_a_digest_and_what_explains_is_clear() -> None:
    values = login().values

    assert all(isinstance(values[level], int) for level in (PREFIX, ADDRESS, AGENT, DEVICE))
    assert (values[SYSTEM], values[BROWSER]) == ("Windows", "Chrome 126, Windows")


def test_another_key_gives_another_digest_and_so_does_another_kind() -> None:
    other = Digests(b"the key of another exchange")

    assert other.text(b"device", "x") != DIGESTS.text(b"device", "x") != DIGESTS.text(b"session", "x")


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 16 bytes"):
        Digests(b"guessable")


@given(st.text(min_size=1), st.binary(min_size=16, max_size=100))
def test_a_digest_has_8_bytes_and_is_never_0(text: str, key: bytes) -> None:
    digests = Digests(key)

    assert 0 < (digests.text(b"device", text) or 0) < 1 << 64
    assert digests.often(b"device", text) == digests.often(b"device", text) == digests.text(b"device", text)
