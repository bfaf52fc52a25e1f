"""What the operator says of their own networks, against every database."""

from collections.abc import Mapping, Sequence
from ipaddress import ip_network
from typing import Final, NamedTuple, Protocol

from gateway.core.countries import is_country
from gateway.core.errors import EditionError


class Override(Protocol):
    """What is said of one network. None leaves a fact to the databases."""

    @property
    def country(self) -> str | None: ...  # noqa: D102 - said above, of all four
    @property
    def subdivision(self) -> str | None: ...  # noqa: D102
    @property
    def asn(self) -> int | None: ...  # noqa: D102
    @property
    def network(self) -> Sequence[str] | None: ...  # noqa: D102


class Named(NamedTuple):
    """The facts that overrides name for one address."""

    country: str | None = None
    subdivision: str | None = None
    asn: int | None = None
    network: frozenset[str] | None = None


NOTHING: Final = Named()


class Overrides:
    """Every override, by network. Where several hold an address, the narrowest that names a fact has the say on it."""

    def __init__(self, said: Mapping[str, Override]) -> None:
        """Build from networks and what is said of each. Raise EditionError where that cannot be."""
        levels: dict[tuple[int, int], dict[int, Named]] = {}
        for cidr, one in said.items():
            try:
                network = ip_network(cidr)
            except ValueError as error:
                raise EditionError(f"geodb.overrides: `{cidr}` is not a network: {error}") from error
            shift = network.max_prefixlen - network.prefixlen
            # A subdivision says its country too; else the two facts could contradict each other.
            country = one.country or (one.subdivision.partition("-")[0] if one.subdivision else None)
            if country is not None and not is_country(country):
                raise EditionError(f"geodb.overrides: `{cidr}` lies in `{country}`, which is not a country")
            flags = None if one.network is None else frozenset(one.network)
            level = levels.setdefault((network.max_prefixlen, shift), {})
            level[int(network.network_address) >> shift] = Named(country, one.subdivision, one.asn, flags)
        self._levels = tuple((bits, shift, level) for (bits, shift), level in sorted(levels.items(), reverse=True))

    def of(self, bits: int, number: int) -> Named:
        """Return what is said of an address; NOTHING itself where nothing is."""
        found = NOTHING
        for width, shift, level in self._levels:
            one = level.get(number >> shift) if width == bits else None
            if one is not None:
                found = Named(
                    one.country or found.country,
                    # A narrower country takes the wider network's subdivision away with it.
                    one.subdivision if one.country is not None else found.subdivision,
                    one.asn or found.asn,
                    found.network if one.network is None else one.network,
                )
        return found
