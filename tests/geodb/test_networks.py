"""Lists of networks: what they hold, and what is refused."""

from ipaddress import ip_address, ip_network
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from geodb.edition import BadEdition, Edition
from geodb.networks import LARGEST_LIST, NetworkList, merged

LIST = """
# Exit nodes.
192.0.2.0/24
198.51.100.7      # one of them
2001:db8::/32
192.0.3.0/24
"""


@pytest.fixture
def listed(tmp_path: Path) -> NetworkList:
    path = tmp_path / "tor.txt"
    path.write_text(LIST)
    return NetworkList.open(path, "tor")


@pytest.mark.parametrize(
    ("address", "inside"),
    [
        ("192.0.2.0", True),
        ("192.0.3.255", True),
        ("192.0.4.0", False),
        ("192.0.1.255", False),
        ("198.51.100.7", True),
        ("198.51.100.8", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("2001:db8::", True),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", True),
        ("2001:db9::", False),
        ("::", False),
    ],
)
def test_a_list_holds_its_networks_to_the_last_address(listed: NetworkList, address: str, *, inside: bool) -> None:
    assert listed.contains(ip_address(address).packed) is inside


def test_neighbours_are_one_range(listed: NetworkList) -> None:
    assert listed.ranges == 3


def test_a_list_is_an_edition_with_the_day_of_its_file(listed: NetworkList) -> None:
    assert listed.edition.name == "tor"
    assert listed.edition.built_at == listed.stamp[3] // 10**9
    assert listed.edition.size == len(LIST)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("192.0.2.1/24", r"line 2: `192.0.2.1/24` has host bits set: did you mean `192.0.2.0/24`\?"),
        ("example.org", r"line 2: `example.org` is not a network such as"),
        ("192.0.2.0/24, 192.0.3.0/24", "line 2: .* is not a network"),
        ("::ffff:192.0.2.0/120", "line 2: .* maps IPv4 into IPv6; write the IPv4 network itself"),
        ("\N{SNOWMAN}", "line 2: .* is not a network"),
        ("1" * 300, "line 2: longer than 256 bytes"),
    ],
)
def test_a_bad_line_is_refused_by_file_and_number(tmp_path: Path, line: str, why: str) -> None:
    path = tmp_path / "list.txt"
    path.write_text(f"192.0.2.0/24\n{line}\n")
    with pytest.raises(BadEdition, match=why) as refused:
        NetworkList.open(path, "list")
    assert str(path) in str(refused.value)
    assert len(str(refused.value)) < 400


def test_a_list_that_names_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_text("# later\n")
    with pytest.raises(BadEdition, match="names no network"):
        NetworkList.open(path, "list")


def test_a_list_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadEdition, match="cannot be read: No such file"):
        NetworkList.open(tmp_path / "none.txt", "list")


def test_a_list_beyond_all_bounds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    with path.open("wb") as file:
        file.truncate(LARGEST_LIST + 1)
    with pytest.raises(BadEdition, match="not a list of networks"):
        NetworkList.open(path, "list")


_CIDRS = st.tuples(st.integers(0, (1 << 32) - 1), st.integers(8, 32)).map(
    lambda pair: ip_network((pair[0] >> (32 - pair[1]) << (32 - pair[1]), pair[1]))
)


@given(st.lists(_CIDRS, min_size=1, max_size=20), st.lists(st.integers(0, (1 << 32) - 1), max_size=20))
def test_a_list_holds_exactly_what_one_of_its_networks_holds(networks: list, numbers: list[int]) -> None:
    ranges = [(4, int(one.network_address), int(one.broadcast_address)) for one in networks]
    built = NetworkList(Edition("x", None, "x", None, "", 0), ranges, (0, 0, 0, 0))
    for number in {*numbers, *(edge for _, first, last in ranges for edge in (first, last, last + 1))} - {1 << 32}:
        address = ip_address(number)
        assert built.contains(address.packed) is any(address in one for one in networks)


@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 10)).map(lambda pair: (pair[0], sum(pair)))))
def test_merging_keeps_every_address_and_leaves_no_two_ranges_that_touch(ranges: list[tuple[int, int]]) -> None:
    result = merged(ranges)
    assert {n for first, last in ranges for n in range(first, last + 1)} == {
        n for first, last in result for n in range(first, last + 1)
    }
    assert all(before[1] + 1 < after[0] for before, after in pairwise(result))
