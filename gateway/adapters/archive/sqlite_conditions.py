"""What a search asks, as conditions on the tables of the embedded archive."""

import sqlite3
from typing import Final, NamedTuple

from gateway.adapters.archive.sqlite_schema import first_id
from gateway.core.search import Search, packed_range

_FARTHEST: Final = 1 << 62

Value = str | int | bytes


class Condition(NamedTuple):
    """SQL to put behind others, beginning with AND (or nothing), and its parameters."""

    sql: str = ""
    values: tuple[Value, ...] = ()


def joined(*conditions: Condition) -> Condition:
    """Return conditions as one."""
    values = tuple(value for condition in conditions for value in condition.values)
    return Condition("".join(condition.sql for condition in conditions), values)


class Bounds(NamedTuple):
    """What ids are sought between, and what their instants must be besides."""

    first: bytes
    """Inclusive."""
    end: bytes
    """Exclusive."""
    at: Condition
    """On `d`, a decision."""


class Asked(NamedTuple):
    """A search, taken apart. Every condition but `shape` speaks of `r`, a ruling."""

    account: Condition
    ticket: Condition
    address: Condition
    asn: Condition
    shape: Condition
    """On `s`, a shape."""

    @property
    def shaped(self) -> Condition:
        """Whether the ruling has one of the shapes."""
        return self.in_shapes("r.shape")

    @property
    def ruling(self) -> Condition:
        """All conditions together."""
        return joined(self.account, self.ticket, self.address, self.asn, self.shaped)

    def in_shapes(self, column: str) -> Condition:
        """Whether a column holds one of the shapes."""
        if not self.shape.sql:
            return Condition()
        shapes = f"SELECT s.id FROM shapes s WHERE 1{self.shape.sql}"  # noqa: S608 - our own conditions
        return Condition(f" AND {column} IN ({shapes})", self.shape.values)


def take_apart(search: Search) -> Asked:
    """Return the conditions of a search, those on time apart."""
    account = ticket = address = asn = Condition()
    if search.account is not None:
        account = Condition(" AND r.account = ?", (search.account,))
    if search.ticket is not None:
        ticket = Condition(" AND r.ticket = ?", (search.ticket,))
    if search.address is not None:
        address = Condition(" AND r.address BETWEEN ? AND ?", packed_range(search.address))
    if search.asn is not None:
        which = "SELECT 1 FROM ruling_asns a WHERE a.asn = ? AND a.epoch = r.epoch AND a.ruling = r.id"
        asn = Condition(f" AND EXISTS ({which})", (search.asn,))
    return Asked(account, ticket, address, asn, _shape(search))


def _shape(search: Search) -> Condition:
    kind = Condition()
    if search.operation is not None:
        kind = joined(kind, Condition(" AND operation = ?", (search.operation,)))
    if search.outcome is not None:
        kind = joined(kind, Condition(" AND outcome = ?", (search.outcome,)))
    if search.reason is not None:
        kind = joined(kind, Condition(" AND reason = ?", (search.reason,)))
    if search.bundle is not None:
        kind = joined(kind, Condition(" AND substr(bundle, 1, ?) = ?", (len(search.bundle), search.bundle)))
    shape = Condition()
    if kind.sql:
        kinds = f"SELECT id FROM kinds WHERE 1{kind.sql}"  # noqa: S608 - our own conditions
        shape = Condition(f" AND s.kind IN ({kinds})", kind.values)
    if search.country is not None:
        shape = joined(
            shape, Condition(" AND s.id IN (SELECT shape FROM shape_countries WHERE country = ?)", (search.country,))
        )
    if search.rule is not None:
        shape = joined(shape, Condition(" AND s.id IN (SELECT shape FROM shape_rules WHERE rule = ?)", (search.rule,)))
    return shape


def bounds_of(database: sqlite3.Connection, search: Search, before: bytes | None) -> Bounds:
    """Return between which ids the search may find anything, ids being less than `before`."""
    # What an id says of its time and `at` may differ: by the microseconds of a millisecond, and by more where a clock
    # was stepped. How far they ever did is known.
    low, high = database.execute("SELECT low, high FROM skew").fetchone()
    first, end, at = b"", b"\xff" * 17, Condition()
    if search.since is not None:
        since = min(max(search.since, -_FARTHEST), _FARTHEST + 1)
        first = first_id((since - high) // 1000)
        at = joined(at, Condition(" AND d.at >= ?", (since,)))
    if search.until is not None:
        until = min(max(search.until, -_FARTHEST), _FARTHEST + 1)
        last = (until - 1 - low) // 1000
        end = first_id(last + 1) if last >= 0 else b""
        at = joined(at, Condition(" AND d.at < ?", (until,)))
    return Bounds(first, end if before is None else min(end, before), at)
