"""The routes on revisions of the policies, and on who runs which."""

from typing import Final

from gateway.adapters.revision_reads import MOST
from gateway.api.route import Parameter, Route
from gateway.api.shapes import one_of, text
from gateway.core.permissions import Permission
from gateway.desk.revision_lifecycle import RevisionState

_IF_MATCH: Final = Parameter(
    "If-Match", "The ETag of what was seen: what another changed meanwhile is not changed.", text(), "header", True
)
_ONCE: Final = Parameter(
    "Idempotency-Key",
    "Whatever names this request alone: sent again within 24 hours it is answered the same and does nothing.",
    text(minLength=1, maxLength=255),
    "header",
)
_ID: Final = Parameter(
    "id", "Its number, or the beginning of its digest (6 digits or more).", text(maxLength=64), "path"
)
_SENT: Final = (400, 408, 413, 415)
_STEP: Final = (*_SENT, 404, 409, 412, 422, 428, 501)
_P = Permission

POLICY_ROUTES: Final = (
    Route(
        "listRevisions",
        "/api/v1/policies/revisions",
        "Revisions of the policies, the newest first.",
        _P.POLICIES_READ,
        (
            Parameter("state", "That stand there.", one_of(RevisionState)),
            Parameter("limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 50}),
            Parameter("cursor", "What the page before ended with.", text()),
        ),
        "Revisions",
        problems=(400, 501),
    ),
    Route(
        "proposeRevision",
        "/api/v1/policies/revisions",
        "Propose a revision: all texts, as they shall be. They are checked and their tests run; another person must "
        "approve.",
        _P.POLICIES_PROPOSE,
        (_ONCE,),
        "Revision",
        problems=(*_SENT, 409, 422, 501),
        method="POST",
        body="RevisionProposal",
        status=201,
    ),
    Route(
        "readRevision",
        "/api/v1/policies/revisions/{id}",
        "One revision with its steps and what was found when it was proposed; its ETag is what `If-Match` takes.",
        _P.POLICIES_READ,
        (_ID, Parameter("texts", "`1` adds its texts.", one_of(("0", "1")))),
        "Revision",
        problems=(400, 404, 501),
    ),
    Route(
        "approveRevision",
        "/api/v1/policies/revisions/{id}/approve",
        "Approve what another person proposed: it comes into force, now or at its instant.",
        _P.POLICIES_APPROVE,
        (_ID, _IF_MATCH, _ONCE),
        "Revision",
        problems=_STEP,
        method="POST",
        body="RevisionApproval",
    ),
    Route(
        "declineRevision",
        "/api/v1/policies/revisions/{id}/decline",
        "Turn down what another person proposed, or stop what waits for its instant.",
        _P.POLICIES_APPROVE,
        (_ID, _IF_MATCH, _ONCE),
        "Revision",
        problems=_STEP,
        method="POST",
        body="Deciding",
    ),
    Route(
        "withdrawRevision",
        "/api/v1/policies/revisions/{id}/withdraw",
        "Take back what you proposed, or stop what waits for its instant.",
        _P.POLICIES_PROPOSE,
        (_ID, _IF_MATCH, _ONCE),
        "Revision",
        problems=_STEP,
        method="POST",
        body="Deciding",
    ),
    Route(
        "rollBack",
        "/api/v1/policies/rollback",
        "Return at once to a revision that was active lately: the one before the active one, where none is named.",
        _P.POLICIES_ROLL_BACK,
        (_ONCE,),
        "Revision",
        problems=(*_SENT, 404, 409, 412, 422, 501),
        method="POST",
        body="RollBack",
    ),
    Route(
        "listRuns",
        "/api/v1/policies/runs",
        "Which policies each process decides by, as it says itself.",
        _P.POLICIES_READ,
        (),
        "Runs",
        problems=(400, 501),
    ),
)
