"""Counting what was decided, from what was added up as it was taken."""

from collections.abc import Sequence
from typing import Final

from gateway.adapters.archive.documents import Kind
from gateway.adapters.archive.postgres_schema import Connection, bounded
from gateway.ports import Count, Step

_HOUR: Final = 3_600_000_000
_DAY: Final = 24 * _HOUR
# Arrays, because a record for each number would take longer than adding them up.
_HOURS: Final = """
    SELECT hour AS start, array_agg(kind) AS kinds, array_agg(decisions) AS decisions FROM counts
    WHERE hour >= $1 AND hour < $2 GROUP BY hour ORDER BY hour
"""
_EACH: Final = f"""
    SELECT day, kind, decisions FROM counts_of_days WHERE day >= $3 AND day < $4
    UNION ALL
    SELECT hour - ((hour % {_DAY}) + {_DAY}) % {_DAY} AS day, kind, sum(decisions)::bigint FROM counts
    WHERE (hour >= $1 AND hour < least($3, $2)) OR (hour >= greatest($4, $1) AND hour < $2) GROUP BY 1, 2
"""  # noqa: S608 - a number that never changes
"""What whole days between `$3` and `$4` had, and what the hours had that lie before and after them."""
_DAYS: Final = f"""
    SELECT day AS start, array_agg(kind) AS kinds, array_agg(decisions) AS decisions FROM ({_EACH}) AS each
    GROUP BY day ORDER BY day
"""  # noqa: S608 - no value is part of it
_ALL: Final = f"""
    SELECT $1::bigint AS start, array_agg(kind) AS kinds, array_agg(decisions) AS decisions FROM (
        SELECT kind, sum(decisions)::bigint AS decisions FROM ({_EACH}) AS each GROUP BY kind
    ) AS added HAVING count(*) > 0
"""  # noqa: S608 - no value is part of it


async def counted(connection: Connection, since: int, until: int, step: Step) -> Sequence[Count]:
    """Return how many decisions of each kind the hours that begin in `[since, until)` had, oldest first."""
    first, last = bounded(since), bounded(until)
    if step is Step.HOUR:
        rows = await connection.fetch(_HOURS, first, last)
    else:
        # From the first midnight to the last one; where there are not two, from a day's end back to its beginning.
        whole = (-(-first // _DAY) * _DAY, max(-(-first // _DAY) * _DAY, last // _DAY * _DAY))
        rows = await connection.fetch(_DAYS if step is Step.DAY else _ALL, first, last, *whole)
    numbered = await connection.fetch("SELECT number, operation, outcome, reason, country, bundle FROM kinds")
    kinds = {number: Kind(*kind) for number, *kind in numbered}
    return [
        Count(since if step is Step.ALL else start, *kinds[kind], number)
        for start, of_start, numbers in rows
        for kind, number in zip(of_start, numbers, strict=True)
    ]
