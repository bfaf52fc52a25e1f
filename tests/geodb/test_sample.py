"""A sample that reaches every part of the space, the same each time."""

from ipaddress import ip_address, ip_network
from itertools import pairwise

from geodb.sample import spread_v4, spread_v6


def test_the_sample_has_one_address_in_each_equal_part_of_ipv4() -> None:
    found = [int(ip_address(address)) for address in spread_v4(1 << 12)]
    assert [number >> 20 for number in found] == list(range(1 << 12))
    assert len({number & 0xFFFFF for number in found}) == 1 << 12, "at a different place in each"


def test_the_sample_of_ipv6_stays_in_what_the_registries_give_out() -> None:
    blocks = [
        ip_network(cidr) for cidr in ("2001::/16", "2400::/12", "2600::/12", "2800::/12", "2a00::/12", "2c00::/12")
    ]
    found = [ip_address(address) for address in spread_v6(4_096)]
    assert all(any(address in block for block in blocks) for address in found)
    assert all(any(address in block for address in found) for block in blocks), "and reaches each block"
    assert all(int(before) < int(after) for before, after in pairwise(found))


def test_the_sample_is_the_same_every_time_and_may_be_empty() -> None:
    assert list(spread_v4(100)) == list(spread_v4(100))
    assert list(spread_v6(100)) == list(spread_v6(100))
    assert not list(spread_v4(0))
    assert not list(spread_v6(0))
