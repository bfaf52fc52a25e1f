"""Puts a new edition in the place of the running one, once it has proved itself; a bad one changes nothing."""

import os
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from geodb.edition import BadEdition, Edition
from geodb.reader import Reader, Source
from geodb.record import Field, GeoRecord
from geodb.sample import spread_v4, spread_v6

LARGEST_CHANGE: Final = 0.05
"""Three months change 0.4 to 0.5 % of all addresses with one vendor, 27 months 3.2 %: more is another data set."""
SAMPLE: Final = 1 << 16
"""Addresses compared for each version of IP: one in each /16 of IPv4, and as many of the IPv6 that is given out."""
FEWEST: Final = 256
"""Below so many sampled answers a share says nothing: a database of a few networks may change as it likes."""


class Sentinel(NamedTuple):
    """An address whose answer every edition agrees on, year after year."""

    address: str
    country: str


SENTINELS: Final = (
    Sentinel("8.8.8.8", "US"),
    Sentinel("17.1.1.1", "US"),
    Sentinel("126.1.1.1", "JP"),
    Sentinel("84.130.1.1", "DE"),
    Sentinel("86.130.1.1", "GB"),
    Sentinel("90.10.1.1", "FR"),
    Sentinel("36.128.1.1", "CN"),
    Sentinel("189.100.1.1", "BR"),
    Sentinel("2003:c0::1", "DE"),
    Sentinel("240e:1::1", "CN"),
    Sentinel("2600:1700::1", "US"),
)
"""Blocks of one large network operator each, in one country by registration and by use."""
SPECIAL: Final = (
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.0.1",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.51.100.1",
    "203.0.113.5",
    "2001:db8::1",
    "fd00::1",
    "fe80::1",
)
"""Addresses that are nowhere. A set that places them was made without looking; one had 192.168.1.1 in AU."""
_MOST_WRONG: Final = 0.25


class Share(NamedTuple):
    """How much of the space that either edition answers for changes its answer, by one address from each part of it."""

    compared: int
    changed: int

    @property
    def part(self) -> float:
        """Between 0 and 1."""
        return self.changed / self.compared if self.compared else 0.0


class Report(NamedTuple):
    """What was found of a candidate. `problems` empty means that it may take the place of the running edition."""

    candidate: Edition
    running: Edition | None
    problems: tuple[str, ...]
    v4: Share | None
    """None where there was nothing to compare with."""
    v6: Share | None


def verify(
    candidate: Reader,
    running: Reader | None,
    *,
    largest_change: float = LARGEST_CHANGE,
    sentinels: Sequence[Sentinel] = SENTINELS,
    sample: int = SAMPLE,
) -> Report:
    """Return whether the candidate may take the place of the running edition, and every reason why not."""
    problems = [*_sentinels(candidate, running, sentinels), *_special(candidate)]
    if running is None:
        return Report(candidate.edition, None, tuple(problems), None, None)
    if missing := running.fields - candidate.fields:
        problems.append(
            f"a `{candidate.edition.database_type}` database holds no {' and no '.join(sorted(missing))}, "
            f"which the running `{running.edition.database_type}` does"
        )
    old, new = running.edition.built_at or 0, candidate.edition.built_at or 0
    if new < old:
        problems.append(f"built on {candidate.edition.date}, before the running edition of {running.edition.date}")
    v4 = _change(candidate, running, spread_v4(sample))
    v6 = _change(candidate, running, spread_v6(sample))
    for version, share in (("IPv4", v4), ("IPv6", v6)):
        if share.compared >= FEWEST and share.part > largest_change:
            problems.append(
                f"{share.part:.1%} of the {version} space changes its answer ({share.changed} of {share.compared} "
                f"sampled addresses), more than {largest_change:.1%}"
            )
    return Report(candidate.edition, running.edition, tuple(problems), v4, v6)


