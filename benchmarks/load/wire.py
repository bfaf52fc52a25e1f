"""The file through which requests reach a load generator: each behind its length in four bytes."""

import struct
from collections.abc import Iterable
from pathlib import Path

_LENGTH = struct.Struct(">I")


def write(path: Path, requests: Iterable[bytes]) -> None:
    """Write the requests to a file."""
    with path.open("wb") as file:
        for request in requests:
            file.write(_LENGTH.pack(len(request)))
            file.write(request)


def read(path: Path) -> list[bytes]:
    """Return the requests of a file that `write` wrote."""
    data = path.read_bytes()
    requests: list[bytes] = []
    position = 0
    while position < len(data):
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        requests.append(data[position : position + length])
        position += length
    return requests
