"""Erasing in PostgreSQL: decisions get rulings and requests without personal data, in batches that can be resumed."""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from gateway.adapters.archive.documents import read_ruling
from gateway.adapters.archive.postgres_ruling import Key, NewRuling, add_rulings, terms_asked, unpacked_document
from gateway.adapters.archive.postgres_schema import EPOCH_MS, TAKING, Connection, Skew, bounded, id_at
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Search, packed
from gateway.ports import Erasing, ruling_digest

_WALKED: Final = 10_000
"""Rulings that are looked at in one statement."""
_RULINGS: Final = 500
_DECISIONS: Final = 5000
"""What one transaction changes at most."""
_LAST_EPOCH: Final = (1 << 31) - 1
_DECISIONS_OF: Final = """
    SELECT sought.number AS ruling, d.id, d.request FROM unnest($1::bigint[]) WITH ORDINALITY AS sought (number, place)
    CROSS JOIN LATERAL (
        SELECT id, request FROM decisions
        WHERE ruling = sought.number AND id >= $2 AND id < $3 AND ($4::bigint IS NULL OR at < $4) LIMIT $5
    ) AS d ORDER BY sought.place LIMIT $5
"""
_ERASE: Final = """
    UPDATE decisions SET ruling = new.ruling, request = new.request, trace = NULL
    FROM unnest($1::uuid[], $2::bigint[], $3::bytea[]) AS new (id, ruling, request)
    WHERE decisions.id = new.id AND decisions.id >= $4 AND decisions.id < $5
"""
_REMOVE: Final = """
    DELETE FROM rulings WHERE number = ANY($1::bigint[])
    AND NOT EXISTS (SELECT FROM decisions d WHERE d.ruling = rulings.number AND d.id >= $2 AND d.id < $3)
"""


class _Which(NamedTuple):
    """What a ruling must satisfy, as SQL with one parameter, and its decisions."""

    sql: str
    value: object
    before: int | None


async def erase(connection: Connection, erasing: Erasing, pseudonyms: Pseudonyms) -> int:
    """Replace personal data by digests in the decisions that this is about; return how many it changed.

    Each batch is a transaction: what was erased stays erased where a later one fails, and is not looked at again.
    """
    which = await _which(connection, erasing)
    changed = 0
    after: int | None = 0
    while after is not None:
        # Nobody waits for the statement that finds them: what it found is looked at again below.
        found, after = await _next(connection, which, after)
        while found:
            async with connection.transaction():
                # Nobody takes meanwhile: what a taker has looked up must not go before it is named.
                await connection.execute("SELECT pg_advisory_xact_lock($1)", TAKING)
                done, some = await _erase_some(connection, found[:_RULINGS], which, pseudonyms)
            found = found[done:]
            changed += some
    return changed


async def _which(connection: Connection, erasing: Erasing) -> _Which:
    if erasing.account is not None:
        return _Which("terms @> $1::text[]", terms_asked(Search(account=erasing.account)), None)
    if erasing.address is not None:
        return _Which("address = $1", packed(erasing.address), None)
    before = bounded(erasing.before or 0)
    skew = Skew(*await connection.fetchrow("SELECT least, most FROM skew"))
    # The last epoch that may have a decision made before the instant.
    last = (before - 1 - skew.least) // 1000 // EPOCH_MS
    return _Which("epoch <= $1", min(max(last, -1), _LAST_EPOCH), before)


async def _next(connection: Connection, which: _Which, after: int) -> tuple[list[int], int | None]:
    """Return rulings that are to be erased, of those after this number; and after which the next ones come."""
    if which.before is None:
        # By a sum, since the planner would else walk all rulings in the order of their numbers.
        query = f"""
            SELECT number FROM rulings WHERE {which.sql} AND NOT erased AND number > $2 ORDER BY number + 0 LIMIT $3
        """  # noqa: S608 - our own condition
        found = [row["number"] for row in await connection.fetch(query, which.value, after, _WALKED)]
        return found, found[-1] if len(found) == _WALKED else None
    row = await connection.fetchrow(
        f"""
        SELECT max(number) AS last, array_agg(number ORDER BY number) FILTER (WHERE {which.sql} AND NOT erased) AS found
        FROM (SELECT number, epoch, erased FROM rulings WHERE number > $2 ORDER BY number LIMIT $3) AS part
        """,  # noqa: S608 - our own condition
        *(which.value, after, _WALKED),
    )
    return row["found"] or [], row["last"]


async def _erase_some(
    connection: Connection, numbers: Sequence[int], which: _Which, pseudonyms: Pseudonyms
) -> tuple[int, int]:
    """Erase as many of these rulings as one transaction may; return how many are done, and decisions changed."""
    rows = await connection.fetch(
        "SELECT number, epoch, kind, document FROM rulings WHERE number = ANY($1::bigint[])", numbers
    )
    if not rows:
        return len(numbers), 0
    epochs = [row["epoch"] for row in rows]
    ids = (id_at(min(epochs) * EPOCH_MS), id_at((max(epochs) + 1) * EPOCH_MS))
    decisions = await connection.fetch(_DECISIONS_OF, numbers, *ids, which.before, _DECISIONS)
    named = {one["ruling"] for one in decisions}
    erased = await _erased_rulings(connection, [row for row in rows if row["number"] in named], pseudonyms)
    await connection.execute(
        _ERASE,
        [one["id"] for one in decisions],
        [erased[one["ruling"]] for one in decisions],
        [pseudonyms.of_request(one["request"]) for one in decisions],
        *ids,
    )
    await connection.execute(_REMOVE, numbers, *ids)
    if len(decisions) < _DECISIONS:
        return len(numbers), len(decisions)
    # Of the last one there may be more: the next time begins with it.
    return numbers.index(decisions[-1]["ruling"]), len(decisions)


async def _erased_rulings(connection: Connection, rows: Sequence[Any], pseudonyms: Pseudonyms) -> dict[int, int]:
    """Return the number of the ruling that stands in place of each."""
    keys: dict[int, Key] = {}
    new: dict[Key, NewRuling] = {}
    for row in rows:
        document = pseudonyms.of_ruling(_readable(row["document"]))
        keys[row["number"]] = key = (row["epoch"], ruling_digest(document))
        read = read_ruling(document)
        new[key] = NewRuling(*key, row["kind"], read.found_by, document, erased=True, matter=read.matter)
    numbers = await add_rulings(connection, [new[key] for key in sorted(new)])
    return {number: numbers[key] for number, key in keys.items()}


def _readable(stored: bytes) -> bytes:
    try:
        return unpacked_document(stored)
    except ValueError:
        # Damaged: nobody can say what of it is personal, and it is replaced by what says so.
        return b""
