"""The scores of the last days' withdrawals in the store, added up over all processes."""

from typing import Any, Final

import sqlalchemy as sa
import structlog

from gateway.adapters.dialects import insert_into
from gateway.adapters.schema import EVERYONE
from gateway.adapters.sql import AccountStore
from gateway.core.score_days import ScoreDays

log: Any = structlog.get_logger("gateway")

_NAME: Final = "withdrawal scores"
_KEPT: Final = sa.select(EVERYONE.c.blob).where(EVERYONE.c.name == _NAME)


class ScoreStore:
    """The `Scores` of `service.hold_line`: one row beside the counts of all accounts."""

    def __init__(self, store: AccountStore) -> None:
        self._store = store

    async def add(self, counted: ScoreDays) -> ScoreDays:
        """Keep these counts with all others, and return them together. Raise StoreUnavailable: then none is kept."""
        what = "count the scores of withdrawals"
        if not counted.days:
            async with self._store.reading(what, self._store.write_within_s) as connection:
                return _read((await connection.execute(_KEPT)).scalar_one_or_none())
        now = self._store.clock.now()
        # Read and written in one transaction that nobody else can write within: no count is lost between two.
        async with self._store.writing(what) as connection:
            kept = _read((await connection.execute(_KEPT)).scalar_one_or_none())
            kept.add(counted)
            kept.forget(now)
            new = insert_into(connection, EVERYONE).values(name=_NAME, number=now, blob=kept.to_bytes())
            values = {"number": new.excluded.number, "blob": new.excluded.blob}
            await connection.execute(new.on_conflict_do_update(index_elements=[EVERYONE.c.name], set_=values))
        return kept


def _read(blob: bytes | None) -> ScoreDays:
    if blob is None:
        return ScoreDays()
    try:
        return ScoreDays.from_bytes(blob)
    except ValueError as fault:
        # Fixed lines serve until there is history enough again.
        log.error("scores:damaged", fault=str(fault))  # noqa: TRY400 - the fault says it all
        return ScoreDays()
