"""Gets a file from a path or an https address, whole and as expected, or not at all."""

import gzip
import hashlib
import shutil
import ssl
import time
import urllib.error
import urllib.request
import zlib
from collections.abc import Callable
from http.client import HTTPException
from io import BufferedIOBase
from pathlib import Path
from typing import IO, BinaryIO, Final, NoReturn
from urllib.parse import urlsplit

from typing_extensions import override

from geodb.edition import BadEdition
from geodb.reader import LARGEST_FILE

_CHUNK: Final = 1 << 20
SILENCE_S: Final = 30.0
"""How long a server may say nothing."""
PATIENCE_S: Final = 900.0
"""How long a whole transfer may take; a server that trickles does not hold us for ever."""

Progress = Callable[[str, int], None]


def fetch(
    source: str,
    into: Path,
    *,
    sha256: str | None = None,
    limit: int = LARGEST_FILE,
    patience_s: float = PATIENCE_S,
    silence_s: float = SILENCE_S,
    context: ssl.SSLContext | None = None,
    progress: Progress | None = None,
) -> str:
    """Return the SHA-256 of what was got, now in the file `into`; `.gz` is unpacked (the digest is of the packed file).

    Raise BadEdition where it cannot be had, is larger than `limit`, packed or unpacked, or has another digest.
    """
    told = progress or (lambda _what, _count: None)
    try:
        with _opened(source, silence_s, context) as stream, into.open("wb") as out:
            got = _copied(stream, out, source, limit=limit, deadline=time.monotonic() + patience_s, told=told)
        _expected(got, sha256, source)
        if urlsplit(source).path.endswith(".gz"):
            _unpack(into, source, limit)
    except BadEdition:
        into.unlink(missing_ok=True)
        raise
    except (OSError, HTTPException, EOFError, zlib.error) as error:
        into.unlink(missing_ok=True)
        raise BadEdition(f"{source}: cannot be had: {_said(error)}") from error
    return got


def is_address(source: str) -> bool:
    """Return whether `source` is an address to fetch from rather than a path."""
    return "://" in source


def _opened(source: str, silence_s: float, context: ssl.SSLContext | None) -> BufferedIOBase:
    if not is_address(source):
        return Path(source).open("rb")
    if urlsplit(source).scheme != "https":
        _not_https(source)
    tls = urllib.request.HTTPSHandler(context=context or ssl.create_default_context())
    opener = urllib.request.build_opener(tls, _OnlyHttps)
    opened: BufferedIOBase = opener.open(source, timeout=silence_s)
    return opened


class _OnlyHttps(urllib.request.HTTPRedirectHandler):
    """Follows a redirect only to where nobody on the way can change the answer either."""

    @override
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: object, newurl: str
    ) -> urllib.request.Request | None:
        if urlsplit(newurl).scheme != "https":
            _not_https(newurl)
        return super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]  # as received


def _not_https(source: str) -> NoReturn:
    raise BadEdition(
        f"{source}: only https addresses and paths are fetched from, since anyone on the way can write http"
    )


def _expected(got: str, sha256: str | None, source: str) -> None:
    if sha256 is not None and got != sha256.lower():
        raise BadEdition(f"{source}: its SHA-256 is {got}, not the expected {sha256.lower()}")


def _copied(stream: BufferedIOBase, out: BinaryIO, source: str, *, limit: int, deadline: float, told: Progress) -> str:
    digest = hashlib.sha256()
    size = 0
    announced = getattr(stream, "length", None)
    # As much as has come, and not as much as was asked for: else a server that trickles is noticed only at the end.
    while chunk := stream.read1(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise BadEdition(f"{source}: larger than {limit} bytes")
        if time.monotonic() > deadline:
            raise BadEdition(f"{source}: did not arrive in time")
        digest.update(chunk)
        out.write(chunk)
        told("fetching", size)
    if announced is not None and size != announced:
        raise BadEdition(f"{source}: {size} bytes came of the {announced} that were announced")
    return digest.hexdigest()


def _unpack(packed: Path, source: str, limit: int) -> None:
    unpacked = packed.with_name(packed.name + ".unpacked")
    size = 0
    try:
        with gzip.open(packed, "rb") as stream, unpacked.open("wb") as out:
            while chunk := stream.read(_CHUNK):
                size += len(chunk)
                if size > limit:
                    raise BadEdition(f"{source}: larger than {limit} bytes when unpacked")
                out.write(chunk)
        shutil.move(unpacked, packed)
    finally:
        unpacked.unlink(missing_ok=True)


def _said(error: BaseException) -> str:
    if isinstance(error, urllib.error.HTTPError):
        error.close()
        return f"the server answers {error.code} {error.reason}"
    reason = error.reason if isinstance(error, urllib.error.URLError) else error
    return " ".join(str(reason).split())[:200] or type(error).__name__
