"""Bell and cache of one gateway: started, told of what the store's feed hears, and closed as one."""

from gateway.adapters.numbered import Ask, NumberedReads
from gateway.adapters.redis.bell import Bell
from gateway.adapters.redis.cached_accounts import CachedAccounts
from gateway.adapters.redis.known import Known
from gateway.adapters.redis.link import Link
from gateway.adapters.redis.metrics import RedisCounts, RedisMetrics
from gateway.adapters.redis.wrapping import Wrapping
from gateway.adapters.sql import AccountStore
from gateway.core.errors import ConfigError


class Shared:
    """What one process shares with others beside the store."""

    def __init__(
        self, link: Link, bell: Bell, store: AccountStore, *, ask: Ask, secret: bytes | None, prefix: str, keep_s: int
    ) -> None:
        """Build; without a secret nothing is cached. Raise ConfigError where it is too short to be one."""
        self._link = link
        self._bell = bell
        self._known = Known(store.changed_at)
        self.snapshots: CachedAccounts | None = None
        if secret is not None:
            try:
                wrapping = Wrapping(secret, prefix)
            except ValueError as fault:
                raise ConfigError(f"store.redis.cache_key_file: {fault}") from None
            reads = NumberedReads(store, ask)
            self.snapshots = CachedAccounts(link, reads, self._known, wrapping, clock=store.clock, keep_s=keep_s)
        self.metrics = RedisMetrics(self._counts)
        # Before the store looks for the first time, so that nothing it hears is missed.
        store.attend(look=self._known.heard, own_change=bell.ring)

    @property
    def up(self) -> bool:
        """Whether Redis answered last."""
        return self._link.up

    async def start(self) -> None:
        """Begin, without waiting for Redis."""
        await self._link.start()
        await self._bell.start()
        if self.snapshots is not None:
            await self.snapshots.start()

    async def close(self) -> None:
        """Ring for what was committed last, and let go."""
        if self.snapshots is not None:
            await self.snapshots.close()
        await self._bell.close()
        await self._link.close()

    def _counts(self) -> RedisCounts:
        latency = self._link.latency
        return RedisCounts(
            self._link.up,
            self._link.faults,
            {} if self.snapshots is None else self.snapshots.results,
            self._bell.sent,
            self._bell.heard,
            latency.buckets(),
            latency.sum_s,
        )
