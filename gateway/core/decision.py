"""Decision: the record of one answered request, as the JSON document that others rely on (DESIGN §6)."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from gateway.core import facts as facts_codec
from gateway.core.client_ip import ClientIP
from gateway.core.evidence import after_document
from gateway.core.facts import Facts
from gateway.core.reply import Reply
from gateway.core.trace_context import recorded_trace
from gateway.core.verdict import Obligation, Verdict

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Document = dict[str, Any]
"""A JSON object."""


class RequestLine(NamedTuple):
    """What of the request is kept. Never the query, never a credential."""

    method: str
    path: str
    """The canonical path; where the target was ambiguous, the target as sent, escaped and cut."""
    host: str
    user_agent: str
    trace_id: str | None = None
    """The trace that it said it was a part of (W3C Trace Context), as 32 hexadecimal digits."""
    parent_id: str | None = None
    """The span of that trace which it came from, as 16."""


def request_line(request: bytes) -> RequestLine:
    """Return a request as the journal has it, taken apart. What is missing is empty, or None."""
    fields = request.decode("utf-8", "backslashreplace").split("\0", 4)
    trace = recorded_trace(fields[4]) if len(fields) > 4 else None
    trace_id, parent_id = (None, None) if trace is None else trace[:2]
    method, path, host, agent, *_ = [*fields, "", "", ""]
    return RequestLine(method, path, host, agent, trace_id, parent_id)


def ruling_document(  # noqa: PLR0917 - the line's own order
    client_ip: ClientIP,
    facts: Facts,
    bundle: str,
    editions: Sequence[str],
    verdict: Verdict,
    reply: Reply,
    message: Mapping[str, str | None] | None = None,
) -> Document:
    """Return the part of a decision that repeats while nothing changes: all but id, at, request and timing."""
    known, uncertain = facts_codec.to_json(facts)
    document: Document = {
        "client_ip": client_ip_document(client_ip),
        "operation": str(facts.operation),
        "facts": known,
        "unknown": uncertain,
        "bundle": bundle,
        "editions": list(editions),
        "verdict": verdict_document(verdict),
        "reply": {"status": reply.status, "reason": _text(reply.reason)},
    }
    if message is not None:
        document["message"] = message
    return document


def ambiguous_document(client_ip: ClientIP, bundle: str, why: str, detail: str, reply: Reply) -> Document:
    """Return the same part for a request that could not be read: no facts, no verdict."""
    return {
        "client_ip": client_ip_document(client_ip),
        "operation": None,
        "facts": None,
        "unknown": None,
        "bundle": bundle,
        "editions": [],
        "verdict": None,
        "ambiguous": {"why": why, "detail": detail},
        "reply": {"status": reply.status, "reason": _text(reply.reason)},
    }


def decision_document(
    ruling: Document, *, decision_id: str, at: str, request: RequestLine, took_us: int, auth_age: int | None = None
) -> Document:
    """Return a whole decision: `ruling` completed with what belongs to this one request.

    `auth_age` replaces the fact of that name where the ruling knew it: it grows with time while all else stays.
    """
    document: Document = {"id": decision_id, "at": at, "request": _request(request), **ruling, "took_us": took_us}
    if auth_age is not None and document["facts"] is not None and document["facts"].get("auth_age") is not None:
        document["facts"] = {**document["facts"], "auth_age": auth_age}
    return document


def client_ip_document(client_ip: ClientIP) -> Document:
    """Return the address held responsible, the reason where there is none, and the chain that led to it."""
    return {
        "address": client_ip.address,
        "reason": _text(client_ip.reason),
        "how": str(client_ip.how),
        "chain": [{"text": hop.text, "role": str(hop.role)} for hop in client_ip.chain],
    }


def verdict_document(verdict: Verdict) -> Document:
    """Return everything of a verdict that replay compares. Exceptions stand in it only where one mattered."""
    document: Document = {
        "outcome": str(verdict.outcome),
        "access": str(verdict.level),
        "operations": sorted(verdict.access),
        "by": [
            {
                "policy": rule.policy,
                "rule": rule.rule,
                "effect": str(rule.effect),
                "reason": str(rule.reason),
                "basis": rule.basis,
                "uncertain": rule.uncertain,
            }
            for rule in verdict.by
        ],
        "nothing_granted": verdict.nothing_granted,
        "reason": _text(verdict.reason),
        "challenge": verdict.challenge
        and {"proof": str(verdict.challenge.proof), "max_age_s": verdict.challenge.max_age_s},
        "uncertain": [f"{ref.policy}/{ref.rule}" for ref in verdict.uncertain],
        "obligations": [_obligation(one) for one in verdict.obligations],
        "outage": verdict.outage,
    }
    if verdict.excepted:
        document["excepted"] = [{**one._asdict(), "until": instant_text(one.until)} for one in verdict.excepted]
    return document


def _obligation(one: Obligation) -> Document:
    """Return an obligation; what a rule need not say stands only where it was said."""
    document: Document = {**one._asdict(), "evidence": list(one.evidence)}
    del document["after"], document["expeditable"]
    if one.after is not None:
        document["after"] = after_document(one.after)
    if not one.expeditable:
        document["expeditable"] = False
    return document


def instant_text(at: int) -> str:
    """Return microseconds since the epoch as RFC 3339, UTC, to the microsecond."""
    return (_EPOCH + timedelta(microseconds=at)).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> int:
    """Return an RFC 3339 instant as microseconds since the epoch. Raise ValueError where it names no time zone."""
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        msg = f"`{text}` names no time zone; write `{text}Z` for UTC"
        raise ValueError(msg)
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _request(request: RequestLine) -> Document:
    """Return what is kept of a request; a trace stands there only where it said one."""
    document: Document = request._asdict()
    if request.trace_id is None:
        del document["trace_id"], document["parent_id"]
    return document


def _text(code: str | None) -> str | None:
    return None if code is None else str(code)
