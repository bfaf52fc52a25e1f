"""Revisions of the policies as JSON."""

from typing import Any

from gateway.adapters.revision_reads import Run
from gateway.core.decision import Document, instant_text
from gateway.desk.revision import Revision, possible
from gateway.ports import MICROSECONDS

SILENT_US = 60 * MICROSECONDS
"""A process that said nothing for so long has ended, or cannot reach the store."""


def revision_document(revision: Revision) -> Document:
    """Return a revision without its texts."""
    approval = revision.approval
    return {
        "number": revision.number,
        "digest": revision.digest,
        "base": revision.base,
        "state": str(revision.state),
        "author": revision.author,
        "message": revision.message,
        "widens": revision.widens,
        "reason": revision.reason or None,
        "proposed_at": instant_text(revision.proposed_at),
        "expires_at": instant_text(revision.expires_at),
        "starts_at": _instant(revision.starts_at),
        "approval": None
        if approval is None
        else {
            "by": approval.by,
            "at": instant_text(approval.at),
            "why": approval.why,
            "simulation": dict(approval.flips),
            "accepted_flips": approval.accepted or None,
        },
        "activated_at": _instant(revision.activated_at),
        "ended_at": _instant(revision.ended_at),
        "replaced": revision.replaced,
        "possible": [str(act) for act in possible(revision)],
        "version": revision.version,
    }


def run_document(run: Run, active: str | None, now: int) -> Document:
    """Return what one process runs. `active` is the digest of what it should."""
    document: dict[str, Any] = run._asdict()
    silent = now - run.seen_at > SILENT_US
    return {
        **document,
        "since": instant_text(run.since),
        "seen_at": instant_text(run.seen_at),
        "state": "silent" if silent else "refused" if run.refused is not None else _of(run, active),
    }


def _of(run: Run, active: str | None) -> str:
    return "current" if active in {None, run.digest} else "behind"


def _instant(at: int | None) -> str | None:
    return None if at is None else instant_text(at)
