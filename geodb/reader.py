"""Databases that can be asked about an address: MaxMind-format files, and the registries' data inside `iptocc`."""

import hashlib
import os
import tempfile
from collections.abc import Container, Iterator
from importlib import metadata
from ipaddress import IPv4Address, IPv6Address
from mmap import PROT_READ, mmap
from pathlib import Path
from typing import Any, Final, NamedTuple, Protocol

import iptocc
import maxminddb

from geodb.codes import COUNTRIES
from geodb.edition import BadEdition, Edition, slug
from geodb.record import (
    NOWHERE,
    Field,
    GeoRecord,
    Missing,
    Why,
    fields_of_record,
    fields_of_type,
    interpret,
    only_asn,
    only_country,
)
from geodb.sample import spread_v4, spread_v6
from geodb.structure import Malformed, prove

LARGEST_FILE: Final = 1 << 30
"""The commercial city databases are some 400 MB; what is larger is not a database of addresses."""
_CHUNK: Final = 1 << 20
_PROBES: Final = 2_048
_SAMPLE: Final = 2_048
_V6_START: Final = 0x2000 << 112
_NOT_V4: Final = (0x2001 << 112, 0x2002 << 112)
"""Teredo (2001::/32) and 6to4 (2002::/16), under which native databases show the whole of IPv4 again."""

_BY_COUNTRY: Final = {country: GeoRecord(country) for country in COUNTRIES}

Stamp = tuple[int, int, int, int]
"""Device, inode, size and time of change: what a file was when it was read."""


class Source(Protocol):
    """Something that can be asked where an address is."""

    @property
    def edition(self) -> Edition:
        """What is being asked."""

    @property
    def fields(self) -> frozenset[Field]:
        """What it can be asked for."""

    def read(self, address: str) -> GeoRecord | Missing:
        """Return what it says of a canonical address. Never raises."""


class Found(NamedTuple):
    """One network of a database and the raw record there."""

    start: int
    """First address; IPv4 as itself, IPv6 from 2**32 up."""
    size: int
    record: object


class Reader:
    """A MaxMind-format database, read from a private copy: whatever happens to the file, it goes on answering."""

    def __init__(self, database: maxminddb.Reader, edition: Edition, stamp: Stamp) -> None:
        self._database = database
        self._get = database.get
        self._version: int = database.metadata().ip_version
        self._edition = edition
        self._fields = fields_of_type(edition.database_type) or self._probe()
        self.stamp = stamp

    @classmethod
    def open(cls, path: Path, *, proven: Container[str] = ()) -> "Reader":
        """Return a reader of the file. Raise BadEdition where it is not a database that can be asked for anything.

        `proven` are digests of files whose structure is known to be sound.
        """
        copy, digest, stamp = _private_copy(path)
        try:
            if digest not in proven:
                with mmap(copy, 0, prot=PROT_READ) as content:
                    prove(content)
            database = maxminddb.open_database(f"/dev/fd/{copy}", maxminddb.MODE_AUTO)
            about = database.metadata()
            edition = Edition(
                # Our own editions are called "name (Type)", with the type that other readers insist on.
                name=slug(about.database_type.partition(" (")[0]),
                path=path,
                database_type=about.database_type,
                built_at=_date(about.build_epoch, path),
                sha256=digest,
                size=stamp[2],
            )
            reader = cls(database, edition, stamp)
        except BadEdition:
            raise
        except Malformed as error:
            raise BadEdition(f"{path}: not a readable MaxMind-format database: {error}") from error
        except Exception as error:
            # A hostile file can make the library raise almost anything, in metadata() as in open.
            said = _said(error).replace(f"/dev/fd/{copy}", path.name)
            raise BadEdition(f"{path}: not a readable MaxMind-format database: {said}") from error
        finally:
            os.close(copy)
        if not reader.fields:
            raise BadEdition(
                f"{path}: a `{about.database_type}` database, which says nothing of country, subdivision, AS number "
                f"or anonymizers; expected one such as GeoLite2-Country, GeoIP2-City or GeoLite2-ASN"
            )
        if (damage := reader.damage()) is not None:
            raise BadEdition(f"{path}: damaged: {damage}")
        return reader

    @property
    def edition(self) -> Edition:
        """What is being asked."""
        return self._edition

    @property
    def fields(self) -> frozenset[Field]:
        """What it can be asked for."""
        return self._fields

    def read(self, address: str) -> GeoRecord | Missing:
        """Return what the database says of a canonical address. Never raises."""
        try:
            record: Any = self._get(address)
        except Exception as error:  # noqa: BLE001 - a damaged file shows only here, and in any way it likes
            return Missing(Why.LOOKUP_FAILED, _said(error))
        if record is None:
            return NOWHERE
        if type(record) is dict:
            country = only_country(record)
            if country is not None:
                return _BY_COUNTRY[country]
            asn = only_asn(record)
            if asn is not None:
                return GeoRecord(None, None, asn, record.get("autonomous_system_organization"))
        return interpret(record)

    def raw(self, address: str) -> object:
        """Return the record as it stands, for people; None where there is none, text where it cannot be read."""
        try:
            record: object = self._database.get(address)
        except Exception as error:  # noqa: BLE001 - as in `read`
            return _said(error)
        return record

    def damage(self) -> str | None:
        """Return what is wrong with the first of some thousand answers that cannot be read; None where all can."""
        for address in (*spread_v4(_SAMPLE), *spread_v6(_SAMPLE if self._version == 6 else 0)):
            answer = self.read(address)
            if isinstance(answer, Missing) and answer.why is Why.LOOKUP_FAILED:
                return f"{address}: {answer.detail}"
        return None

    def walk(self, limit: int | None = None) -> Iterator[Found]:
        """Yield the networks that have a record, IPv4 first, ascending, in at most `limit` steps for each version.

        One bounded look-up a step, so that a search tree that runs in circles ends too.
        """
        yield from self._steps(0, 1 << 32, limit)
        if self._version == 6:
            yield from self._steps(_V6_START, 1 << 128, limit)

    def _steps(self, at: int, end: int, limit: int | None) -> Iterator[Found]:
        bits = 32 if end == 1 << 32 else 128
        taken = 0
        while at < end and (limit is None or taken < limit):
            taken += 1
            if bits == 128 and at >> 96 == _NOT_V4[0] >> 96:
                at += 1 << 96
                continue
            if bits == 128 and at >> 112 == _NOT_V4[1] >> 112:
                at += 1 << 112
                continue
            address = IPv4Address(at) if bits == 32 else IPv6Address(at)
            record, prefix = self._database.get_with_prefix_len(address)
            size = 1 << (bits - min(prefix, bits))
            # An empty slot or a wide record may begin before us: go to its end, not further.
            start = at - at % size
            if record is not None:
                yield Found(at, start + size - at, record)
            at = start + size

    def _probe(self) -> frozenset[Field]:
        found: frozenset[Field] = frozenset()
        for network in self.walk(_PROBES):
            found |= fields_of_record(network.record)
        return found


