"""Whether somebody can have been at two places: with areas in place of points, since a database knows no points.

Four databases disagree by 180 km in the median for mobile addresses and by 3 to 16 km for fixed ones (arXiv
2605.21937), so each end may be half as far off again as its radius says, and mobile ends are not compared at all.
"""

from math import asin, cos, radians, sin, sqrt
from typing import Final, NamedTuple

from gateway.core.forgetting import SECOND
from gateway.core.login import Place

FASTEST_KMH: Final = 900
NEAREST_KM: Final = 500
SHORTEST_H: Final = 5 / 60
SAME_SESSION_H: Final = 1.5
"""Within this the same session or device at both ends is no journey: somebody uses a copy."""
_EARTH_KM: Final = 6371.0
_DOUBT: Final = 1.5
_USUAL_RADIUS_KM: Final = 50.0

NOT_COMPARED: Final = frozenset(
    {"mobile", "relay", "vpn", "tor", "public_proxy", "residential_proxy", "satellite", "corporate", "anonymous"}
)
"""Kinds of network whose addresses say nothing of where their user is."""


class Journey(NamedTuple):
    """What would have had to be travelled."""

    km: float
    """Between the nearest edges of the two areas."""
    hours: float

    @property
    def kmh(self) -> float:
        """How fast that would have been; five minutes at least are allowed for it."""
        return self.km / max(self.hours, SHORTEST_H)

    @property
    def impossible(self) -> bool:
        """Whether nobody travels like that."""
        return self.km > NEAREST_KM and self.kmh > FASTEST_KMH


def distance_km(one: Place, other: Place) -> float:
    """Return the length of the great circle between the middles of two areas."""
    lat1, lat2 = radians(one.latitude), radians(other.latitude)
    half = sin((lat2 - lat1) / 2) ** 2
    half += cos(lat1) * cos(lat2) * sin(radians(other.longitude - one.longitude) / 2) ** 2
    return 2 * _EARTH_KM * asin(sqrt(min(1.0, half)))


def journey(one: Place, then: int, other: Place, now: int) -> Journey:
    """Return the journey from one place to the other between two instants (microseconds), as short as it can be."""
    radii = sum(_USUAL_RADIUS_KM if place.radius_km is None else place.radius_km for place in (one, other))
    return Journey(max(0.0, distance_km(one, other) - _DOUBT * radii), abs(now - then) / SECOND / 3600)


def compared(networks: frozenset[str] | None) -> bool:
    """Return whether an address of these kinds says where its user is; not where its kinds are Unknown."""
    return networks is not None and NOT_COMPARED.isdisjoint(networks)