def update(
    candidate: Path,
    destination: Path,
    *,
    largest_change: float = LARGEST_CHANGE,
    sentinels: Sequence[Sentinel] = SENTINELS,
    sample: int = SAMPLE,
) -> Report:
    """Return the report on the file `candidate`, which is now `destination` too if it has no problems.

    The destination is replaced whole: those who have it open keep the old file, the next to open it get the new one,
    and a loss of power leaves one of the two. Raise BadEdition where the candidate is not a database, or the running
    edition cannot be read (remove it then; it is compared with nothing).
    """
    destination = destination.resolve()
    partial = _copied(candidate, destination)
    try:
        # What is verified is the copy that will be served, not a file that may change meanwhile.
        fresh = _open(partial, candidate)
        report = verify(
            fresh,
            Reader.open(destination) if destination.exists() else None,
            largest_change=largest_change,
            sentinels=sentinels,
            sample=sample,
        )
        if not report.problems:
            partial.replace(destination)
            _sync_folder(destination.parent)
    finally:
        partial.unlink(missing_ok=True)
    return report._replace(candidate=report.candidate._replace(path=candidate))


def _open(partial: Path, candidate: Path) -> Reader:
    try:
        return Reader.open(partial)
    except BadEdition as error:
        raise BadEdition(
            str(error).replace(str(partial), str(candidate)).replace(partial.name, candidate.name)
        ) from error


def _sentinels(candidate: Reader, running: Reader | None, sentinels: Sequence[Sentinel]) -> list[str]:
    """Return the misplaced addresses if they are many, and more than the running edition misplaces.

    An operator's database of their own few networks knows none of them, and need not begin to.
    """
    if Field.COUNTRY not in candidate.fields:
        return []
    wrong = _misplaced(candidate, sentinels)
    borne = len(_misplaced(running, sentinels)) if running is not None and Field.COUNTRY in running.fields else 0
    if len(wrong) <= max(_MOST_WRONG * len(sentinels), borne):
        return []
    return [f"well-known addresses are in the wrong place: {'; '.join(wrong)}"]


def _misplaced(reader: Reader, sentinels: Sequence[Sentinel]) -> list[str]:
    wrong = []
    for address, country in sentinels:
        answer = reader.read(address)
        found = answer.country if isinstance(answer, GeoRecord) else None
        if found != country:
            wrong.append(f"{address} is {found or 'nowhere'} instead of {country}")
    return wrong


def _special(candidate: Reader) -> list[str]:
    placed = []
    for address in SPECIAL:
        answer = candidate.read(address)
        if isinstance(answer, GeoRecord) and (answer.country or answer.asn):
            placed.append(f"{address} in {answer.country or f'AS{answer.asn}'}")
    return [f"addresses that are nowhere have a place: {'; '.join(placed)}"] if placed else []


def _change(candidate: Source, running: Source, addresses: Iterable[str]) -> Share:
    compared = changed = 0
    answer = _ANSWER[_compared(running.fields)]
    for address in addresses:
        old, new = answer(running.read(address)), answer(candidate.read(address))
        if old is not None or new is not None:
            compared += 1
            changed += old != new
    return Share(compared, changed)


def _compared(fields: frozenset[Field]) -> Field:
    return next(field for field in (Field.COUNTRY, Field.ASN, Field.ANONYMIZER, Field.SUBDIVISION) if field in fields)


_ANSWER: Final[dict[Field, Callable[[object], object]]] = {
    Field.COUNTRY: lambda answer: answer.country if isinstance(answer, GeoRecord) else None,
    Field.SUBDIVISION: lambda answer: answer.subdivision if isinstance(answer, GeoRecord) else None,
    Field.ASN: lambda answer: answer.asn if isinstance(answer, GeoRecord) else None,
    Field.ANONYMIZER: lambda answer: (answer.flags or None) if isinstance(answer, GeoRecord) else None,
}


def _copied(candidate: Path, destination: Path) -> Path:
    """Return a copy of the candidate in the destination's own folder, on the disk: a rename does not leave a folder."""
    try:
        with candidate.open("rb") as source:
            descriptor, name = tempfile.mkstemp(
                prefix=f".{destination.name}.", suffix=".partial", dir=destination.parent
            )
            with os.fdopen(descriptor, "wb") as out:
                while chunk := source.read(1 << 20):
                    out.write(chunk)
                out.flush()
                os.fchmod(out.fileno(), 0o644)
                os.fsync(out.fileno())
    except OSError as error:
        raise BadEdition(f"{error.filename or candidate}: cannot be copied: {error.strerror or error}") from error
    return Path(name)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
