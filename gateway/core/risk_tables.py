"""The numbers of the anomaly score, as data: what an attacker can match, and how customers' histories repeat.

The first kind was set beforehand and is never fitted: an attacker adapts, and a score that was fitted to yesterday's
attacks misses tomorrow's. The second is fitted on customers' own logins (`anomaly_fit.fit`); what stands here was
fitted on a pretend history (seed 7), and serves until an exchange has 240 days of its own.
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
        (0.041, 0.134, 0.272, 0.306, 0.247),
        (0.014, 0.062, 0.239, 0.579, 0.106),
        (0.013, 0.026, 0.158, 0.710, 0.093),
        (0.007, 0.014, 0.109, 0.860, 0.010),
        (0.008, 0.008, 0.080, 0.903, 0.001),
    ),
)
DEVICE: Final = Group(
    "device",
    1.0,
    (0.35, 0.15, 0.20, 0.20, 0.10),
    (
        (0.100, 0.011, 0.004, 0.001, 0.884),
        (0.028, 0.010, 0.001, 0.002, 0.959),
        (0.004, 0.009, 0.001, 0.003, 0.983),
        (0.002, 0.006, 0.004, 0.004, 0.984),
        (0.001, 0.004, 0.002, 0.003, 0.990),
    ),
)
HOURS: Final = Group(
    "hours", 0.5, (0.70, 0.30), ((0.52, 0.48), (0.30, 0.70), (0.20, 0.80), (0.08, 0.92), (0.025, 0.975))
)
GROUPS: Final = (NETWORK, DEVICE, HOURS)

LEAST: Final = -6.0
"""No group alone says more than this for the owner: one lucky match buys no unlimited trust."""
MOST: Final = 3.0
"""Nor more than this against: one oddity alone, such as a journey, holds nothing."""

UNFAMILIAR_DEVICE: Final = {"waiting": 1.0, "today": 1.5, "never at home": 1.8}
"""What a device key is worth that is in quarantine, or that was first seen today or never.

Most has one in quarantine that was in none of the account's networks since: so does who waits until he is familiar. Of
customers' devices in quarantine, four in five had been (seeds 13 and 16).

Beside the group above, since system, browser and user agent are what anybody copies: matching them shall not make up
for the one thing that cannot be copied. Nothing for a trusted key, so that this is never a reason for trust.
"""
PAYS_A_STRANGER: Final = 0.5
"""What it adds that such a device sends to a destination which is not known.

Who takes an account over by a device of his own cannot avoid the two together. Hour, operator and share of the balance
he may choose, so that these shall not outweigh them.
"""
AT_HOME: Final = (0.02, 0.37)
"""How often such a device is at the account's very address: an attacker's, as in `NETWORK`, and a customer's new one.

Customers' new devices come up at home, and `NETWORK` cannot say so: it is fitted on all logins, of which most are by
devices that are trusted. The second was counted on pretend histories (seeds 13 and 14).
"""

NEARBY: Final = -1.5
"""The most that a network says for the owner where such a device, at another address of it, pays a stranger.

Whoever takes the owner's operator in the owner's city comes out near by: that may not outweigh the device.
"""

ANONYMITY: Final = {"tor": 2.0, "hosting": 1.6, "public_proxy": 1.6, "residential_proxy": 1.6, "vpn": 0.7}
"""What an address is worth that hides who uses it; the worst of its kinds counts. A relay keeps the city: nothing."""
ALWAYS_ANONYMOUS: Final = frozenset({"tor"})
"""Kinds that count although the customer uses the same network: its exits are everybody's."""
