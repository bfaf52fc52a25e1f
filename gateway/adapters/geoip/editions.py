"""Look-ups in the editions of one configuration, which are replaced whole while they are in use."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton
from typing import Any, Final, Literal, NamedTuple

from gateway.adapters.geoip import combine
from gateway.adapters.geoip.overrides import NOTHING, Override, Overrides
from gateway.core.addresses import reserved_for
from gateway.core.countries import CONTINENT_OF
from gateway.core.errors import EditionError
from gateway.core.facts import Fact, OneOf, Unknown
from gateway.core.login import Place
from gateway.core.terms import WhyUnknown
from gateway.ports import MICROSECONDS, Connection
from geodb import datasets, update
from geodb.edition import BadEdition
from geodb.networks import NetworkList
from geodb.reader import Reader, Registry, Source, Stamp, stamp_of
from geodb.record import Area, Field, GeoRecord, Missing

SHIPPED: Final = "shipped"
REGISTRY: Final = "rir"
_DAY_S: Final = 86_400
_SAMPLE: Final = 1 << 14
"""Compared beside running traffic, in some tenths of a second; `gateway geodb update` compares four times as many."""

_NO_ADDRESS: Final = Unknown(WhyUnknown.ADDRESS_UNRESOLVED)
_UNRESOLVED: Final = Connection(_NO_ADDRESS, _NO_ADDRESS, _NO_ADDRESS, _NO_ADDRESS, _NO_ADDRESS)
_UNCONFIGURED: Final = Unknown(WhyUnknown.NOT_CONFIGURED)
_ALONE: Final = {
    code: (OneOf(WhyUnknown.NOT_CONFIGURED, frozenset(), frozenset({f"{code}-"})), continent)
    for code, continent in CONTINENT_OF.items()
}
"""What follows from a certain country where no subdivisions are configured."""

_Read = Callable[[str], GeoRecord | Missing]


class Refreshed(NamedTuple):
    """What became of one changed file."""

    path: Path
    taken: bool
    message: str


class _Snapshot(NamedTuple):
    """Everything that one look-up reads, replaced in one assignment."""

    generation: int
    editions: tuple[str, ...]
    country: tuple[Source, ...]
    subdivision: tuple[Source, ...]
    asn: tuple[Source, ...]
    anonymizer: tuple[Source, ...]
    lists: tuple[tuple[str, NetworkList], ...]
    plain: tuple[_Read, _Read] | None
    """How to ask for country and AS number, where each has one source and nothing else is configured."""

    @property
    def places(self) -> tuple[Source, ...]:
        """Who may know where on earth an address is."""
        return tuple(dict.fromkeys((*self.country, *self.subdivision)))

    @property
    def roles(self) -> tuple[tuple[Source, ...], ...]:
        """The sources of each fact, in the order of `_ROLES`."""
        return self.country, self.subdivision, self.asn, self.anonymizer


@contextmanager
def faults() -> Iterator[None]:
    """Raise what `geodb` finds wrong as the gateway's own EditionError."""
    try:
        yield
    except BadEdition as error:
        raise EditionError(str(error)) from error


