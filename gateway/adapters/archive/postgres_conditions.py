"""What a search asks of rulings in PostgreSQL, and which of it their indexes are asked."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Network
from typing import NamedTuple

from gateway.adapters.archive.postgres_ruling import terms_asked
from gateway.adapters.archive.postgres_schema import Connection
from gateway.core.search import Search, packed_range


class Condition(NamedTuple):
    """What a ruling `r` must satisfy, as SQL whose parameters follow on the first ones of a statement."""

    parts: tuple[str, ...]
    """What the indexes are asked."""
    rest: tuple[str, ...]
    """What is looked at in each ruling that they find: where few are, another index costs more than it spares."""
    values: tuple[object, ...]
    kinds: Sequence[tuple[int, int]] | None
    """When each kind that fits was decided first and last."""
    narrow: bool
    """Few rulings can fit, and looking at the newest decisions first would be in vain."""

    def sql(self, before: int) -> str:
        """Return all of it, `before` parameters being there already."""
        return self._joined(self.parts + self.rest, before)

    def rulings_sql(self) -> str:
        """Return a query for the rulings that fit, from epoch `$1` (None for the first there is) to `$2`.

        No index is asked for all that lies before an epoch: where statistics are missing the planner thinks that it
        helps, and that is to read most of it.
        """
        return f"""
            SELECT epoch, number FROM (
                SELECT epoch, number, kind, address, terms FROM rulings r
                WHERE {self._joined(self.parts, 2)} AND ($1::integer IS NULL OR epoch BETWEEN $1 AND $2) OFFSET 0
            ) AS r WHERE {self._joined(self.rest, 2)} AND epoch <= $2
        """  # noqa: S608 - names and numbered parameters alone

    def _joined(self, parts: Sequence[str], before: int) -> str:
        numbers = [f"${before + n}" for n in range(1, len(self.values) + 1)]
        return " AND ".join(parts).format(*numbers) or "true"


async def condition_of(connection: Connection, search: Search) -> Condition | None:
    """Return what rulings must satisfy; None where none can."""
    first: list[str] = []
    rest: list[str] = []
    values: list[object] = []
    kinds = None
    narrow_terms = search.account is not None or search.ticket is not None
    narrow_address = search.address is not None and _is_small(search)
    narrow = narrow_terms or narrow_address
    if any(one is not None for one in (search.operation, search.outcome, search.reason, search.bundle, search.country)):
        rows = await connection.fetch(
            """
            SELECT number, first_at, last_at FROM kinds
            WHERE ($1::text IS NULL OR operation = $1) AND ($2::text IS NULL OR outcome = $2)
                AND ($3::text IS NULL OR reason = $3) AND ($4::text IS NULL OR starts_with(bundle, $4))
                AND ($5::text IS NULL OR country = $5 OR country IS NULL)
            """,
            *(search.operation, search.outcome, search.reason, search.bundle, search.country),
        )
        if not rows:
            return None
        kinds = [(row["first_at"], row["last_at"]) for row in rows]
        (rest if narrow else first).append(f"r.kind = ANY({{{len(values)}}}::integer[])")
        values.append([row["number"] for row in rows])
    if terms := terms_asked(search):
        (first if narrow_terms or not narrow else rest).append(f"r.terms @> {{{len(values)}}}::text[]")
        values.append(terms)
    if search.address is not None:
        place = first if narrow_address or not narrow else rest
        place.append(f"r.address BETWEEN {{{len(values)}}} AND {{{len(values) + 1}}}")
        values += packed_range(search.address)
    return Condition(tuple(first), tuple(rest), tuple(values), kinds, narrow)


def _is_small(search: Search) -> bool:
    if isinstance(search.address, IPv4Network | IPv6Network):
        return search.address.num_addresses <= 1 << (search.address.max_prefixlen // 2)
    return search.address is not None
