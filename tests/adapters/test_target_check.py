"""Where webhooks may go: the address that is connected to is asked, not the name."""

import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.target_check import checked_sockets, checked_url, forbidden
from gateway.core.errors import ConfigError

PUBLIC = ("81.20.30.40", "2a00:1450:4001:82a::200e", "::ffff:81.20.30.40")
PRIVATE = ("10.0.0.1", "172.31.255.1", "192.168.1.1", "127.0.0.1", "::1", "fd12::1", "100.64.0.1", "::ffff:10.0.0.1")
NEVER = (
    *("169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "168.63.129.16"),
    *("64:ff9b::168.63.129.16", "2002:6464:64c8::1", "::ffff:168.63.129.16"),
    *("::ffff:169.254.169.254", "64:ff9b::169.254.169.254", "2002:a9fe:a9fe::1", "fe80::1", "fe80::1%eth0"),
    *("0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "2001:db8::1", "::127.0.0.1"),
    *("64:ff9b:1::a00:1", "2001::1", "ff02::1", "fec0::1", "not-an-address", "", "0177.0.0.1", "2130706433", "127.1"),
)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_sent_to(address: str) -> None:
    assert forbidden(address, allow_private=False) is None


@pytest.mark.parametrize("address", PRIVATE)
def test_private_ones_only_where_that_was_said(address: str) -> None:
    assert forbidden(address, allow_private=False)
    assert forbidden(address, allow_private=True) is None


@pytest.mark.parametrize("address", NEVER)
def test_metadata_services_and_what_nobody_has_never(address: str) -> None:
    assert forbidden(address, allow_private=False)
    assert forbidden(address, allow_private=True)


@given(st.ip_addresses())
def test_whoever_is_forbidden_with_permission_is_forbidden_without(address: object) -> None:
    if forbidden(str(address), allow_private=True):
        assert forbidden(str(address), allow_private=False)


def test_a_socket_is_opened_for_an_address_that_was_checked_and_for_no_other() -> None:
    strict, loose = (checked_sockets(allow_private=allowed, plain=False) for allowed in (False, True))
    here = (int(socket.AF_INET), int(socket.SOCK_STREAM), 0, "", ("127.0.0.1", 443))
    with pytest.raises(OSError, match=r"nothing is sent to 127\.0\.0\.1: loopback"):
        strict(here)
    loose(here).close()
    strict((*here[:4], ("81.20.30.40", 443))).close()
    with pytest.raises(OSError, match="metadata"):
        loose((*here[:4], ("169.254.169.254", 80)))
    six = (int(socket.AF_INET6), int(socket.SOCK_STREAM), 0, "", ("::ffff:127.0.0.1", 443, 0, 0))
    with pytest.raises(OSError, match="loopback"):
        strict(six)


def test_plain_http_stays_in_the_own_network_whatever_its_name_is_resolved_to() -> None:
    plain = checked_sockets(allow_private=True, plain=True)
    plain((int(socket.AF_INET), int(socket.SOCK_STREAM), 0, "", ("10.0.0.1", 80))).close()
    with pytest.raises(OSError, match="it is public"):
        plain((int(socket.AF_INET), int(socket.SOCK_STREAM), 0, "", ("81.20.30.40", 80)))


@pytest.mark.parametrize(
    ("url", "allowed", "says"),
    [
        ("http://hooks.example/x", False, "use https"),
        ("https://127.0.0.1/x", False, "loopback; where it is meant, say allow_private"),
        ("https://localhost/x", False, "loopback; where it is meant, say allow_private"),
        ("https://[::ffff:10.0.0.1]/x", False, "private use"),
        ("https://169.254.169.254/latest", True, "a metadata service"),
        ("https://user:s3cret@hooks.example/x", False, "holds a password"),
        ("http://81.20.30.40/x", True, "it is public"),
        ("HTTP://hooks.example/x", False, "use https"),
        ("ftp://hooks.example/x", False, "https://HOST/PATH"),
        ("https://hooks.example/x#y", False, "https://HOST/PATH"),
        ("https:///x", False, "https://HOST/PATH"),
        ("https://[x/", False, "cannot be read"),
        ("https://hooks.example:99999/", False, "cannot be read"),
        ("hooks.example", False, "https://HOST/PATH"),
    ],
)
def test_a_url_that_can_never_be_used_stops_the_start(url: str, allowed: bool, says: str) -> None:
    with pytest.raises(ConfigError, match=says) as raised:
        checked_url(url, name="target exchange", allow_private=allowed)
    assert str(raised.value).startswith("target exchange: ")
    assert "s3cret" not in str(raised.value)


def test_urls_that_can_be_used_are_taken_as_they_are() -> None:
    for url, allowed in (
        ("https://hooks.example/x?y", False),
        ("https://81.20.30.40:8443/", False),
        ("http://10.0.0.1/", True),
        ("http://localhost:8080/", True),
    ):
        assert checked_url(url, name="target", allow_private=allowed) == url
