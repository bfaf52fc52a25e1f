"""The shapes of the API's answers, as JSON Schema (the dialect of OpenAPI 3.1)."""

from typing import Final

from gateway.api.desk_schemas import DESK_SCHEMAS
from gateway.api.policy_schemas import POLICY_SCHEMAS
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
    whole,
)
from gateway.core.alarms import LEAST_WHY, LONGEST_WHY, Dimension
from gateway.core.terms import Access, Operation, Outcome, Reason

_MAY_BE_REASON: Final[Schema] = {"type": ["string", "null"], "enum": [*map(str, Reason), None]}


_DECISION: Final = whole(
    id={"type": "string", "format": "uuid"},
    at=INSTANT,
    request=whole(method=TEXT, path=TEXT, host=TEXT, user_agent=MAY_BE_TEXT),
    client_ip=whole(
        address={**MAY_BE_TEXT, "description": "Masked: the network that it lies in."},
        reason=MAY_BE_TEXT,
        how=TEXT,
        chain=listed(whole(text=TEXT, role=TEXT)),
    ),
    operation={"type": ["string", "null"], "enum": [*map(str, Operation), None]},
    facts={"type": ["object", "null"], "description": "Facts that were certain, by name; see the policy language."},
    unknown={"type": ["object", "null"], "description": "Facts that were not certain: why, and what they may be."},
    bundle={**TEXT, "description": "The digest of the policies that decided."},
    editions=listed(TEXT),
    verdict={
        "type": ["object", "null"],
        "properties": {
            "outcome": {"type": "string", "enum": [*map(str, Outcome)]},
            "access": {"type": "string", "enum": [*map(str, Access)]},
            "reason": _MAY_BE_REASON,
        },
        "required": ["access", "by", "outcome", "reason"],
        "description": "Null where the request could not be read.",
    },
    reply=whole(status=NUMBER, reason=_MAY_BE_REASON),
    took_us={**NUMBER, "description": "Microseconds."},
)
_DECISION["properties"]["request"]["properties"] |= {
    "trace_id": {
        **TEXT,
        "description": "The trace that the request said it was a part of; not there where it did not.",
    },
    "parent_id": {**TEXT, "description": "The span of that trace which it came from."},
}
_DECISION["properties"]["erased"] = {
    **listed(TEXT),
    "description": "Whose place digests took, or nothing; not there where nothing was erased.",
}
_DECISION["properties"]["client_ip"]["properties"]["network"] = {
    **TEXT,
    "description": "Where the address was erased: the digest of its network.",
}
_DECISION["properties"]["reply"]["properties"]["ticket_id"] = MAY_BE_TEXT
_DECISION["properties"]["reply"]["properties"]["hold_until"] = MAY_BE_TEXT
_DECISION["properties"]["signals_detail"] = {
    "type": "object",
    "description": "What signals and risk were measured from; not there where nothing was.",
}
_DECISION["properties"]["account_remembered"] = {
    **YES_OR_NO,
    "description": "True where the store was silent and what was remembered of the account was relied on.",
}
_DECISION["properties"]["about"] = {
    "type": "object",
    "description": "What the signals of a rule were about, as digests; not there where none were.",
}
_DECISION["properties"]["ambiguous"] = whole(why=TEXT, detail=TEXT)
_DECISION["properties"]["message"] = {
    **whole(name=MAY_BE_TEXT, opened_by=TEXT),
    "description": "The name of a message on a stream, and the decision that opened it; not there for a request.",
}
_DECISION["properties"]["masked"] = {
    **listed(TEXT),
    "description": "What of it is masked; not there where nothing is.",
}

_RATE: Final[Schema] = {"type": "number"}
_DIMENSION: Final[Schema] = {"type": "string", "enum": [*map(str, Dimension)]}

_WHY: Final[Schema] = {"type": "string", "minLength": LEAST_WHY, "maxLength": LONGEST_WHY}

