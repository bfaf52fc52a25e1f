"""Accounts as rows: what a transaction reads of one and writes of it. For calls inside a transaction of the store."""

from collections.abc import Sequence
from typing import Any, Final

import sqlalchemy as sa

from gateway.adapters.account_book import AuditEntry
from gateway.adapters.outbox_rows import tell
from gateway.adapters.schema import ACCOUNTS, AUDIT, FLAGS, HOLDS, TICKETS
from gateway.core.account import Account, Refused, checked, consequences, difference
from gateway.core.errors import StoreUnavailable

_NOW: Final = sa.bindparam("now", type_=sa.BigInteger)
_HELD: Final = (HOLDS.c.until.is_(None)) | (HOLDS.c.until > _NOW)


def _joined(column: sa.Column[str], where: sa.ColumnElement[bool]) -> sa.ScalarSelect[str]:
    return sa.select(sa.func.aggregate_strings(column, " ")).where(where).scalar_subquery()


WHOLE: Final = sa.select(
    ACCOUNTS.c.uid,
    ACCOUNTS.c.status,
    _joined(FLAGS.c.flag, FLAGS.c.account == ACCOUNTS.c.uid),
    ACCOUNTS.c.verification,
    ACCOUNTS.c.documents,
    ACCOUNTS.c.residence,
    ACCOUNTS.c.nationality,
    _joined(HOLDS.c.operation, (HOLDS.c.account == ACCOUNTS.c.uid) & _HELD),
)
"""An account with its flags and holds in one statement, so that it is never half of one and half of another."""
ONE: Final = WHOLE.where(ACCOUNTS.c.uid == sa.bindparam("uid"))


def account_of(row: Sequence[Any], store: object = "") -> Account:
    """Return the account of a row of `WHOLE`. Raise StoreUnavailable where it holds what no change could have made."""
    uid, status, flags, verification, documents, residence, nationality, holds = tuple(row)
    account = Account(uid, status, _set(flags), verification, _set(documents), residence, nationality, _set(holds))
    # A damaged page may still be a page. What no change could have written is no answer.
    result = checked(account)
    if isinstance(result, Refused):
        raise StoreUnavailable(f"store {store}: account `{uid}` is damaged: {result.message}")
    return result


def read_account(connection: sa.Connection, uid: str, now: int) -> Account | None:
    """Return the account as it is now, or None. Raise StoreUnavailable where it is damaged."""
    row = connection.execute(ONE, {"uid": uid, "now": now}).one_or_none()
    return None if row is None else account_of(row, connection.engine.url.database or "")


def write_account(connection: sa.Connection, before: Account | None, after: Account, entry: AuditEntry) -> None:
    """Write the account with its audit entry, and what the exchange must be told of the change. Holds stay."""
    values = {
        "status": after.status,
        "verification": after.verification,
        "documents": " ".join(sorted(after.documents)),
        "residence": after.residence,
        "nationality": after.nationality,
        "changed_at": entry.at,
    }
    if before is None:
        connection.execute(sa.insert(ACCOUNTS), {"uid": after.uid, "created_at": entry.at, **values})
        _hold_for_open_tickets(connection, after.uid)
    else:
        connection.execute(sa.update(ACCOUNTS).where(ACCOUNTS.c.uid == after.uid).values(values))
    had = before.flags if before is not None else frozenset()
    if gone := had - after.flags:
        connection.execute(sa.delete(FLAGS).where(FLAGS.c.account == after.uid, FLAGS.c.flag.in_(gone)))
    for flag in sorted(after.flags - had):
        row = {"account": after.uid, "flag": flag, "set_by": entry.who, "set_at": entry.at, "why": entry.why}
        connection.execute(sa.insert(FLAGS), row)
    old, new = difference(before, after)
    note_rows(connection, entry._replace(before=old, after={**new, **entry.after}))
    tell(connection, consequences(before, after), entry.at)


def write_holds(
    connection: sa.Connection, account: str, cause: str, operations: Sequence[str], until: int | None
) -> bool:
    """Hold just these operations for a cause, in place of what it held before; return whether that was a change.

    An account that nobody has told us of has no row to hold: it gets its holds when it gets that.
    """
    mine = sa.and_(HOLDS.c.account == account, HOLDS.c.cause == cause)
    had = {row.operation: row.until for row in connection.execute(sa.select(HOLDS).where(mine))}
    wanted = dict.fromkeys(operations, until)
    if had == wanted:
        return False
    if had:
        connection.execute(sa.delete(HOLDS).where(mine))
    known = connection.execute(sa.select(ACCOUNTS.c.uid).where(ACCOUNTS.c.uid == account)).one_or_none()
    if known is not None and wanted:
        rows = [
            {"account": account, "operation": operation, "cause": cause, "until": until} for operation in sorted(wanted)
        ]
        connection.execute(sa.insert(HOLDS), rows)
    return known is not None


def note_rows(connection: sa.Connection, *entries: AuditEntry) -> None:
    """Write entries into the audit."""
    connection.execute(sa.insert(AUDIT), [entry._asdict() for entry in entries])


def _hold_for_open_tickets(connection: sa.Connection, uid: str) -> None:
    open_ones = sa.select(TICKETS.c.id, TICKETS.c.until, TICKETS.c.document).where(
        TICKETS.c.account == uid, TICKETS.c.open_cause.is_not(None)
    )
    for ticket_id, until, document in connection.execute(open_ones).all():
        write_holds(connection, uid, ticket_id, document["operations"], until)


def _set(text: str | None) -> frozenset[str]:
    return frozenset((text or "").split())
