"""Carrying out what the journal's decisions ask for, wherever it is shipped from."""

from gateway.adapters.desk_store import DeskStore
from gateway.adapters.sql import AccountStore
from gateway.ports import Stretch
from gateway.service.errands import Carrier


class Carrying:
    """The store of accounts, opened when the first stretch is carried: a store that is away ends no shipping."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._store: AccountStore | None = None
        self._carrier: Carrier | None = None
        self._new = self._unreadable = 0

    def noted(self) -> dict[str, int]:
        """Return what was counted, for the progress file: see `adapters.metrics`."""
        return {"errands": self._new, "errands_unreadable": self._unreadable}

    async def carry(self, stretch: Stretch) -> int:
        """Return how many errands of a stretch were new. Raise StoreUnavailable: then it is to be carried again."""
        if self._carrier is None:
            store = AccountStore(self._url)
            try:
                await store.start()
            except BaseException:
                await store.close()
                raise
            self._store, self._carrier = store, Carrier(DeskStore(store))
        try:
            new = await self._carrier.carry(stretch)
        finally:
            self._unreadable = self._carrier.unreadable
        self._new += new
        return new

    async def close(self) -> None:
        """Let go of the store."""
        store, self._store, self._carrier = self._store, None, None
        if store is not None:
            await store.close()
