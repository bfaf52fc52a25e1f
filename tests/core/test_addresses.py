"""Addresses: one spelling each, and no special-purpose address is ever taken for a customer's."""

import json
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from gateway.core.addresses import (
    Nat64,
    Networks,
    canonical,
    geo_key,
    key_of,
    parse,
    special_purpose,
    spell,
)
from gateway.core.errors import ConfigError

SPELLINGS = json.loads((Path(__file__).parents[1] / "corpus/addresses/spellings.json").read_text("utf-8"))

v4_numbers = st.integers(0, 2**32 - 1)
v6_numbers = st.one_of(
    st.integers(0, 2**128 - 1),
    st.ip_addresses(v=6).map(int),
    st.builds(
        lambda prefix, rest: prefix << 96 | rest, st.sampled_from([0x20010000, 0x20020808, 0x64FF9B]), v4_numbers
    ),
)
v6_spellings = v6_numbers.flatmap(
    lambda number: st.sampled_from(
        [
            str(IPv6Address(number)),
            IPv6Address(number).exploded,
            IPv6Address(number).exploded.upper(),
            f"{':'.join(IPv6Address(number).exploded.split(':')[:6])}:{IPv4Address(number & 0xFFFF_FFFF)}",
        ]
    )
)


@pytest.mark.parametrize("row", SPELLINGS, ids=[row["text"] or "nothing" for row in SPELLINGS])
def test_every_row_of_the_corpus_reads_as_its_lesson_says(row: dict[str, str]) -> None:
    assert canonical(row["text"]) == row["canonical"]
    if row["canonical"] is None:
        assert special_purpose(row["text"]) == "not an address"
        assert geo_key(row["text"]) is None
    else:
        assert special_purpose(row["canonical"]) == row["special"]
        assert special_purpose(row["text"]) == row["special"]
        assert geo_key(row["canonical"]) == row["geo_key"]


@given(number=v4_numbers)
def test_an_ipv4_address_reads_as_the_standard_library_reads_it(number: int) -> None:
    text = str(IPv4Address(number))
    assert canonical(text) == text
    assert parse(text) == (32, number)


@given(text=v6_spellings)
def test_every_spelling_of_an_ipv6_address_has_one_canonical_form(text: str) -> None:
    address = IPv6Address(text)
    assert canonical(text) == str(address.ipv4_mapped or address.compressed)


@given(text=st.one_of(v6_spellings, v4_numbers.map(lambda number: str(IPv4Address(number)))))
def test_a_canonical_form_is_its_own_canonical_form(text: str) -> None:
    once = canonical(text)
    assert once is not None
    assert canonical(once) == once
    parsed = parse(once)
    assert parsed is not None
    assert spell(parsed) == once


@given(text=st.text(alphabet="0123456789abcdefABCDEF.:%/[] x\n٨", max_size=40))
def test_nothing_is_an_address_that_the_standard_library_refuses(text: str) -> None:
    if canonical(text) is not None:
        ip_address(text)


@given(number=st.one_of(v4_numbers.map(IPv4Address), v6_numbers.map(IPv6Address)))
@example(number=IPv6Address("2001:1::1"))
def test_special_purpose_addresses_are_never_global(number: IPv4Address | IPv6Address) -> None:
    """What this Python calls private, reserved, multicast, loopback or link local, our table names too."""
    text = canonical(str(number))
    assert text is not None
    address = ip_address(text)
    reserved = address.is_private or address.is_reserved or address.is_multicast or not address.is_global
    # The library calls the wells of 64:ff9b::/96 reserved; they are what their IPv4 address is.
    if isinstance(address, IPv6Address) and int(address) >> 32 == 0x64FF9B << 64:
        address = IPv4Address(int(address) & 0xFFFF_FFFF)
        reserved = address.is_private or address.is_multicast or not address.is_global
    if reserved:
        assert special_purpose(text) is not None
    if isinstance(address, IPv6Address) and int(address) >> 125 != 1:
        assert special_purpose(text) is not None


@given(number=v4_numbers)
def test_an_address_inside_another_is_as_special_as_it_is_outside(number: int) -> None:
    outside = special_purpose(str(IPv4Address(number)))
    for text in (str(IPv6Address(0x2002 << 112 | number << 80)), str(IPv6Address(0x64FF9B << 96 | number))):
        assert special_purpose(text) == outside
        assert geo_key(text) == (None if outside else str(IPv4Address(number)))


@pytest.mark.parametrize(
    ("prefix", "address"),
    [  # RFC 6052 §2.4, with an address that a customer can have
        ("2a00:db8::/32", "2a00:db8:808:404::"),
        ("2a00:db8:100::/40", "2a00:db8:108:804:4::"),
        ("2a00:db8:122::/48", "2a00:db8:122:808:4:400::"),
        ("2a00:db8:122:300::/56", "2a00:db8:122:308:8:404::"),
        ("2a00:db8:122:344::/64", "2a00:db8:122:344:8:804:400::"),
        ("2a00:db8:122:344::/96", "2a00:db8:122:344::808:404"),
        ("64:ff9b:1::/48", "64:ff9b:1:808:4:400::"),
    ],
)
def test_an_operators_own_nat64_prefix_stands_for_ipv4(prefix: str, address: str) -> None:
    nat64 = Nat64([prefix])
    assert geo_key(address, nat64) == "8.8.4.4"
    parsed = parse(address)
    assert parsed is not None
    assert key_of(parsed, nat64) == "8.8.4.4"
    assert geo_key("64:ff9b::808:808", nat64) == "8.8.8.8"
    assert geo_key("2001:4860:4860::8888", nat64) == "2001:4860:4860::8888"


