"""The shapes of what is sent and answered about revisions of the policies."""

from typing import Final

from gateway.adapters.account_book import LONGEST_WHY
from gateway.api.shapes import (
    INSTANT,
    MAY_BE_INSTANT,
    MAY_BE_TEXT,
    NUMBER,
    TEXT,
    YES_OR_NO,
    Schema,
    listed,
    named,
    one_of,
    text,
    whole,
)
from gateway.desk.revision_lifecycle import RevisionAct, RevisionState

_WHY: Final = text(minLength=1, maxLength=LONGEST_WHY)
_DIGEST: Final = text(description="SHA-256 of names and texts, in hexadecimal.")
_TEXTS: Final[Schema] = {"type": "object", "additionalProperties": TEXT, "description": "Texts by the names of files."}
_MAY_BE_NUMBER: Final[Schema] = {"type": ["integer", "null"]}

_REVISION: Final = whole(
    number=NUMBER,
    digest=_DIGEST,
    base={**MAY_BE_TEXT, "description": "What was active when it was proposed, which it was compared with."},
    state=one_of(RevisionState),
    author=TEXT,
    message=TEXT,
    widens={**YES_OR_NO, "description": "Whether it opens anything, or may."},
    reason={**MAY_BE_TEXT, "description": "Why it may."},
    proposed_at=INSTANT,
    expires_at={**INSTANT, "description": "Until when it must be approved."},
    starts_at={**MAY_BE_INSTANT, "description": "When it is to come into force; null: with its approval."},
    approval={
        **whole(
            by=TEXT,
            at=INSTANT,
            why=TEXT,
            simulation={"type": "object", "description": "Of the decisions of the day before."},
            accepted_flips={**MAY_BE_TEXT, "description": "Why it may change more of them than is stated."},
        ),
        "type": ["object", "null"],
    },
    activated_at=MAY_BE_INSTANT,
    ended_at=MAY_BE_INSTANT,
    replaced={**_MAY_BE_NUMBER, "description": "The revision in whose place it came."},
    possible=listed(one_of(RevisionAct)),
    version={**NUMBER, "description": 'Of the ETag, as in `"3"`.'},
)
_REVISION["properties"] |= {
    "examined": {"type": "object", "description": "What was found when it was proposed; not in lists."},
    "log": {
        **listed(
            whole(
                number=NUMBER,
                at=INSTANT,
                who=TEXT,
                act=TEXT,
                before=MAY_BE_TEXT,
                after=TEXT,
                version=NUMBER,
                why=TEXT,
            )
        ),
        "description": "Its steps, the oldest first; not in lists.",
    },
    "texts": _TEXTS,
}

POLICY_SCHEMAS: Final[dict[str, Schema]] = {
    "Revision": _REVISION,
    "Revisions": whole(
        revisions=listed(named("Revision")),
        cursor={**MAY_BE_TEXT, "description": "Asks for the next page; null on the last."},
    ),
    "RevisionProposal": {
        **whole(
            texts=_TEXTS,
            message={**_WHY, "description": "What it changes and why, in one line."},
            allow_widening={**YES_OR_NO, "default": False, "description": "That it may open what is closed."},
            reason={**_WHY, "description": "Why it may."},
            starts_at={**INSTANT, "description": "When it is to come into force; left out: with its approval."},
        ),
        "required": ["message", "texts"],
    },
    "RevisionApproval": {
        **whole(
            why=_WHY,
            accept_flips={**_WHY, "description": "Why it may change more of yesterday's decisions than is stated."},
        ),
        "required": ["why"],
    },
    "RollBack": {
        **whole(
            why=_WHY,
            revision={**TEXT, "description": "Its number or the beginning of its digest."},
            allow_widening={**YES_OR_NO, "default": False, "description": "That it may open what is closed."},
        ),
        "required": ["why"],
    },
    "Runs": whole(
        active={**MAY_BE_TEXT, "description": "The digest of the revision in force."},
        runs=listed(
            whole(
                worker=TEXT,
                machine=TEXT,
                digest=_DIGEST,
                since=INSTANT,
                seen_at=INSTANT,
                refused={**MAY_BE_TEXT, "description": "The digest of what it should run and cannot."},
                why=MAY_BE_TEXT,
                state=one_of(("current", "behind", "refused", "silent")),
            )
        ),
    ),
}
