"""Where a Redis or Valkey is, and a client for it: one server, sentinels before it, or a cluster."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import NoBackoff
from redis.maint_notifications import MaintNotificationsConfig

_CLOSE_WITHIN_S: Final = 1.0
_LARGEST_SECRET: Final = 64 * 1024
Client = Redis | RedisCluster


class Place(NamedTuple):
    """Where it is, and how it is asked."""

    kind: str
    """`server`, `sentinel` or `cluster`."""
    hosts: tuple[tuple[str, int], ...]
    service: str = ""
    """What sentinels call the servers that they watch."""
    database: int = 0
    tls: bool = False
    ca_file: Path | None = None
    """Who signs its certificate; None: whom the system trusts."""
    cert_file: Path | None = None
    key_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    sentinel_password_file: Path | None = None
    within_s: float = 0.05
    """How long one command may take."""
    connect_within_s: float = 1.0
    connections: int = 16

    @property
    def name(self) -> str:
        """What it is called in the log."""
        return ",".join(f"{host}:{port}" for host, port in self.hosts)


def client_of(place: Place) -> Client:
    """Return a client that is not connected. Raise OSError or ValueError where a file of it cannot be read.

    Secrets are read now: whoever replaced one is let in at the next connection.
    """
    options = _options(place)
    match place.kind:
        case "sentinel":
            asked = {**_waits(place), **_tls(place), "password": _secret(place.sentinel_password_file)}
            sentinels = Sentinel(place.hosts, sentinel_kwargs=asked, **options)  # type: ignore[no-untyped-call]  # in the library
            found: Redis = sentinels.master_for(place.service, db=place.database)
            return found
        case "cluster":
            nodes = [ClusterNode(host, port) for host, port in place.hosts]
            return RedisCluster(startup_nodes=nodes, **options)
        case _:
            ((host, port),) = place.hosts
            return Redis(host=host, port=port, db=place.database, **options)


async def closed(client: Client) -> None:
    """Close every connection of a client, also where the other side is silent."""
    with suppress(Exception):
        async with asyncio.timeout(_CLOSE_WITHIN_S):
            await client.aclose()
    # What the library forgets: a cluster's nodes, where it means to look at the cluster anew, and the sentinels.
    left: list[Callable[[], Awaitable[None]]] = []
    if isinstance(client, RedisCluster):
        nodes = client.nodes_manager
        left = [node.disconnect for node in {*nodes.nodes_cache.values(), *nodes.startup_nodes.values()}]
    elif isinstance(client.connection_pool, SentinelConnectionPool):
        left = [one.aclose for one in client.connection_pool.sentinel_manager.sentinels]
    for close in left:
        with suppress(Exception):
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await close()


def _options(place: Place) -> dict[str, Any]:
    return {
        **_waits(place),
        **_tls(place),
        "username": place.username,
        "password": _secret(place.password_file),
        # One more than are used at once: whoever waits for messages has a connection of his own.
        "max_connections": place.connections + 2,
    }


def _waits(place: Place) -> dict[str, Any]:
    """Return what bounds a client's waits. It repeats nothing: who asked has given up by then."""
    return {
        "socket_connect_timeout": place.connect_within_s,
        "socket_timeout": place.connect_within_s,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 3,
        # Redis 6.2 knows neither of what these would say.
        "driver_info": None,
        "maint_notifications_config": MaintNotificationsConfig(enabled=False),
    }


def _tls(place: Place) -> dict[str, Any]:
    if not place.tls:
        return {}
    files = {"ssl_ca_certs": place.ca_file, "ssl_certfile": place.cert_file, "ssl_keyfile": place.key_file}
    return {"ssl": True, **{name: str(file) for name, file in files.items() if file is not None}}


def _secret(file: Path | None) -> str | None:
    if file is None:
        return None
    with file.open("rb") as opened:
        content = opened.read(_LARGEST_SECRET)
    return content.decode().rstrip("\r\n")