class GeoIP:
    """The databases, lists and overrides of one configuration. `look_up` never raises and never waits."""

    def __init__(
        self,
        country: Sequence[str | Path] = (SHIPPED,),
        subdivision: Sequence[str | Path] = (),
        asn: Sequence[str | Path] = (SHIPPED,),
        anonymizer: Sequence[str | Path] = (),
        networks: Mapping[str, Path] | None = None,
        *,
        combine: Literal["any", "first"] = "any",
        overrides: Mapping[str, Override] | None = None,
        max_age_warn_s: int | None = None,
        max_age_refuse_s: int | None = None,
        largest_change: float = update.LARGEST_CHANGE,
    ) -> None:
        """Open every source. Raise EditionError where one cannot be used."""
        self._first = combine == "first"
        self._warn_s = max_age_warn_s
        self._refuse_s = max_age_refuse_s
        self._largest_change = largest_change
        self._overrides = Overrides(overrides) if overrides else None
        self._refused: dict[Path, Stamp | None] = {}
        self._refreshing = threading.Lock()
        opened: dict[Path | None, Source] = {}
        with faults():
            roles = [
                tuple(_open(str(name), role, opened) for name in names)
                for role, names in zip(_ROLES, (country, subdivision, asn, anonymizer), strict=True)
            ]
            lists = tuple((name, NetworkList.open(Path(path), name)) for name, path in (networks or {}).items())
        for source in opened.values():
            if max_age_refuse_s is not None and source.edition.built_at is None:
                raise EditionError(
                    f"`{source.edition.name}` does not say how old its data is, so that its age cannot be bounded: "
                    f"leave out `geodb.max_age.refuse`, or this source"
                )
        self._snapshot = self._taken_together(roles, lists, 0)

    @property
    def generation(self) -> int:
        """A number that changes whenever an edition or list is swapped."""
        return self._snapshot.generation

    @property
    def editions(self) -> tuple[str, ...]:
        """Name, date and short digest of each edition and list in use."""
        return self._snapshot.editions

    @property
    def sources(self) -> Mapping[str, tuple[Source | NetworkList, ...]]:
        """Each fact and what is asked for it, in the order of the configuration; a list is `network NAME`."""
        snapshot = self._snapshot
        databases = {str(role): asked for role, asked in zip(_ROLES, snapshot.roles, strict=True)}
        return {**databases, **{f"network {name}": (one,) for name, one in snapshot.lists}}

    def warnings(self, at: int) -> tuple[str, ...]:
        """Return one line for each edition older at `at` than the operator wants to leave unsaid."""
        warn_s = self._warn_s
        editions = dict.fromkeys(
            one.edition for asked in self.sources.values() for one in asked if not isinstance(one, NetworkList)
        )
        return tuple(
            f"{edition} is {age // _DAY_S} days old, more than {warn_s // _DAY_S}"
            for edition in editions
            if warn_s is not None and (age := edition.age_s(at)) is not None and age > warn_s
        )

    def ages(self, at: int) -> tuple[tuple[str, int | None], ...]:
        """Return each database in use and how old its data is at `at`, in seconds; None where it does not say."""
        databases = dict.fromkeys(one.edition for role in self._snapshot.roles for one in role)
        return tuple((edition.name, edition.age_s(at)) for edition in databases)

    def look_up(self, geo_key: str | None, at: int) -> Connection:
        """Return the connection facts of a canonical address (None: not resolved). Never raises."""
        if geo_key is None:
            return _UNRESOLVED
        try:
            packed = inet_pton(AF_INET6 if ":" in geo_key else AF_INET, geo_key)
        except (OSError, ValueError):
            return _UNRESOLVED
        bits, number = len(packed) * 8, int.from_bytes(packed, "big")
        snapshot = self._snapshot
        named = NOTHING if self._overrides is None else self._overrides.of(bits, number)
        special = reserved_for((bits, number)) is not None
        if snapshot.plain is not None and not special and named is NOTHING:
            # The configuration of most, and so most requests: the same answer as below, sooner.
            read_country, read_asn = snapshot.plain
            code, asn = read_country(geo_key), read_asn(geo_key)
            if type(code) is GeoRecord and code.country is not None and type(asn) is GeoRecord and asn.asn is not None:
                region, continent = _ALONE[code.country]
                place = None if code.place is None else Place(*code.place)
                return Connection(code.country, region, continent, asn.asn, _UNCONFIGURED, place)
        oldest = None if self._refuse_s is None else at // MICROSECONDS - self._refuse_s
        panel = combine.Panel(None if special else geo_key, first=self._first, oldest=oldest)
        country: Fact[str] = named.country or combine.single(panel.hear(snapshot.country, _country))
        return Connection(
            country,
            combine.subdivision(country, panel.hear(snapshot.subdivision, _subdivision), named),
            combine.continent(country),
            named.asn or combine.single(panel.hear(snapshot.asn, _asn)),
            combine.network(panel.hear(snapshot.anonymizer, _flags), named, snapshot.lists, packed, special=special),
            None if named.country else combine.place(country, panel.hear(snapshot.places, _place)),
        )

    def refresh(self) -> tuple[Refreshed, ...]:
        """Return what became of each file that changed since it was read. It may take a second: call it in a thread.

        A file that stands up to the edition in use takes its place; else that one goes on answering, and the file is
        left alone until it changes once more.
        """
        with self._refreshing:
            snapshot, told = self._snapshot, []
            fresh: dict[int, Any] = {}
            for source in {id(one): one for asked in self.sources.values() for one in asked}.values():
                path = source.edition.path
                if path is None or not isinstance(source, Reader | NetworkList):
                    continue
                stamp = stamp_of(path)
                if stamp == source.stamp or (path in self._refused and self._refused[path] == stamp):
                    continue
                try:
                    successor = fresh[id(source)] = self._successor(source, path)
                except BadEdition as error:
                    self._refused[path] = stamp
                    told.append(Refreshed(path, taken=False, message=f"{error}; {source.edition} stays in use"))
                else:
                    self._refused.pop(path, None)
                    told.append(Refreshed(path, taken=True, message=f"{successor.edition} follows {source.edition}"))
            if fresh:
                roles = [tuple(fresh.get(id(one), one) for one in asked) for asked in snapshot.roles]
                lists = tuple((name, fresh.get(id(one), one)) for name, one in snapshot.lists)
                self._snapshot = self._taken_together(roles, lists, snapshot.generation + 1)
        return tuple(told)

    def _successor(self, source: Reader | NetworkList, path: Path) -> Reader | NetworkList:
        if isinstance(source, NetworkList):
            return NetworkList.open(path, source.edition.name)
        candidate = Reader.open(path)
        report = update.verify(candidate, source, largest_change=self._largest_change, sample=_SAMPLE)
        if report.problems:
            raise BadEdition(f"{path}: {'; '.join(report.problems)}")
        return candidate

    def _taken_together(
        self, roles: Sequence[tuple[Source, ...]], lists: tuple[tuple[str, NetworkList], ...], generation: int
    ) -> _Snapshot:
        country, subdivision, asn, anonymizer = roles
        databases = [str(source.edition) for asked in roles for source in asked]
        editions = tuple(dict.fromkeys([*databases, *(str(one.edition) for _, one in lists)]))
        plain = None
        if len(country) == len(asn) == 1 and not (subdivision or anonymizer or lists) and self._refuse_s is None:
            plain = country[0].read, asn[0].read
        return _Snapshot(generation, editions, country, subdivision, asn, anonymizer, lists, plain)


