"""The device cookie: only what we signed, only once, only for as long as browsers keep it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.device_key import LIVES_S, RENEWED_AFTER_S, Device, DeviceCookie, new_key
from gateway.core.errors import ConfigError

NAME = "__Host-gwd"
KEY, OLD = b"k" * 32, b"o" * 32
COOKIE = DeviceCookie(NAME, [KEY])
AT = 1_700_000_000_000_000
S = 1_000_000
DEVICE = new_key(bytes(range(16)))


def sent(header: bytes) -> bytes:
    return header.partition(b";")[0]


def test_a_device_that_was_given_a_key_is_known_by_it() -> None:
    set_cookie = COOKIE.header(DEVICE, AT)

    assert COOKIE.read([b"theme=dark; " + sent(set_cookie)], AT + S) == Device(DEVICE, AT // S)
    assert set_cookie.endswith(b"; Max-Age=34560000; Path=/; Secure; HttpOnly; SameSite=Lax")


@given(st.integers(min_value=0), st.binary(min_size=1, max_size=1))
def test_no_altered_cookie_is_believed(place: int, byte: bytes) -> None:
    value = sent(COOKIE.header(DEVICE, AT))
    begin = len(NAME) + 1
    place = begin + place % (len(value) - begin)
    altered = value[:place] + byte + value[place + 1 :]

    read = COOKIE.read([altered], AT + S)

    # The last sign of the base64 carries four bits that decode to nothing; a strict reader would have to re-encode.
    assert altered == value or place == len(value) - 1 or read is None
    assert read is None or read.key == DEVICE


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b""],
        [b"__Host-gwd="],
        [b"__Host-gwd=" + b"1" * 4000],
        [b"__host-gwd=" + sent(COOKIE.header(DEVICE, AT)).partition(b"=")[2]],
        [sent(COOKIE.header(DEVICE, AT))] * 2,
        [sent(COOKIE.header(DEVICE, AT)) + b"; " + sent(COOKIE.header(new_key(bytes(16)), AT))],
        [sent(DeviceCookie(NAME, [OLD]).header(DEVICE, AT))],
        [sent(DeviceCookie("__Host-other", [KEY]).header(DEVICE, AT)).replace(b"other", b"gwd")],
    ],
)
def test_what_we_did_not_set_once_is_no_device(lines: list[bytes]) -> None:
    assert COOKIE.read(lines, AT) is None


def test_a_cookie_ends_when_browsers_end_it_and_none_is_from_the_future() -> None:
    line = [sent(COOKIE.header(DEVICE, AT))]

    assert COOKIE.read(line, AT + LIVES_S * S) is not None
    assert COOKIE.read(line, AT + (LIVES_S + 1) * S) is None
    assert COOKIE.read(line, AT - 299 * S) is not None
    assert COOKIE.read(line, AT - 301 * S) is None


def test_a_cookie_is_renewed_in_good_time_with_the_same_key() -> None:
    device = Device(DEVICE, AT // S)

    assert not device.to_be_renewed(AT + RENEWED_AFTER_S * S)
    assert device.to_be_renewed(AT + (RENEWED_AFTER_S + 1) * S)
    later = AT + 60 * 86_400 * S
    assert COOKIE.read([sent(COOKIE.header(device.key, later))], later) == Device(DEVICE, later // S)


def test_an_older_key_is_believed_while_the_new_one_signs() -> None:
    both = DeviceCookie(NAME, [KEY, OLD])

    assert both.read([sent(DeviceCookie(NAME, [OLD]).header(DEVICE, AT))], AT) is not None
    assert COOKIE.read([sent(both.header(DEVICE, AT))], AT) is not None


@pytest.mark.parametrize(
    ("name", "keys", "said"),
    [
        ("gwd", [KEY], "must begin with `__Host-`"),
        ("__Host-", [KEY], "must begin with"),
        ("__Host-a b", [KEY], "must begin with"),
        (NAME, [], "32 bytes"),
        (NAME, [b"short"], "32 bytes"),
    ],
)
def test_a_cookie_that_protects_nothing_is_not_built(name: str, keys: list[bytes], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        DeviceCookie(name, keys)


def test_a_device_key_takes_the_randomness_it_says() -> None:
    with pytest.raises(ValueError, match="16 random bytes, and these are 4"):
        new_key(b"four")
