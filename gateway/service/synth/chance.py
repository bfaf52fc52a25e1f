"""Draws that come out alike on every machine: the same seed gives the same bytes.

Of `random.Random` only `random()` is used, whose sequence Python promises to keep for a seed; the shapes of its other
methods may change from release to release. The logarithm and the exponential are computed here from sums and products,
which IEEE 754 rounds alike everywhere: those of a machine's C library differ from it in the last bit.
"""

import hashlib
import math
from collections.abc import Sequence
from itertools import accumulate
from random import Random
from typing import Final, TypeVar

T = TypeVar("T")

_LN2: Final = 0.6931471805599453
_ROOT_HALF: Final = 0.7071067811865476
_LARGEST: Final = 700.0
_HEX: Final = "0123456789abcdef"


def log(x: float) -> float:
    """Return the natural logarithm of a positive number."""
    m, exponent = math.frexp(x)
    if m < _ROOT_HALF:
        m, exponent = m * 2.0, exponent - 1
    s = (m - 1.0) / (m + 1.0)
    q = s * s
    series = 1.0 + q * (1 / 3 + q * (1 / 5 + q * (1 / 7 + q * (1 / 9 + q * (1 / 11 + q * (1 / 13 + q / 15))))))
    return exponent * _LN2 + 2.0 * s * series


def exp(x: float) -> float:
    """Return e to the power of x, between its smallest and largest value."""
    x = max(-_LARGEST, min(_LARGEST, x))
    k = math.floor(x / _LN2 + 0.5)
    r = x - k * _LN2
    term = total = 1.0
    for n in range(1, 15):
        term *= r / n
        total += term
    return math.ldexp(total, k)


class Chance:
    """A seeded source of draws. Each part of a history has one of its own, so that none disturbs another."""

    __slots__ = ("random",)

    def __init__(self, source: Random) -> None:
        self.random = source.random

    @classmethod
    def of(cls, seed: int, *path: str | int) -> "Chance":
        """Return the draws that belong to one thing under one seed."""
        digest = hashlib.sha256("/".join(map(str, (seed, *path))).encode()).digest()
        return cls(Random(int.from_bytes(digest[:16], "big")))  # noqa: S311 - pretend history; nothing is kept secret by it

    def odds(self, share: float) -> bool:
        """Return true in this share of draws."""
        return self.random() < share

    def below(self, n: int) -> int:
        """Return a whole number from 0 to n - 1."""
        return int(self.random() * n)

    def between(self, low: float, high: float) -> float:
        """Return a number within bounds, each as likely."""
        return low + (high - low) * self.random()

    def pick(self, items: Sequence[T]) -> T:
        """Return one item, each as likely."""
        return items[int(self.random() * len(items))]

    def weighted(self, items: Sequence[T], weights: Sequence[float]) -> T:
        """Return one item, each as likely as its weight says."""
        sums = list(accumulate(weights))
        point = self.random() * sums[-1]
        return next(item for item, upto in zip(items, sums, strict=True) if point < upto)

    def hex(self, digits: int) -> str:
        """Return a text of random hexadecimal digits."""
        return "".join([_HEX[int(self.random() * 16)] for _ in range(digits)])

    def normal(self) -> float:
        """Return a standard normal number (Marsaglia's polar method)."""
        while True:
            u, v = 2.0 * self.random() - 1.0, 2.0 * self.random() - 1.0
            s = u * u + v * v
            if 0.0 < s < 1.0:
                return u * math.sqrt(-2.0 * log(s) / s)

    def lognormal(self, median: float, sigma: float) -> float:
        """Return a positive number whose logarithm is normal."""
        return median * exp(sigma * self.normal())

    def exponential(self, mean: float) -> float:
        """Return a waiting time without memory."""
        return -mean * log(1.0 - self.random())

    def gamma(self, shape: float) -> float:
        """Return a gamma number of scale 1 (Marsaglia and Tsang 2000)."""
        if shape < 1.0:
            return self.gamma(shape + 1.0) * exp(log(1.0 - self.random()) / shape)
        d = shape - 1.0 / 3.0
        c = 1.0 / math.sqrt(9.0 * d)
        while True:
            x = self.normal()
            v = (1.0 + c * x) ** 3
            if v > 0.0 and log(1.0 - self.random()) < 0.5 * x * x + d - d * v + d * log(v):
                return d * v

    def beta(self, a: float, b: float) -> float:
        """Return a share between 0 and 1."""
        x = self.gamma(a)
        return x / (x + self.gamma(b))

    def poisson(self, mean: float) -> int:
        """Return how many happen where `mean` are expected; for small means."""
        count, left = 0, self.exponential(1.0)
        while left < mean:
            count += 1
            left += self.exponential(1.0)
        return count