class Registry:
    """The country to which a regional registry gave the address: `iptocc`, in the process. Not where it is used."""

    fields: Final = frozenset({Field.COUNTRY})

    def __init__(self) -> None:
        version = metadata.version("iptocc")
        library = next(Path(iptocc.__file__).parent.glob("iptocc*.so"), Path(iptocc.__file__))
        content = library.read_bytes()
        self.edition: Final = Edition(
            name="rir-iptocc",
            path=None,
            database_type="registration country (iptocc)",
            built_at=None,
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
            version=version,
        )

    def read(self, address: str) -> GeoRecord | Missing:
        """Return the registration country. Never raises."""
        try:
            code = iptocc.country_code(address)
        except Exception as error:  # noqa: BLE001 - another's native code, on the path of every request
            return Missing(Why.LOOKUP_FAILED, _said(error))
        if code is None:
            return NOWHERE
        return _BY_COUNTRY.get(code) or interpret({"country_code": code})


def stamp_of(path: Path) -> Stamp | None:
    """Return what the file is now; None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _private_copy(path: Path) -> tuple[int, str, Stamp]:
    """Return a descriptor of a copy that nobody else can write, its SHA-256, and what the file was.

    A mapped file that somebody truncates kills the process that reads it (SIGBUS), and one that somebody overwrites
    answers half from the old and half from the new. What is digested, checked and served is one and the same copy.
    """
    digest = hashlib.sha256()
    size = 0
    copy = _anonymous_file()
    try:
        with path.open("rb") as original:
            found = os.fstat(original.fileno())
            while chunk := original.read(_CHUNK):
                size += len(chunk)
                _bounded(size, path)
                digest.update(chunk)
                with open(copy, "ab", closefd=False) as out:
                    out.write(chunk)
    except OSError as error:
        os.close(copy)
        raise BadEdition(f"{path}: cannot be read: {error.strerror or error}") from error
    except BadEdition:
        os.close(copy)
        raise
    return copy, digest.hexdigest(), (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


def _bounded(size: int, path: Path) -> None:
    if size > LARGEST_FILE:
        raise BadEdition(f"{path}: larger than {LARGEST_FILE} bytes, not a database of addresses")


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("geodb")
    descriptor, name = tempfile.mkstemp(prefix="geodb-")
    Path(name).unlink()
    return descriptor


def _date(epoch: object, path: Path) -> int:
    if type(epoch) is not int or not 0 < epoch < 1 << 36:
        raise BadEdition(f"{path}: its build date ({epoch!r:.40} seconds since 1970) cannot be")
    return epoch


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
