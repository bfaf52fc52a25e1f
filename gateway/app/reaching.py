"""Whether what a gateway needs over the network answers: the store, keys, upstreams, and where things are sent."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from sqlalchemy import inspect

from gateway.adapters.backend import Bounds, backend_of
from gateway.adapters.clock import SystemClock
from gateway.app.parts import keys_of
from gateway.config import Settings
from gateway.core.errors import GatewayError

_WITHIN_S: Final = 5.0
_PORTS: Final = {"http": 80, "https": 443, "postgresql": 5432}
_ASKED: Final = frozenset({"url", "endpoint", "jwks", "timestamp_url"})
"""Keys whose values, where they are URLs, are reached over the network. (An issuer is only a name.)"""


class Reached(NamedTuple):
    """One place that was tried."""

    key: str
    """The key that names it."""
    place: str
    """Without credentials."""
    fault: str | None
    """None where it answered."""


async def reached(settings: Settings) -> AsyncIterator[Reached]:
    """Yield what became of trying each place, one after another.

    The store is opened where there is one, never made; the identity provider's keys are fetched; anywhere else a
    connection is opened, and nothing is said over it.
    """
    yield Reached("store.url", *await _store(settings))
    for key, url in _urls(settings.model_dump(by_alias=True)):
        if key == "store.url":
            continue
        if key == "store.redis.url":
            assert settings.store.redis is not None
            for host, port in settings.store.redis.address.hosts:
                yield Reached(key, f"{host}:{port}", await _opened(host, port))
            continue
        parts = urlsplit(url)
        port = parts.port or _PORTS.get(parts.scheme, 443)
        place = f"{parts.scheme}://{parts.hostname}:{port}"
        fault = await _keys(settings) if key == "identity.jwks" else await _opened(parts.hostname or "", port)
        yield Reached(key, place, fault)


async def _store(settings: Settings) -> tuple[str, str | None]:
    backend = backend_of(settings.store.url, Bounds(_WITHIN_S, _WITHIN_S))
    if not backend.is_there():
        return backend.name, None
    faults: tuple[type[Exception], ...] = (*backend.faults, GatewayError, OSError)
    try:
        async with asyncio.timeout(_WITHIN_S), backend.reading() as connection:
            # Opening alone reads nothing of a file.
            await connection.run_sync(lambda plain: inspect(plain).get_table_names())
            return backend.name, None
    except TimeoutError:
        return backend.name, _LATE
    except faults as fault:
        # What a driver says may quote what it was told.
        return backend.name, str(fault) if isinstance(fault, GatewayError) else type(fault).__name__
    finally:
        await backend.close()


async def _keys(settings: Settings) -> str | None:
    clock = SystemClock()
    keys = keys_of(settings, clock)
    assert keys is not None
    try:
        await keys.start()
        return None if keys.current(clock.now()) is not None else "no keys could be fetched"
    except GatewayError as fault:
        return str(fault)
    finally:
        await keys.close()


async def _opened(host: str, port: int) -> str | None:
    try:
        async with asyncio.timeout(_WITHIN_S):
            _, writer = await asyncio.open_connection(host, port)
    except TimeoutError:
        return _LATE
    except OSError as fault:
        return fault.strerror or str(fault)
    writer.close()
    return None


_LATE: Final = f"did not answer within {_WITHIN_S:.0f} s"


def _urls(value: Any, above: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401 - whatever settings hold
    """Yield every URL of another machine that is asked, and the key that names it."""
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield from _urls(one, f"{above}.{name}" if above else str(name))
    elif isinstance(value, list | tuple):
        for number, one in enumerate(value):
            yield from _urls(one, f"{above}[{number}]")
    elif isinstance(value, str) and above.rpartition(".")[2] in _ASKED and urlsplit(value).hostname:
        yield above, value
