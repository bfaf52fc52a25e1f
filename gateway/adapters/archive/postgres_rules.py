"""Counting refusals by the rules that determined them, as they are taken into PostgreSQL, and reading it back."""

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

from gateway.adapters.archive.documents import ReadRuling
from gateway.adapters.archive.postgres_schema import Connection, bounded
from gateway.ports import RuleCount

_ADD: Final = """
    INSERT INTO rules (rule, bundle) SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING
"""
_NUMBERS: Final = """
    SELECT (SELECT number FROM rules r WHERE r.rule = sought.rule AND r.bundle = sought.bundle)
    FROM unnest($1::text[], $2::text[]) AS sought (rule, bundle)
"""
_COUNT: Final = """
    INSERT INTO rule_counts AS c (hour, rule, decisions)
    SELECT * FROM unnest($1::bigint[], $2::integer[], $3::bigint[])
    ON CONFLICT (hour, rule) DO UPDATE SET decisions = c.decisions + excluded.decisions
"""
_COUNTED: Final = """
    SELECT c.hour, r.rule, r.bundle, c.decisions FROM rule_counts c JOIN rules r ON r.number = c.rule
    WHERE c.hour >= $1 AND c.hour < $2 ORDER BY c.hour, c.rule
"""


class Rule(NamedTuple):
    """A rule of one bundle."""

    rule: str
    bundle: str


def rules_of(read: ReadRuling) -> tuple[Rule, ...]:
    """Return what the refusals that a ruling stands for are counted by."""
    return tuple(Rule(one, read.kind.bundle.replace("\0", "\ufffd")) for one in read.refused_by)


async def count_rules(connection: Connection, refused: Mapping[tuple[int, Rule], int]) -> None:
    """Add refusals of each hour and rule to what was counted before. To be called in a transaction."""
    if not refused:
        return
    # In one order in every process, so that two of them never wait for each other.
    rules = sorted({rule for _, rule in refused})
    columns = [list(column) for column in zip(*rules, strict=True)]
    known = await connection.fetch(_NUMBERS, *columns)
    if any(row[0] is None for row in known):
        await connection.execute(_ADD, *columns)
        known = await connection.fetch(_NUMBERS, *columns)
    numbers = dict(zip(rules, (row[0] for row in known), strict=True))
    rows = sorted((hour, numbers[rule], number) for (hour, rule), number in refused.items())
    await connection.execute(_COUNT, *map(list, zip(*rows, strict=True)))


async def rules_counted(connection: Connection, since: int, until: int) -> Sequence[RuleCount]:
    """Return how many refusals each rule determined in the hours that begin in `[since, until)`, oldest first."""
    return [RuleCount(*row) for row in await connection.fetch(_COUNTED, bounded(since), bounded(until))]