_ROLES: Final = (Field.COUNTRY, Field.SUBDIVISION, Field.ASN, Field.ANONYMIZER)


def _open(name: str, role: Field, opened: dict[Path | None, Source]) -> Source:
    """Return the source of that name; a file that serves several facts is opened once."""
    path: Path | None = Path(name)
    proven: frozenset[str] = frozenset()
    if name == REGISTRY:
        path = None
    elif name == SHIPPED:
        path = datasets.SHIPPED / f"{role}.mmdb"
        # Their tests have proved them; a file of any other content is proved again.
        proven = frozenset(one.sha256 for one in datasets.datasets())
    if path not in opened:
        opened[path] = Registry() if path is None else Reader.open(path, proven=proven)
    source = opened[path]
    if role not in source.fields:
        holds = " and ".join(sorted(source.fields))
        raise BadEdition(f"geodb.{role}: {path or name} holds {holds}, and nothing of {role}")
    return source


def _country(record: GeoRecord) -> str | None:
    return record.country


def _place(record: GeoRecord) -> tuple[str | None, Area] | None:
    return None if record.place is None else (record.country, record.place)


def _subdivision(record: GeoRecord) -> str | None:
    return record.subdivision


def _asn(record: GeoRecord) -> int | None:
    return record.asn


def _flags(record: GeoRecord) -> frozenset[str] | None:
    return record.flags or None
