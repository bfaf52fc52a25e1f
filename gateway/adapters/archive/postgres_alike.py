"""All decisions of a stretch of time in PostgreSQL, by rulings, as one moment had them."""

from collections.abc import AsyncIterator, Mapping, Sequence
from itertools import pairwise
from typing import Any, Final
from uuid import UUID

from gateway.adapters.archive.alike import ADDRESS, ASN, AT_ONCE
from gateway.adapters.archive.documents import read_ruling
from gateway.adapters.archive.postgres_ruling import unpacked_document
from gateway.adapters.archive.postgres_schema import DAY_MS, EPOCH_MS, Connection, Skew, bounded, day_start, id_at
from gateway.core.alike import Alike, Each
from gateway.core.errors import StoreUnavailable

_ALIKE: Final = f"""
    SELECT r.number, r.matter,
        CASE WHEN starts_with(r.terms[1], 'account:') THEN substr(r.terms[1], 9) END AS account,
        CASE WHEN length(r.address) = {ADDRESS} THEN r.address END AS address,
        (SELECT CASE WHEN count(*) = 1 THEN min(term) END FROM unnest(r.terms) AS term WHERE starts_with(term, 'asn:'))
            AS asn,
        n.decisions, n.earliest, n.latest
    FROM (
        SELECT ruling, count(*) AS decisions, min(at) AS earliest, max(at) AS latest FROM decisions
        WHERE id >= $1 AND id < $2 AND at >= $3 AND at < $4 GROUP BY ruling
    ) AS n JOIN rulings r ON r.number = n.ruling
"""  # noqa: S608 - a number that never changes
_EPOCHS: Final = "SELECT number, epoch FROM rulings WHERE number = ANY($1::bigint[])"
_EACH: Final = """
    SELECT ruling, id, at, auth_age FROM decisions
    WHERE ruling = ANY($1::bigint[]) AND id >= $2 AND id < $3 AND at >= $4 AND at < $5
"""


class PostgresMoment:
    """The `Moment` port on a connection that is in a transaction of its own, of one instant."""

    def __init__(self, connection: Connection, taken: Mapping[str, tuple[int, int]]) -> None:
        self.taken = taken
        self._connection = connection
        self._skew: Skew | None = None

    async def alike(self, since: int, until: int) -> AsyncIterator[Sequence[Alike]]:
        """Yield the decisions made in `[since, until)`, by rulings. Raise StoreUnavailable."""
        since, until = bounded(since), bounded(until)
        low, high = await self._ids(since, until)
        days = [row["day"] for row in await self._connection.fetch("SELECT day FROM days")]
        # A ruling belongs to one day, so that none is told of twice.
        cuts = sorted({low, high, *(start for day in days for start in (day_start(day), day_start(day + 1)))})
        for first, end in pairwise(cut for cut in cuts if low <= cut <= high):
            # A day is read from its first decision to its last, which is what a table is read for. Nothing else is:
            # of a day that was taken just now there are no statistics, and each ruling would be sought in all of it.
            await self._connection.execute("SET LOCAL enable_seqscan = on")
            cursor = await self._connection.cursor(_ALIKE, first, end, since, until)
            await self._connection.execute("SET LOCAL enable_seqscan = off")
            while rows := await cursor.fetch(AT_ONCE):
                yield await self._read(rows)

    async def documents(self, rulings: Sequence[int]) -> Mapping[int, bytes]:
        """Return the JSON of rulings. Raise StoreUnavailable."""
        query = "SELECT number, document FROM rulings WHERE number = ANY($1::bigint[])"
        found: dict[int, bytes] = {}
        for start in range(0, len(rulings), AT_ONCE):
            for row in await self._connection.fetch(query, rulings[start : start + AT_ONCE]):
                try:
                    found[row["number"]] = unpacked_document(row["document"])
                except ValueError as fault:
                    raise StoreUnavailable(f"archive: {fault}") from None
        return found

    async def each(self, rulings: Sequence[int], since: int, until: int) -> Sequence[Each]:
        """Return the decisions of rulings that were made in `[since, until)`. Raise StoreUnavailable."""
        since, until = bounded(since), bounded(until)
        low, high = await self._ids(since, until)
        found: list[Each] = []
        for start in range(0, len(rulings), AT_ONCE):
            of_days: dict[int, list[int]] = {}
            for number, epoch in await self._connection.fetch(_EPOCHS, rulings[start : start + AT_ONCE]):
                of_days.setdefault(epoch * EPOCH_MS // DAY_MS, []).append(number)
            # A day at a time, since a ruling belongs to one: to seek each in every day is thirty times the work.
            for day, some in of_days.items():
                first, end = max(low, day_start(day)), min(high, day_start(day + 1))
                rows = await self._connection.fetch(_EACH, some, first, end, since, until)
                found += [Each(ruling, one.bytes, at, auth_age) for ruling, one, at, auth_age in rows]
        return found

    async def _ids(self, since: int, until: int) -> tuple[UUID, UUID]:
        """Return between which ids decisions lie that were made in time."""
        if self._skew is None:
            self._skew = Skew(*await self._connection.fetchrow("SELECT least, most FROM skew"))
        skew = self._skew
        low = id_at((since - skew.most) // 1000)
        return low, max(low, id_at((until - 1 - skew.least) // 1000 + 1))

    async def _read(self, rows: Sequence[Any]) -> list[Alike]:
        without = [row["number"] for row in rows if row["matter"] is None]
        # Taken before rulings had one.
        read = {ruling: read_ruling(document).matter for ruling, document in (await self.documents(without)).items()}
        return [
            Alike(number, matter or read[number], _account(account), address, _asn(asn), decisions, earliest, latest)
            for number, matter, account, address, asn, decisions, earliest, latest in rows
        ]


def _account(term: str | None) -> str | None:
    """Return the account as a term has it: one too long for an index is only told from others, not named."""
    if term is None or "\\" not in term:
        return term
    return term.encode("ascii").decode("unicode_escape")


def _asn(term: str | None) -> bytes | None:
    return None if term is None else int(term[4:]).to_bytes(ASN, "big")
