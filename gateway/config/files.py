"""The files that settings name: each can be read, and holds what it must, before anything starts."""

import os
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from gateway.config.knowing import BUILT_IN, LIBRARY
from gateway.config.problems import Problem
from gateway.config.settings import Settings
from gateway.config.upstreams import Upstream
from gateway.config.values import meant

LARGEST_SECRET: Final = 64 * 1024
LEAST_DIGEST_KEY: Final = 32


def text_of(path: Path, largest: int) -> str:
    """Return what the file holds. Raise OSError, or ValueError where it is too large or not text."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise ValueError("is not a file")
    with path.open("rb") as file:
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"is larger than {largest} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text (byte {error.start})") from None


def why(error: OSError | ValueError) -> str:
    """Return why a file cannot be read, in plain words."""
    return f"cannot be read: {error.strerror}" if isinstance(error, OSError) else str(error)


def unusable_files(settings: Settings) -> Iterator[Problem]:
    """Yield a problem for each file that settings name and that cannot be read."""
    identity = settings.identity
    if identity is not None and identity.jwks is not None and "://" not in identity.jwks:
        yield from _unreadable(("identity", "jwks"), identity.jwks)
    if identity is not None and identity.secret_file is not None:
        unreadable = list(_unreadable(("identity", "secret_file"), identity.secret_file))
        yield from unreadable
        if not unreadable:
            try:
                identity.require_long_enough(identity.secret_file.read_bytes().rstrip(b"\r\n"), "secret_file")
            except ValueError as error:
                yield Problem(("identity", "secret_file"), str(error))
    for name, paths in (("paths", settings.policies.paths), ("shadow", settings.policies.shadow)):
        for number, path in enumerate(paths):
            if not path.startswith(LIBRARY):
                yield from _unreadable(("policies", name, number), path, (LIBRARY,), folder=True)
    for kind in ("country", "subdivision", "asn", "anonymizer"):
        for number, source in enumerate(getattr(settings.geodb, kind)):
            if source not in BUILT_IN:
                yield from _unreadable(("geodb", kind, number), source, BUILT_IN)
    for name, file in settings.geodb.networks.items():
        yield from _unreadable(("geodb", "networks", name), file)
    yield from _unusable_for_the_store(settings)
    yield from _unusable_for_sharing(settings)
    yield from _unusable_for_upstreams(settings)
    yield from _unusable_for_recording(settings)
    yield from _unusable_for_the_desk(settings)


def _unusable_for_the_store(settings: Settings) -> Iterator[Problem]:
    if settings.store.password_file is not None:
        yield from _without_secret(("store", "password_file"), settings.store.password_file)
    if settings.store.ca_file is not None:
        yield from _unreadable(("store", "ca_file"), settings.store.ca_file)


def _unusable_for_sharing(settings: Settings) -> Iterator[Problem]:
    redis = settings.store.redis
    if redis is None:
        return
    for key in ("ca_file", "cert_file"):
        if (file := getattr(redis, key)) is not None:
            yield from _unreadable(("store", "redis", key), file)
    for key, least in (
        ("password_file", 1),
        ("sentinel_password_file", 1),
        ("key_file", 1),
        ("cache_key_file", LEAST_DIGEST_KEY),
    ):
        if (file := getattr(redis, key)) is not None:
            yield from _without_secret(("store", "redis", key), file, least)


def _unusable_for_upstreams(settings: Settings) -> Iterator[Problem]:
    tables: list[tuple[tuple[str | int, ...], Upstream | None]] = [(("upstream",), settings.upstream)]
    tables += [(("upstreams", number), one) for number, one in enumerate(settings.upstreams)]
    for location, upstream in tables:
        for key in ("ca_file", "cert_file", "key_file"):
            if upstream is not None and (file := getattr(upstream, key)) is not None:
                yield from _unreadable((*location, key), file)


def _unusable_for_recording(settings: Settings) -> Iterator[Problem]:
    for number, place in enumerate(settings.journal.publishing):
        if place.secret_file is not None:
            yield from _without_secret(("journal", "publish", number, "secret_file"), place.secret_file)
    if settings.risk is not None:
        yield from _without_secret(("risk", "key_file"), settings.risk.key_file, LEAST_DIGEST_KEY)
    if settings.device is not None and settings.device.key_file is not None:
        yield from _without_secret(("device", "key_file"), settings.device.key_file, LEAST_DIGEST_KEY)
    if settings.archive.digest_key is not None:
        yield from _without_secret(("archive", "digest_key"), settings.archive.digest_key, LEAST_DIGEST_KEY)
    for number, sink in enumerate(settings.sinks):
        for key in ("token_file", "password_file", "credentials_file", "key_file"):
            file: Path | None = getattr(sink, key)
            if file is not None:
                yield from _without_secret(("sinks", number, key), file)
        for key in ("ca_file", "cert_file"):
            if (file := getattr(sink, key)) is not None:
                yield from _unreadable(("sinks", number, key), file)


def _unusable_for_the_desk(settings: Settings) -> Iterator[Problem]:
    # What these files must hold is said by who reads them, when it is built.
    for number, webhook in enumerate(settings.webhooks):
        yield from _unreadable(("webhooks", number, "secret_file"), webhook.secret_file)
        if webhook.ca_file is not None:
            yield from _unreadable(("webhooks", number, "ca_file"), webhook.ca_file)
    for number, issuer in enumerate(settings.security_events):
        if "://" not in issuer.jwks:
            yield from _unreadable(("security_events", number, "jwks"), issuer.jwks)
    if settings.evidence is not None:
        yield from _unreadable(("evidence", "key_file"), settings.evidence.key_file)
        if settings.evidence.credentials_file is not None:
            yield from _unreadable(("evidence", "credentials_file"), settings.evidence.credentials_file)
    if settings.tracing is not None:
        for key in ("headers_file", "ca_file"):
            if (file := getattr(settings.tracing, key)) is not None:
                yield from _unreadable(("tracing", key), file)
    if settings.identity_results is not None:
        yield from _unreadable(("identity_results", "secret_file"), settings.identity_results.secret_file)


def _without_secret(location: tuple[str | int, ...], path: Path, least: int = 1) -> Iterator[Problem]:
    """Yield why a file holds no secret of `least` bytes; never what it holds."""
    unreadable = list(_unreadable(location, path))
    yield from unreadable
    if unreadable:
        return
    with path.open("rb") as file:
        length = len(file.read(LARGEST_SECRET + 1).rstrip(b"\r\n"))
    if length > LARGEST_SECRET:
        yield Problem(location, f"`{path}` is larger than {LARGEST_SECRET} bytes")
    elif length < least:
        few = "is empty" if not length else f"has {length} bytes, and {least} or more of randomness are needed"
        yield Problem(location, f"`{path}` {few}; `openssl rand -hex 32 > FILE` makes 64")


def _unreadable(
    location: tuple[str | int, ...],
    path: str | Path,
    words: Sequence[str] | frozenset[str] = (),
    *,
    folder: bool = False,
) -> Iterator[Problem]:
    path = Path(path)
    try:
        mode = path.stat().st_mode
        if folder and stat.S_ISDIR(mode):
            os.scandir(path).close()
        elif stat.S_ISREG(mode):
            path.open("rb").close()
        else:
            yield Problem(location, f"`{path}` is not a file")
    except FileNotFoundError:
        neighbours = [one.name for one in path.parent.iterdir()] if path.parent.is_dir() else []
        yield Problem(location, f"no such file `{path}`{meant(path.name, [*words, *neighbours])}")
    except OSError as error:
        yield Problem(location, f"`{path}` cannot be read: {error.strerror}")
