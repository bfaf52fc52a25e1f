"""How often a value was seen, in memory of a fixed size: never too little, sometimes too much."""

from array import array
from typing import Final

WIDTH: Final = 1 << 19
_SPREAD: Final = 0x9E37_79B9_7F4A_7C15
"""2^64 divided by the golden ratio: an odd number whose multiples lie apart."""
_MASK: Final = (1 << 64) - 1


class Sketch:
    """A count-min sketch of three rows with conservative update (Cormode and Muthukrishnan; Estan and Varghese).

    It over-estimates where values collide: common among all then reads as less telling of one, which is more risk.
    """

    __slots__ = ("_one", "_shift", "_three", "_two")

    def __init__(self, width: int = WIDTH) -> None:
        """Build with `width` cells a row, a power of two; 12.6 MB for the default."""
        if width < 2 or width & (width - 1):
            raise ValueError(f"a sketch's width is a power of two, not {width}")
        self._shift = 64 - (width.bit_length() - 1)
        self._one = array("d", bytes(8 * width))
        self._two = array("d", bytes(8 * width))
        self._three = array("d", bytes(8 * width))

    def add(self, key: int, weight: float) -> None:
        """Add to the weight of a key of 64 bits."""
        shift = self._shift
        i = key >> shift
        j = (key * _SPREAD & _MASK) >> shift
        k = ((key ^ _SPREAD) * 0xC2B2_AE3D_27D4_EB4F & _MASK) >> shift
        one, two, three = self._one, self._two, self._three
        new = min(one[i], two[j], three[k]) + weight
        one[i] = max(one[i], new)
        two[j] = max(two[j], new)
        three[k] = max(three[k], new)

    def weight(self, key: int) -> float:
        """Return at least the weight that was added under this key."""
        shift = self._shift
        return min(
            self._one[key >> shift],
            self._two[(key * _SPREAD & _MASK) >> shift],
            self._three[((key ^ _SPREAD) * 0xC2B2_AE3D_27D4_EB4F & _MASK) >> shift],
        )
