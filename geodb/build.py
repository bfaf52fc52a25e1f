"""Repacks a database into the compact schema that is quickest to read, and that the `geoip2` package reads as well."""

import csv
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from enum import StrEnum, unique
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path
from typing import Any, Final, NamedTuple

from geodb.codes import COUNTRIES
from geodb.edition import BadEdition, Edition
from geodb.reader import Reader
from geodb.record import Missing, interpret
from geodb.tree import Overlap, Span, joined, write

Progress = Callable[[str, int], None]
"""Told what is being done and how much of it, every some thousand steps."""
_EVERY: Final = 20_000
_LONGEST_LINE: Final = 4_096


@unique
class Kind(StrEnum):
    """What a compact database holds."""

    COUNTRY = "country"
    CITY = "city"
    """Country and subdivision."""
    ASN = "asn"


_TYPE: Final = {Kind.COUNTRY: "Country", Kind.CITY: "City", Kind.ASN: "GeoLite2-ASN"}
"""What `geoip2` looks for in the name of a database before it answers."""


class Built(NamedTuple):
    """What became of a build."""

    edition: Edition
    read: int
    """Networks or rows read."""
    left_out: int
    """Those of them that name no country, or a placeholder, or no AS number."""
    contested: int
    """Those that overlapped another of a different value: the narrower won."""
    spans: int
    """Ranges written, neighbours of one value taken together."""


def build(
    kind: Kind,
    sources: Sequence[Path],
    destination: Path,
    *,
    name: str,
    built_at: int,
    progress: Progress | None = None,
) -> Built:
    """Return what was written to `destination`. Raise BadEdition where a source cannot be read, and write nothing.

    A source is a MaxMind-format database, native or flat, or a CSV of `first,last,value…`: the country for `country`,
    the AS number and its organization for `asn`.
    """
    told = progress or (lambda _what, _count: None)
    spans: list[Span] = []
    read = 0
    for source in sources:
        rows = _csv(kind, source) if source.suffix == ".csv" else _database(kind, source)
        for row in rows:
            read += 1
            if row is not None:
                spans.append(row)
            if read % _EVERY == 0:
                told(f"reading {source.name}", read)
    try:
        tidy = joined(spans)
    except Overlap as error:
        raise BadEdition(f"{', '.join(map(str, sources))}: {error}") from error
    if not tidy.spans:
        raise BadEdition(f"{', '.join(map(str, sources))}: nothing in it says anything of {kind}")
    told(f"writing {destination.name}", len(tidy.spans))
    records = {value: _RECORD[kind](value) for value in {span.value for span in tidy.spans}}
    partial = destination.with_name(f".{destination.name}.{os.getpid()}.partial")
    try:
        write(str(partial), tidy.spans, records, database_type=f"{name} ({_TYPE[kind]})", built_at=built_at)
        reader = Reader.open(partial)
        partial.replace(destination)
    finally:
        partial.unlink(missing_ok=True)
    return Built(reader.edition._replace(path=destination), read, read - len(spans), tidy.contested, len(tidy.spans))


def _database(kind: Kind, path: Path) -> Iterator[Span | None]:
    for found in Reader.open(path).walk():
        record = interpret(found.record)
        if isinstance(record, Missing):
            raise BadEdition(f"{path}: at {_address(found.start)}: {record.detail}")
        value: Hashable = None
        if kind is Kind.ASN:
            value = None if record.asn is None else (record.asn, record.organization)
        elif record.country is not None:
            value = record.country if kind is Kind.COUNTRY else (record.country, record.subdivision)
        yield None if value is None else Span(found.start, found.start + found.size - 1, value)


def _csv(kind: Kind, path: Path) -> Iterator[Span | None]:
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            for number, row in enumerate(csv.reader(_bounded(lines, path), strict=True), 1):
                try:
                    yield _row(kind, row)
                except ValueError as error:
                    raise BadEdition(f"{path}, line {number}: {error}") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise BadEdition(f"{path}: not a CSV that can be read: {error}") from error


def _bounded(lines: Iterator[str], path: Path) -> Iterator[str]:
    for number, line in enumerate(lines, 1):
        if len(line) > _LONGEST_LINE:
            raise BadEdition(f"{path}, line {number}: longer than {_LONGEST_LINE} characters")
        yield line


def _row(kind: Kind, row: list[str]) -> Span | None:
    if len(row) < 3:
        raise ValueError("expected `first,last,value`, such as 192.0.2.0,192.0.2.255,64500,Example Ltd")
    start, end = ip_address(row[0]), ip_address(row[1])
    first, last = int(start), int(end)
    if start.version != end.version or first > last:
        raise ValueError(f"{start} to {end} is not a range")
    value = _VALUE[kind](row)
    return None if value is None else Span(first, last, value)


def _asn_of(row: list[str]) -> Hashable:
    number = int(row[2].removeprefix("AS"))
    if not 0 <= number < 1 << 32:
        raise ValueError(f"{number} is not an AS number")
    return (number, row[3] or None if len(row) > 3 else None) if number else None


def _country_of(row: list[str]) -> Hashable:
    return row[2] if row[2] in COUNTRIES else None


def _no_cities(_row: list[str]) -> Hashable:
    raise ValueError("a CSV holds no subdivisions that could be read; give a MaxMind-format city database")


def _asn_record(value: Any) -> dict[str, Any]:  # noqa: ANN401 - a pair, by construction
    number, organization = value
    record = {"autonomous_system_number": number}
    return record if organization is None else {**record, "autonomous_system_organization": organization}


def _city_record(value: Any) -> dict[str, Any]:  # noqa: ANN401 - a pair, by construction
    country, subdivision = value
    record: dict[str, Any] = {"country": {"iso_code": country}}
    return record if subdivision is None else {**record, "subdivisions": [{"iso_code": subdivision.partition("-")[2]}]}


_VALUE: Final = {Kind.ASN: _asn_of, Kind.COUNTRY: _country_of, Kind.CITY: _no_cities}
_RECORD: Final[dict[Kind, Callable[[Any], dict[str, Any]]]] = {
    Kind.ASN: _asn_record,
    Kind.COUNTRY: lambda country: {"country": {"iso_code": country}},
    Kind.CITY: _city_record,
}


def _address(number: int) -> str:
    return str(IPv4Address(number) if number < 1 << 32 else IPv6Address(number))