_ALARM: Final = whole(
    id=TEXT,
    open={**YES_OR_NO, "description": "Whether it lasts."},
    what={**TEXT, "description": "What is to be known, in one line."},
    by=_DIMENSION,
    value={**MAY_BE_TEXT, "description": "The country, reason or operation; null where the country is uncertain."},
    rose={**YES_OR_NO, "description": "Whether more was refused than usually, rather than less."},
    start=INSTANT,
    hours=NUMBER,
    refused=NUMBER,
    decisions=NUMBER,
    usual=_RATE,
    low=_RATE,
    high=_RATE,
    mostly=listed(whole(by=_DIMENSION, value=MAY_BE_TEXT, refused=NUMBER)),
    rules={
        **listed(whole(rule=TEXT, now=NUMBER, of=NUMBER, usually=NUMBER, of_usually=NUMBER)),
        "description": "Which rules determined the newest of these refusals, and of those a week before.",
    },
    bundles={**listed(TEXT), "description": "Digests of bundles that were new."},
    policies={**listed(TEXT), "description": "Files that these changed."},
    editions={**listed(TEXT), "description": "GeoIP editions that were new."},
    opened_at=INSTANT,
    ended=MAY_BE_INSTANT,
    acknowledged={
        "type": ["object", "null"],
        "properties": {"who": TEXT, "why": TEXT, "at": INSTANT},
        "required": ["at", "who", "why"],
        "additionalProperties": False,
    },
)

SCHEMAS: Final[dict[str, Schema]] = {
    "Decision": _DECISION,
    "Decisions": whole(
        decisions=listed(named("Decision")),
        cursor={**MAY_BE_TEXT, "description": "Asks for the next page; null on the last."},
    ),
    "Explained": {
        "type": "object",
        "properties": {
            "decision": named("Decision"),
            "explanation": {"type": "object", "description": "Sentences by question, where `explain=1` was asked."},
        },
        "required": ["decision"],
        "additionalProperties": False,
    },
    "Overview": whole(
        since=INSTANT,
        until=INSTANT,
        decisions=NUMBER,
        by={"type": "object", "additionalProperties": {"type": "object", "additionalProperties": NUMBER}},
    ),
    "Alarm": _ALARM,
    "Alarms": whole(alarms=listed(named("Alarm"))),
    "Acknowledgement": whole(why=_WHY),
    "Erasing": {
        "type": "object",
        "properties": {"account": TEXT, "address": TEXT, "why": TEXT},
        "required": ["why"],
        "oneOf": [{"required": ["account"]}, {"required": ["address"]}],
        "additionalProperties": False,
    },
    "Erased": whole(
        decisions={**NUMBER, "description": "How many were changed in the archive."},
        waiting={**NUMBER, "description": "How many the archive has not taken yet; erase again when it has."},
        journal_keeps_s={
            **NUMBER,
            "description": "How long the journal, which cannot be changed, keeps a segment after its latest decision.",
        },
    ),
    "Health": whole(status={"type": "string", "enum": ["ok"]}),
    "Readiness": {
        "type": "object",
        "required": ["status"],
        "properties": {
            "status": {"type": "string", "enum": ["ok"]},
            "checks": listed(
                whole(
                    name={"type": "string"},
                    ok={"type": "boolean"},
                    says={"type": "string"},
                    needed={"type": "boolean"},
                )
            ),
        },
    },
    "Problem": {
        "type": "object",
        "properties": {
            "type": TEXT,
            "title": TEXT,
            "status": NUMBER,
            "detail": TEXT,
            "parameter": {**TEXT, "description": "The query parameter, header or member of the body that is wrong."},
            "allowed": {**listed(TEXT), "description": "What could be asked for instead, where that is a short list."},
            "index": {**NUMBER, "description": "Of an event: its place in the batch, from 0."},
            "id": {**TEXT, "description": "Of an event: its id, where it could be read."},
        },
        "required": ["detail", "status", "title", "type"],
        "additionalProperties": False,
    },
    **DESK_SCHEMAS,
    **POLICY_SCHEMAS,
}
