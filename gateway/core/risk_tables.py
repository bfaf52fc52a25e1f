"""The numbers of the anomaly score, as data: what an attacker can match, and how customers' histories repeat.

The first kind was set beforehand and is never fitted: an attacker adapts, and a score that was fitted to yesterday's
attacks misses tomorrow's. The second is fitted on customers' own logins (`anomaly_fit.fit`); what stands here was fitted
on pretend histories, and serves until an exchange has 240 days of its own.
"""

from typing import Final, NamedTuple

Row = tuple[float, ...]

SIZES: Final = (3.0, 6.0, 12.0, 30.0)
"""Bounds between history sizes, in trusted logins: fewer than 3, to 6, to 12, to 30, more."""
BUCKETS: Final = len(SIZES) + 1


class Group(NamedTuple):
    """One group of levels, the coarsest first; each row begins with `no level at all`."""

    name: str
    weight: float
    attacker: Row
    """How likely an attacker matches the customer at just this level."""
    customer: tuple[Row, ...]
    """For each history size, how likely a customer's login is explained at just this level."""


NETWORK: Final = Group(
    "network",
    1.0,
    (0.30, 0.35, 0.28, 0.05, 0.02),
    (
        (0.035, 0.210, 0.270, 0.410, 0.075),
        (0.026, 0.120, 0.240, 0.560, 0.054),
        (0.018, 0.070, 0.220, 0.660, 0.032),
        (0.012, 0.040, 0.190, 0.740, 0.018),
        (0.008, 0.026, 0.158, 0.807, 0.001),
    ),
)
DEVICE: Final = Group(
    "device",
    1.0,
    (0.35, 0.15, 0.20, 0.20, 0.10),
    (
        (0.100, 0.010, 0.010, 0.010, 0.870),
        (0.040, 0.005, 0.005, 0.010, 0.940),
        (0.015, 0.004, 0.004, 0.007, 0.970),
        (0.007, 0.003, 0.003, 0.005, 0.982),
        (0.003, 0.002, 0.003, 0.005, 0.987),
    ),
)
HOURS: Final = Group("hours", 0.5, (0.70, 0.30), ((0.55, 0.45), (0.42, 0.58), (0.33, 0.67), (0.27, 0.73), (0.22, 0.78)))
GROUPS: Final = (NETWORK, DEVICE, HOURS)

CLIP: Final = 6.0
"""No group alone says more than this, either way: one lucky match buys no unlimited trust."""

ANONYMITY: Final = {"tor": 2.0, "hosting": 1.6, "public_proxy": 1.6, "residential_proxy": 1.6, "vpn": 0.7}
"""What an address is worth that hides who uses it; the worst of its kinds counts. A relay keeps the city: nothing."""
ALWAYS_ANONYMOUS: Final = frozenset({"tor"})
"""Kinds that count although the customer uses the same network: its exits are everybody's."""
