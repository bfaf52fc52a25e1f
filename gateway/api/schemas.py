"""The shapes of the API's answers, as JSON Schema (the dialect of OpenAPI 3.1)."""

from typing import Any, Final

from gateway.core.alarms import LEAST_WHY, LONGEST_WHY, Dimension
from gateway.core.terms import Access, Operation, Outcome, Reason

Schema = dict[str, Any]

_TEXT: Final[Schema] = {"type": "string"}
_MAY_BE_TEXT: Final[Schema] = {"type": ["string", "null"]}
_NUMBER: Final[Schema] = {"type": "integer"}
_INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
_MAY_BE_REASON: Final[Schema] = {"type": ["string", "null"], "enum": [*map(str, Reason), None]}


def whole(**properties: Schema) -> Schema:
    """Return the schema of an object that has these properties, each of them, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def listed(of: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": of}


def named(name: str) -> Schema:
    """Return the reference to a schema of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


_DECISION: Final = whole(
    id={"type": "string", "format": "uuid"},
    at=_INSTANT,
    request=whole(method=_TEXT, path=_TEXT, host=_TEXT, user_agent=_MAY_BE_TEXT),
    client_ip=whole(
        address={**_MAY_BE_TEXT, "description": "Masked: the network that it lies in."},
        reason=_MAY_BE_TEXT,
        how=_TEXT,
        chain=listed(whole(text=_TEXT, role=_TEXT)),
    ),
    operation={"type": ["string", "null"], "enum": [*map(str, Operation), None]},
    facts={"type": ["object", "null"], "description": "Facts that were certain, by name; see the policy language."},
    unknown={"type": ["object", "null"], "description": "Facts that were not certain: why, and what they may be."},
    bundle={**_TEXT, "description": "The digest of the policies that decided."},
    editions=listed(_TEXT),
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
    reply=whole(status=_NUMBER, reason=_MAY_BE_REASON),
    took_us={**_NUMBER, "description": "Microseconds."},
)
_DECISION["properties"]["erased"] = {
    **listed(_TEXT),
    "description": "Whose place digests took, or nothing; not there where nothing was erased.",
}
_DECISION["properties"]["client_ip"]["properties"]["network"] = {
    **_TEXT,
    "description": "Where the address was erased: the digest of its network.",
}
_DECISION["properties"]["reply"]["properties"]["ticket_id"] = _MAY_BE_TEXT
_DECISION["properties"]["ambiguous"] = whole(why=_TEXT, detail=_TEXT)
_DECISION["properties"]["masked"] = {
    **listed(_TEXT),
    "description": "What of it is masked; not there where nothing is.",
}

_YES_OR_NO: Final[Schema] = {"type": "boolean"}
_RATE: Final[Schema] = {"type": "number"}
_MAY_BE_INSTANT: Final[Schema] = {"type": ["string", "null"], "description": "An instant, as RFC 3339."}
_DIMENSION: Final[Schema] = {"type": "string", "enum": [*map(str, Dimension)]}

_WHY: Final[Schema] = {"type": "string", "minLength": LEAST_WHY, "maxLength": LONGEST_WHY}

_ALARM: Final = whole(
    id=_TEXT,
    open={**_YES_OR_NO, "description": "Whether it lasts."},
    what={**_TEXT, "description": "What is to be known, in one line."},
    by=_DIMENSION,
    value={**_MAY_BE_TEXT, "description": "The country, reason or operation; null where the country is uncertain."},
    rose={**_YES_OR_NO, "description": "Whether more was refused than usually, rather than less."},
    start=_INSTANT,
    hours=_NUMBER,
    refused=_NUMBER,
    decisions=_NUMBER,
    usual=_RATE,
    low=_RATE,
    high=_RATE,
    mostly=listed(whole(by=_DIMENSION, value=_MAY_BE_TEXT, refused=_NUMBER)),
    rules={
        **listed(whole(rule=_TEXT, now=_NUMBER, of=_NUMBER, usually=_NUMBER, of_usually=_NUMBER)),
        "description": "Which rules determined the newest of these refusals, and of those a week before.",
    },
    bundles={**listed(_TEXT), "description": "Digests of bundles that were new."},
    policies={**listed(_TEXT), "description": "Files that these changed."},
    editions={**listed(_TEXT), "description": "GeoIP editions that were new."},
    opened_at=_INSTANT,
    ended=_MAY_BE_INSTANT,
    acknowledged={
        "type": ["object", "null"],
        "properties": {"who": _TEXT, "why": _TEXT, "at": _INSTANT},
        "required": ["at", "who", "why"],
        "additionalProperties": False,
    },
)

SCHEMAS: Final[dict[str, Schema]] = {
    "Decision": _DECISION,
    "Decisions": whole(
        decisions=listed(named("Decision")),
        cursor={**_MAY_BE_TEXT, "description": "Asks for the next page; null on the last."},
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
        since=_INSTANT,
        until=_INSTANT,
        decisions=_NUMBER,
        by={"type": "object", "additionalProperties": {"type": "object", "additionalProperties": _NUMBER}},
    ),
    "Alarm": _ALARM,
    "Alarms": whole(alarms=listed(named("Alarm"))),
    "Acknowledgement": whole(why=_WHY),
    "Erasing": {
        "type": "object",
        "properties": {"account": _TEXT, "address": _TEXT, "why": _TEXT},
        "required": ["why"],
        "oneOf": [{"required": ["account"]}, {"required": ["address"]}],
        "additionalProperties": False,
    },
    "Erased": whole(
        decisions={**_NUMBER, "description": "How many were changed in the archive."},
        waiting={**_NUMBER, "description": "How many the archive has not taken yet; erase again when it has."},
        journal_keeps_s={
            **_NUMBER,
            "description": "How long the journal, which cannot be changed, keeps a segment after its latest decision.",
        },
    ),
    "Health": whole(status={"type": "string", "enum": ["ok"]}),
    "Problem": {
        "type": "object",
        "properties": {
            "type": _TEXT,
            "title": _TEXT,
            "status": _NUMBER,
            "detail": _TEXT,
            "parameter": {**_TEXT, "description": "The query parameter or header that is wrong."},
        },
        "required": ["detail", "status", "title", "type"],
        "additionalProperties": False,
    },
}
