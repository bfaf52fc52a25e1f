"""Lists of networks, one a line, that can be asked whether they contain an address."""

import hashlib
import os
from bisect import bisect_right
from collections.abc import Iterable
from ipaddress import ip_network
from pathlib import Path
from typing import Final

from geodb.edition import BadEdition, Edition, slug
from geodb.reader import Stamp
from geodb.record import Field

LARGEST_LIST: Final = 64 << 20
LONGEST_LINE: Final = 256
Range = tuple[int, int]


class NetworkList:
    """The addresses of one list: IPv4 and IPv6 apart, as ranges that neither touch nor overlap."""

    fields: Final[frozenset[Field]] = frozenset()

    def __init__(self, edition: Edition, networks: Iterable[tuple[int, int, int]], stamp: Stamp) -> None:
        """Build from (version, first, last)."""
        by_version: dict[int, list[Range]] = {4: [], 6: []}
        for version, first, last in networks:
            by_version[version].append((first, last))
        v4, v6 = merged(by_version[4]), merged(by_version[6])
        self._starts_v4, self._ends_v4 = [first for first, _ in v4], [last for _, last in v4]
        self._starts_v6, self._ends_v6 = [first for first, _ in v6], [last for _, last in v6]
        self.edition = edition
        self.stamp = stamp
        self.ranges = len(v4) + len(v6)

    @classmethod
    def open(cls, path: Path, name: str) -> "NetworkList":
        """Return the list in the file. Raise BadEdition naming the line that is not a network."""
        try:
            with path.open("rb") as file:
                found = os.fstat(file.fileno())
                content = file.read(LARGEST_LIST + 1)
        except OSError as error:
            raise BadEdition(f"{path}: cannot be read: {error.strerror or error}") from error
        if len(content) > LARGEST_LIST:
            raise BadEdition(f"{path}: larger than {LARGEST_LIST} bytes, not a list of networks")
        networks = [
            parsed for number, line in enumerate(content.split(b"\n"), 1) if (parsed := _network(line, number, path))
        ]
        if not networks:
            raise BadEdition(f"{path}: names no network; an empty list would pass everybody for an ordinary visitor")
        edition = Edition(
            name=slug(name),
            path=path,
            database_type="list of networks",
            built_at=int(found.st_mtime),
            sha256=hashlib.sha256(content).hexdigest(),
            size=len(content),
        )
        return cls(edition, networks, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))

    def contains(self, packed: bytes) -> bool:
        """Return whether the address, as 4 or 16 bytes in network order, is in the list."""
        number = int.from_bytes(packed, "big")
        if len(packed) == 4:
            at = bisect_right(self._starts_v4, number)
            return at > 0 and number <= self._ends_v4[at - 1]
        at = bisect_right(self._starts_v6, number)
        return at > 0 and number <= self._ends_v6[at - 1]


def merged(ranges: Iterable[Range]) -> list[Range]:
    """Return the same addresses as ascending ranges, as few as can be."""
    result: list[Range] = []
    for first, last in sorted(ranges):
        if result and first <= result[-1][1] + 1:
            result[-1] = (result[-1][0], max(result[-1][1], last))
        else:
            result.append((first, last))
    return result


def _network(line: bytes, number: int, path: Path) -> tuple[int, int, int] | None:
    if len(line) > LONGEST_LINE:
        raise BadEdition(f"{path}, line {number}: longer than {LONGEST_LINE} bytes; expected one network a line")
    text = line.decode("utf-8", "replace").partition("#")[0].strip()
    if not text:
        return None
    try:
        network = ip_network(text)
    except ValueError as error:
        raise BadEdition(f"{path}, line {number}: {_why(text, error)}") from error
    if network.version == 6 and network.network_address.ipv4_mapped is not None:
        raise BadEdition(f"{path}, line {number}: `{text}` maps IPv4 into IPv6; write the IPv4 network itself")
    return network.version, int(network.network_address), int(network.broadcast_address)


def _why(text: str, error: ValueError) -> str:
    try:
        return f"`{text[:60]}` has host bits set: did you mean `{ip_network(text, strict=False)}`?"
    except ValueError:
        return f"`{text[:60]}` is not a network such as 192.0.2.0/24 or 2001:db8::/32 ({str(error)[:80]})"
