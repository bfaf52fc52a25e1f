import pytest

from gateway.core.device_key import DeviceCookie, new_key
from gateway.core.errors import ConfigError
from gateway.core.target import Ambiguous
from gateway.core.terms import Ambiguity
from gateway.service.devices import LONGEST, Devices, Seen

AT = 1_763_700_000_000_000
COOKIE = DeviceCookie("__Host-gwd", (b"k" * 32,))
KEY = new_key(b"0123456789abcdef")
PAIR = COOKIE.header(KEY, AT).partition(b";")[0]


def test_the_cookie_that_we_set_is_the_device() -> None:
    devices = Devices(cookie=COOKIE)
    line = b"theme=dark; " + PAIR + b"; lang=pt"
    assert devices.read((), [line], AT) == Seen(KEY, AT // 1_000_000)
    assert devices.raw((), [line]) == PAIR.partition(b"=")[2]


@pytest.mark.parametrize("line", [b"", b"theme=dark", b"x__Host-gwd=1", PAIR[:-1], b"__Host-gwd=made-up"])
def test_a_cookie_that_nobody_signed_is_no_device(line: bytes) -> None:
    assert Devices(cookie=COOKIE).read((), [line], AT) is None


def test_two_cookies_are_no_device_and_another_text_than_one() -> None:
    devices = Devices(cookie=COOKIE)
    assert devices.read((), [PAIR, PAIR], AT) is None
    assert devices.raw((), [PAIR, PAIR]) != devices.raw((), [PAIR])


def test_an_app_names_its_device_in_a_header() -> None:
    devices = Devices(header="X-Device-Key")
    headers = [(b"host", b"h"), (b"x-device-key", b"phone")]
    assert devices.read(headers, (), AT) == Seen("phone")
    assert devices.read([(b"x-device-key", b"")], (), AT) is None
    assert devices.check(headers) is None


def test_a_device_key_that_would_have_to_be_cut_is_refused() -> None:
    refused = Devices(header="X-Device-Key").check([(b"x-device-key", b"a" * (LONGEST + 1))])
    assert isinstance(refused, Ambiguous)
    assert refused.why is Ambiguity.HEADER_SIZE


def test_a_header_of_the_gateways_own_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"device\.header"):
        Devices(header="Gateway-Device")
