"""Addresses spread evenly over the space, the same ones every time: for checking a whole database by a part of it."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Final

_GOLDEN_32: Final = 0x9E37_79B1
_GOLDEN_119: Final = 0x4F_1BBC_DCBF_A53E_0AF8_1CF4_F5B5_1B47
"""Odd numbers near the golden ratio of their range: each next multiple falls into the widest gap left (Weyl)."""
_GIVEN_OUT: Final = (
    (0x2001 << 112, 1 << 112),
    (0x2400 << 112, 1 << 116),
    (0x2600 << 112, 1 << 116),
    (0x2800 << 112, 1 << 116),
    (0x2A00 << 112, 1 << 116),
    (0x2C00 << 112, 1 << 116),
)
"""The blocks from which the five regional registries give out IPv6 (IANA, IPv6 Global Unicast Address Assignments)."""
_OFFSETS: Final = tuple(
    (sum(size for _, size in _GIVEN_OUT[:number]), start)
    for number, (start, _) in reversed(list(enumerate(_GIVEN_OUT)))
)
"""How much is given out before each block, the last block first."""
_V6_SIZE: Final = sum(size for _, size in _GIVEN_OUT)


def spread_v4(count: int) -> Iterator[str]:
    """Yield `count` IPv4 addresses: one in each equal part of the space, at a different place in each."""
    width = (1 << 32) // max(count, 1)
    for number in range(count):
        yield str(IPv4Address(number * width + number * _GOLDEN_32 % width))


def spread_v6(count: int) -> Iterator[str]:
    """Yield `count` addresses in the same manner from the blocks that the registries give out from."""
    width = _V6_SIZE // max(count, 1)
    for number in range(count):
        yield str(IPv6Address(_given_out(number * width + number * _GOLDEN_119 % width)))


def _given_out(offset: int) -> int:
    before, start = next(block for block in _OFFSETS if offset >= block[0])
    return start + offset - before
