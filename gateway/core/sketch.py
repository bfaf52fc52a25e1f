"""How often a value was seen, in memory of a fixed size: never too little, sometimes too much."""

from array import array
from collections.abc import Iterable
from typing import Final

WIDTH: Final = 1 << 19
_WIDEST: Final = 1 << 21
"""Three rows take three parts of a key's 64 bits, which are as good as random: keys are digests."""


class Sketch:
    """A count-min sketch of three rows with conservative update (Cormode and Muthukrishnan; Estan and Varghese).

    It over-estimates where values collide: common among all then reads as less telling of one, which is more risk.
    """

    __slots__ = ("_bits", "_mask", "_one", "_three", "_two")

    def __init__(self, width: int = WIDTH) -> None:
        """Build with `width` cells a row, a power of two; 12.6 MB for the default."""
        if not 2 <= width <= _WIDEST or width & (width - 1):
            raise ValueError(f"a sketch's width is a power of two from 2 to {_WIDEST}, not {width}")
        self._bits = width.bit_length() - 1
        self._mask = width - 1
        self._one = array("d", bytes(8 * width))
        self._two = array("d", bytes(8 * width))
        self._three = array("d", bytes(8 * width))

    def add(self, keys: Iterable[int], weight: float) -> None:
        """Add to the weight of each key: digests of 64 bits."""
        mask, bits = self._mask, self._bits
        one, two, three = self._one, self._two, self._three
        for key in keys:
            i, j, k = key & mask, key >> bits & mask, key >> 2 * bits & mask
            x, y, z = one[i], two[j], three[k]
            least = x if x < y else y  # noqa: FURB136 - for each value of each login
            new = (z if z < least else least) + weight  # noqa: FURB136 - as above
            if x < new:
                one[i] = new
            if y < new:
                two[j] = new
            if z < new:
                three[k] = new

    def weight(self, key: int) -> float:
        """Return at least the weight that was added under this key."""
        mask, bits = self._mask, self._bits
        return min(self._one[key & mask], self._two[key >> bits & mask], self._three[key >> 2 * bits & mask])
