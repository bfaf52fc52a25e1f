"""Revisions as rows: a step of one with all that follows from it. For calls inside a transaction of the store."""

from collections.abc import Mapping
from typing import Any, Final

import sqlalchemy as sa

from gateway.adapters.account_book import AuditEntry
from gateway.adapters.account_rows import note_rows
from gateway.adapters.dialects import insert_into
from gateway.adapters.outbox_rows import tell
from gateway.adapters.schema import BUNDLES, REVISION_LOG, REVISIONS
from gateway.adapters.ticket_rows import Doing
from gateway.core.decision import instant_text
from gateway.core.messages import Told, message
from gateway.desk.revision import Revision, revision_document, revision_of
from gateway.desk.revision_lifecycle import OPEN, WAITING, RevisionState

_EVERYONE: Final = ""
"""What is told and noted of policies is about no one account."""


def read_revision(connection: sa.Connection, number: int) -> Revision | None:
    """Return the revision of a number, or None."""
    return _one(connection, REVISIONS.c.number == number)


def active_revision(connection: sa.Connection) -> Revision | None:
    """Return the revision that decides, or None."""
    return _one(connection, REVISIONS.c.state == str(RevisionState.ACTIVE))


def open_revision(connection: sa.Connection, digest: str) -> Revision | None:
    """Return the revision of these texts that waits or decides, or None."""
    return _one(connection, REVISIONS.c.open_digest == digest)


def waiting_revisions(connection: sa.Connection) -> list[Revision]:
    """Return what comes into force or expires by itself, the oldest first."""
    states = [str(one) for one in RevisionState if one in WAITING]
    query = sa.select(REVISIONS.c.document).where(REVISIONS.c.state.in_(states)).order_by(REVISIONS.c.number)
    return [revision_of(document) for document in connection.execute(query).scalars()]


def insert_revision(
    connection: sa.Connection, new: Revision, sources: Mapping[str, str], examined: Mapping[str, Any], doing: Doing
) -> Revision:
    """Return the revision with its number, stored with its texts."""
    kept = {"digest": new.digest, "sources": dict(sources)}
    connection.execute(insert_into(connection, BUNDLES).on_conflict_do_nothing(index_elements=[BUNDLES.c.digest]), kept)
    newest = connection.execute(sa.select(sa.func.max(REVISIONS.c.number))).scalar_one()
    after = new._replace(number=(newest or 0) + 1)
    row = {"number": after.number, "digest": after.digest, "examined": dict(examined), **_standing(after)}
    connection.execute(sa.insert(REVISIONS), row)
    _log(connection, None, after, doing)
    return after


def write_revision(connection: sa.Connection, before: Revision, after: Revision, doing: Doing) -> Revision:
    """Return the revision, stored as it is afterwards."""
    mine = sa.and_(REVISIONS.c.number == after.number, REVISIONS.c.version == before.version)
    changed = connection.execute(sa.update(REVISIONS).where(mine).values(_standing(after)))
    assert changed.rowcount == 1, "one transaction writes at a time"
    _log(connection, before, after, doing)
    return after


def tell_of(connection: sa.Connection, told: Told, revision: Revision, doing: Doing, **more: object) -> None:
    """Owe the message about a revision, and note it in the audit."""
    said = {"revision": revision.number, "digest": revision.digest, **more}
    tell(connection, [message(told, _EVERYONE, who=doing.who, why=doing.why, **said)], doing.at)
    note_rows(connection, AuditEntry(doing.at, doing.who, str(told), _EVERYONE, {}, said, doing.why))


def said_of_start(revision: Revision) -> str | None:
    """Return when it is to come into force, as text; None: with its approval."""
    return None if revision.starts_at is None else instant_text(revision.starts_at)


def _standing(revision: Revision) -> dict[str, Any]:
    return {
        "state": str(revision.state),
        "open_digest": revision.digest if revision.state in OPEN else None,
        "version": revision.version,
        "document": revision_document(revision),
    }


def _log(connection: sa.Connection, before: Revision | None, after: Revision, doing: Doing) -> None:
    entry = {
        "revision": after.number,
        "digest": after.digest,
        "at": doing.at,
        "who": doing.who,
        "act": doing.act,
        "before": None if before is None else str(before.state),
        "after": str(after.state),
        "version": after.version,
        "why": doing.why,
    }
    connection.execute(sa.insert(REVISION_LOG), entry)


def _one(connection: sa.Connection, where: sa.ColumnElement[bool]) -> Revision | None:
    query = sa.select(REVISIONS.c.document).where(where).order_by(REVISIONS.c.number.desc()).limit(1)
    document = connection.execute(query).scalar_one_or_none()
    return None if document is None else revision_of(document)
