"""Redis or Valkey beside the store, wired: a bell for every gateway, a cache for those that have its key."""

import random
import secrets
from typing import Final, Protocol

from prometheus_client.registry import Collector

from gateway.adapters.numbered import Ask
from gateway.adapters.sql import AccountStore
from gateway.config.sharing import Redis
from gateway.core.errors import ConfigError
from gateway.service.gather import Snapshots

LARGEST_KEY: Final = 64 * 1024


class Sharing(Protocol):
    """What is shared beside the store."""

    @property
    def snapshots(self) -> Snapshots | None:
        """Accounts as of lately; None where there is no cache."""

    @property
    def metrics(self) -> Collector:
        """What became of it."""

    @property
    def up(self) -> bool:
        """Whether it answered last."""

    async def start(self) -> None:
        """Begin, without waiting for it."""

    async def close(self) -> None:
        """Let go of it."""


def sharing_of(redis: Redis | None, store: AccountStore, ask: Ask) -> Sharing | None:
    """Return what is shared under these settings, not started; None where nothing is. Raise ConfigError.

    `ask` stands before every read of the store.
    """
    if redis is None:
        return None
    # Its client takes a while to import, and most gateways have no use for it.
    from gateway.adapters.redis.bell import Bell  # noqa: PLC0415 - see above
    from gateway.adapters.redis.link import Link  # noqa: PLC0415 - see above
    from gateway.adapters.redis.place import Place  # noqa: PLC0415 - see above
    from gateway.adapters.redis.shared import Shared  # noqa: PLC0415 - see above

    address = redis.address
    place = Place(
        kind=address.kind,
        hosts=address.hosts,
        service=address.service,
        database=address.database,
        tls=address.tls,
        ca_file=redis.ca_file,
        cert_file=redis.cert_file,
        key_file=redis.key_file,
        username=redis.username,
        password_file=redis.password_file,
        sentinel_password_file=redis.sentinel_password_file,
        within_s=redis.timeout_ms / 1000,
        connect_within_s=redis.connect_timeout_ms / 1000,
        connections=redis.connections,
    )
    link = Link(place, chance=random.random)
    bell = Bell(link, f"{redis.prefix}:bell", store.look, name=secrets.token_hex(8))
    return Shared(link, bell, store, ask=ask, secret=_secret(redis), prefix=redis.prefix, keep_s=redis.cache_for_s)


def _secret(redis: Redis) -> bytes | None:
    """Return what snapshots are authenticated by; None where none are kept. Raise ConfigError."""
    if redis.cache_key_file is None:
        return None
    try:
        with redis.cache_key_file.open("rb") as file:
            return file.read(LARGEST_KEY).rstrip(b"\r\n")
    except OSError as fault:
        raise ConfigError(f"store.redis.cache_key_file: cannot be read: {fault.strerror}") from fault