def test_an_operators_own_nat64_prefix_never_makes_a_private_address_public() -> None:
    nat64 = Nat64(["2a00:db8::/96"])
    assert geo_key("2a00:db8::10.0.0.1", nat64) is None


@pytest.mark.parametrize("prefix", ["2a00:db8::/80", "2a00::/16", "10.0.0.0/8", "2a00:db8::1"])
def test_a_nat64_prefix_that_rfc_6052_does_not_have_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="not a NAT64 prefix") as refused:
        Nat64([prefix], what="client_ip.nat64_prefixes")
    assert str(refused.value).startswith(f"client_ip.nat64_prefixes: `{prefix}")


@given(
    networks=st.lists(
        st.one_of(
            st.builds(lambda n, k: str(IPv4Network((n, k), strict=False)), v4_numbers, st.integers(1, 32)),
            st.builds(lambda n, k: str(IPv6Network((n, k), strict=False)), v6_numbers, st.integers(1, 96)),
        ).filter(lambda text: not text.startswith("::ffff:")),
        max_size=6,
    ),
    data=st.data(),
)
def test_a_set_of_networks_holds_what_any_of_its_networks_holds(networks: list[str], data: st.DataObject) -> None:
    inside = [ip_network(text) for text in networks]
    address = data.draw(
        st.one_of(
            v4_numbers.map(IPv4Address),
            v6_numbers.map(IPv6Address),
            *(st.integers(int(one[0]), int(one[-1])).map(type(one[0])) for one in inside),
        )
    )
    text = canonical(str(address))
    assert text is not None
    found = Networks(networks)
    assert (text in found) == any(ip_address(text) in network for network in inside)
    assert list(found) == networks
    assert len(found) == len(networks)


def test_a_set_of_networks_holds_nothing_that_is_not_an_address() -> None:
    networks = Networks(["10.0.0.0/8", "fd00::/8", "192.0.2.7", "::ffff:172.16.0.0/108"])
    assert list(networks) == ["10.0.0.0/8", "fd00::/8", "192.0.2.7/32", "172.16.0.0/12"]
    assert "10.1.2.3" in networks
    assert "::ffff:10.1.2.3" in networks
    assert "172.31.0.1" in networks
    assert "192.0.2.8" not in networks
    for junk in ("", "10.0.0.01", "10.0.0.0/8", "unknown"):
        assert junk not in networks
    assert 167772161 not in networks
    assert not Networks([])


@pytest.mark.parametrize(
    ("cidr", "meant"),
    [
        ("0.0.0.0/0", "every address there is"),
        ("::/0", "every address there is"),
        ("::ffff:0:0/96", "every address there is"),
        ("10.0.0.1/8", "did you mean `10.0.0.0/8`, the network, or `10.0.0.1`, the one address?"),
        ("fd00::1/8", "did you mean `fd00::/8`, the network, or `fd00::1`, the one address?"),
        ("10.0.0.0/255.0.0.0", "did you mean `10.0.0.0/8`?"),
        ("10.0.0.0/08", "did you mean `10.0.0.0/8`?"),
        ("10.0.0.0/", "such as `10.0.0.0/32` for the one address"),
        ("fd00::/x", "such as `fd00::/128` for the one address"),
        ("10.0.0.0/33", "between 1 and 32"),
        ("fd00::/129", "length in bits"),
        ("::ffff:10.0.0.0/8", "between 97 and 128"),
        ("*", "a pattern cannot say who is meant"),
        ("10.*", "a pattern cannot say who is meant"),
        ("", "it is empty"),
        (" 10.0.0.0/8", "remove the spaces"),
        ("fe80::1%eth0", "a network has no zone"),
        ("[fd00::]/8", "without brackets and port"),
        ("10.0.0.1:8080", "without the port"),
        ("010.0.0.0/8", "no leading zeros"),
        ("10.0.0.256", "at most 255"),
        ("10/8", "write all four numbers"),
        ("10.0.0.0-10.0.0.255", "write a range as networks"),
        ("localhost", "names are not looked up"),
        ("proxy.internal:3128", "names are not looked up"),
        ("fd00:::/8", "write one such as `10.0.0.0/8`"),
    ],
)
def test_what_is_not_exactly_a_network_is_refused_with_what_was_meant(cidr: str, meant: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Networks(["192.0.2.0/24", cidr], what="client_ip.trusted_proxies")
    assert str(refused.value).startswith(f"client_ip.trusted_proxies: `{cidr}`")
    assert meant in str(refused.value)
