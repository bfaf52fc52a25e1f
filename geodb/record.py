"""What one database says of one address, whatever the schema it says it in.

Native schema: MaxMind's City, Country, Enterprise, ASN, Anonymous-IP, Anonymous-Plus and Connection-Type databases, and
those that others publish in the same form. Flat schema: one level, as the open repackagings have it (`country_code`,
`state1`, `asn`).
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum, unique
from typing import Any, Final, NamedTuple

from geodb import reference
from geodb.codes import COUNTRIES, NOTHING, placeholder

Record = Mapping[str, Any]


@unique
class Field(StrEnum):
    """What a database can be asked for."""

    COUNTRY = "country"
    SUBDIVISION = "subdivision"
    ASN = "asn"
    ANONYMIZER = "anonymizer"


@unique
class Why(StrEnum):
    """Why a database gave no answer."""

    NO_RECORD = "no-record"
    PSEUDO_CODE = "pseudo-code"
    LOOKUP_FAILED = "lookup-failed"


class Missing(NamedTuple):
    """No answer."""

    why: Why
    detail: str


class Area(NamedTuple):
    """A place on earth: degrees, and how many kilometres it may be off; None where the database does not say."""

    latitude: float
    longitude: float
    radius_km: float | None


class GeoRecord(NamedTuple):
    """An answer; each part is None, or empty, where the database does not say."""

    country: str | None = None
    """ISO 3166-1 alpha-2, or XK. Where the address is used; never where it is registered."""
    subdivision: str | None = None
    """ISO 3166-2. The outermost that the database names: GB-ENG, not GB-OXF."""
    asn: int | None = None
    organization: str | None = None
    flags: frozenset[str] = frozenset()
    placeholder: str | None = None
    """What stood where a country should, in words."""
    region: str | None = None
    """The name or code of a region that ISO 3166-2 does not know."""
    place: Area | None = None
    """Where the address is used, as far as the database knows places."""


NOWHERE: Final = Missing(Why.NO_RECORD, "no record of this address")
_EMPTY: Final[frozenset[str]] = frozenset()

_FLAGS: Final = {
    "is_hosting_provider": "hosting",
    "is_anonymous_vpn": "vpn",
    "is_tor_exit_node": "tor",
    "is_public_proxy": "public_proxy",
    "is_residential_proxy": "residential_proxy",
    "is_satellite_provider": "satellite",
    "hosting": "hosting",
    "vpn": "vpn",
    "tor": "tor",
    "relay": "relay",
    "proxy": "public_proxy",
    "mobile": "mobile",
    "satellite": "satellite",
}
_CONNECTIONS: Final = {"cellular": "mobile", "satellite": "satellite"}
_FLAG_KEYS: Final = frozenset({*_FLAGS, "is_anonymous", "connection_type"})
_ASN_KEYS: Final = ("autonomous_system_number", "asn")
_LARGEST_ASN: Final = 0xFFFF_FFFF
_HALF_ROUND_KM: Final = 20_038
_DECIMAL: Final = re.compile(r"-?[0-9]{1,5}(?:\.[0-9]{1,16})?")
_ISO_REGION: Final = re.compile(r"[A-Z0-9]{1,3}")


class _Damaged(Exception):
    """A value of a kind that no schema has: the file is damaged here, or hostile."""


def interpret(record: object) -> GeoRecord | Missing:
    """Return what a raw record says; Missing(LOOKUP_FAILED) where it says it in a form that no schema has."""
    if not isinstance(record, dict):
        return Missing(Why.LOOKUP_FAILED, f"the record is a {type(record).__name__}, not a map")
    try:
        country, mark = _country(record)
        subdivision, region = _subdivision(record, country)
        traits = _part(record, "traits")
        asn = _asn(record) or _asn(traits)
        return GeoRecord(
            country,
            subdivision,
            asn,
            _text(record, "autonomous_system_organization") or _text(traits, "autonomous_system_organization"),
            _flags(record) | _flags(traits),
            mark,
            region,
            _area(record),
        )
    except _Damaged as error:
        return Missing(Why.LOOKUP_FAILED, f"damaged record: {error}")


def only_country(record: Record) -> str | None:
    """Return the country of a record that holds nothing else, and else None: the quick way through `interpret`."""
    if len(record) != 1:
        return None
    part = record.get("country")
    code = part.get("iso_code") if type(part) is dict else record.get("country_code")
    return code if type(code) is str and code in COUNTRIES else None


def only_asn(record: Record) -> int | None:
    """Return the number in a record of `autonomous_system_number` and perhaps an organization, and else None."""
    number = record.get("autonomous_system_number")
    if type(number) is not int or not 0 < number <= _LARGEST_ASN:
        return None
    rest = len(record) - 1
    return number if rest == 0 or (rest == 1 and type(record.get("autonomous_system_organization")) is str) else None


def fields_of_type(database_type: str) -> frozenset[Field]:
    """Return what a database of this native type holds; nothing where the name says nothing."""
    for pattern, fields in _TYPES:
        if pattern(database_type):
            return fields
    return frozenset()


def fields_of_record(record: object) -> frozenset[Field]:
    """Return what a record speaks about, by the names in it."""
    if not isinstance(record, dict):
        return frozenset()
    found = set()
    if isinstance(record.get("country"), dict | str) or "country_code" in record:
        found.add(Field.COUNTRY)
    if any(name in record for name in ("subdivisions", "state1", "region", "region_code")):
        found.add(Field.SUBDIVISION)
    if any(name in record for name in _ASN_KEYS):
        found.add(Field.ASN)
    if not _FLAG_KEYS.isdisjoint(record):
        found.add(Field.ANONYMIZER)
    return frozenset(found)


def _type(pattern: str, *fields: Field) -> tuple[Callable[[str], object], frozenset[Field]]:
    return re.compile(pattern).search, frozenset(fields)


_TYPES: Final = (
    _type(r"Enterprise|Insights", Field.COUNTRY, Field.SUBDIVISION, Field.ASN, Field.ANONYMIZER),
    _type(r"City", Field.COUNTRY, Field.SUBDIVISION),
    _type(r"Country", Field.COUNTRY),
    _type(r"ASN|-ISP", Field.ASN),
    _type(r"Anonymous-IP|Anonymous-Plus|Residential-Proxy|Connection-Type", Field.ANONYMIZER),
)


def _part(record: Record, name: str) -> Record:
    part = record.get(name)
    if part is None:
        return {}
    if not isinstance(part, dict):
        raise _Damaged(f"`{name}` is a {type(part).__name__}, not a map")
    return part


def _text(record: Record, name: str) -> str | None:
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise _Damaged(f"`{name}` is a {type(value).__name__}, not text")
    return value


def _country(record: Record) -> tuple[str | None, str | None]:
    value = record.get("country")
    if isinstance(value, dict):
        code = _text(value, "iso_code")
    elif "country_code" in record:
        code = _text(record, "country_code")
    else:
        code = _text(record, "country")
    if code is None or code in NOTHING:
        return None, None
    return (code, None) if code in COUNTRIES else (None, placeholder(code))


def _subdivision(record: Record, country: str | None) -> tuple[str | None, str | None]:
    parts = record.get("subdivisions")
    if parts is None:
        code, name = _text(record, "region_code"), _text(record, "state1") or _text(record, "region")
    elif not isinstance(parts, list):
        raise _Damaged(f"`subdivisions` is a {type(parts).__name__}, not a list")
    elif not parts:
        return None, None
    elif not isinstance(parts[0], dict):
        raise _Damaged(f"`subdivisions` holds a {type(parts[0]).__name__}, not a map")
    else:
        code, name = _text(parts[0], "iso_code"), _text(_part(parts[0], "names"), "en")
    if country is None:
        return None, None
    if code and _ISO_REGION.fullmatch(code) and reference.is_subdivision(f"{country}-{code}"):
        return f"{country}-{code}", None
    if not name:
        return None, code or None
    return (known, None) if (known := reference.subdivision_named(country, name)) else (None, name)


def _asn(record: Record) -> int | None:
    for name in _ASN_KEYS:
        value = record.get(name)
        if value is None:
            continue
        if isinstance(value, str) and re.fullmatch(r"(AS)?[0-9]{1,10}", value):
            value = int(value.removeprefix("AS"))
        if type(value) is not int or not 0 <= value <= _LARGEST_ASN:
            raise _Damaged(f"`{name}` is {value!r:.40}, not an AS number")
        # AS 0 is announced by nobody (RFC 7607): it is a way of writing that there is none.
        return value or None
    return None


def _area(record: Record) -> Area | None:
    """Return the place; None where there is none on earth, and for 0, 0, which stands where nobody knows."""
    part = record.get("location")
    said = part if isinstance(part, dict) else record
    latitude, longitude = _number(said.get("latitude"), 90), _number(said.get("longitude"), 180)
    if latitude is None or longitude is None or latitude == longitude == 0:
        return None
    return Area(latitude, longitude, _radius(said.get("accuracy_radius")))


def _radius(value: object) -> float | None:
    radius = _number(value, _HALF_ROUND_KM)
    return radius if radius is not None and radius >= 0 else None


def _number(value: object, most: float) -> float | None:
    if isinstance(value, str) and _DECIMAL.fullmatch(value):
        value = float(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not -most <= value <= most:
        return None
    return float(value)


def _flags(record: Record) -> frozenset[str]:
    if _FLAG_KEYS.isdisjoint(record):
        return _EMPTY
    found = {flag for name, flag in _FLAGS.items() if name in record and _yes(record[name], name)}
    connection = _CONNECTIONS.get((_text(record, "connection_type") or "").lower())
    if connection:
        found.add(connection)
    if not found and "is_anonymous" in record and _yes(record["is_anonymous"], "is_anonymous"):
        # Anonymous, and the database does not say how. Leaving it out would widen access.
        found.add("anonymous")
    return frozenset(found)


def _yes(value: object, name: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in {"true", "false", ""}:
        return value.lower() == "true"
    if type(value) is int and value in {0, 1}:
        return value == 1
    raise _Damaged(f"`{name}` is {value!r:.40}, neither true nor false")
