"""Stretches of journals as small as they can be and as varied as archives must bear, for whoever tests an archive."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import orjson

from gateway.ports import RecordedDecision, Stretch, ruling_digest

AT = 1_763_700_000_000_000
BUNDLES = ("ab12cd" + "0" * 58, "ab12ce" + "1" * 58)


def ruling(
    *,
    account: str | None = "alice",
    address: str | None = "81.20.30.40",
    country: str | list[str] | None = "PT",
    asn: int | list[int] | None = 64500,
    operation: str | None = "withdraw",
    outcome: str = "deny",
    reason: str | None = "jurisdiction-blocked",
    rules: Iterable[str] = ("us-exit/us-closed",),
    bundle: str = BUNDLES[0],
    ticket: str | None = None,
    **more: object,
) -> bytes:
    """Return a ruling's JSON. A list is an uncertain fact; without an operation the request could not be read."""
    document: dict[str, Any] = {
        "client_ip": {"address": address, "reason": None, "how": "peer", "chain": []},
        "operation": operation,
        "facts": None,
        "unknown": None,
        "bundle": bundle,
        "editions": ["country 2026-11-01 0011aabb"],
        "verdict": None,
        "reply": {"status": 400, "reason": "ambiguous-request"},
        **more,
    }
    if operation is not None:
        document["facts"] = {"auth_age": 1, "account": account}
        document["unknown"] = {}
        for name, fact in (("country", country), ("asn", asn)):
            if isinstance(fact, list):
                document["unknown"][name] = {"why": "sources-disagree", "one_of": fact, "prefixes": []}
            elif fact is None:
                document["unknown"][name] = {"why": "no-record"}
            else:
                document["facts"][name] = fact
        by = [{"policy": policy, "rule": rule} for policy, _, rule in (text.partition("/") for text in rules)]
        document["verdict"] = {"outcome": outcome, "by": by, "reason": reason}
        document["reply"] = {"status": 403, "reason": reason}
    if ticket is not None:
        document["reply"]["ticket_id"] = ticket
    return orjson.dumps(document)


def decision_id(n: int, at: int = AT) -> bytes:
    """Return the n-th UUIDv7 of the instant `at`, microseconds since the epoch."""
    return ((at // 1000 & (1 << 48) - 1) << 80 | 7 << 76 | 2 << 62 | n).to_bytes(16, "big")


def decision(n: int, document: bytes, at: int | None = None, **more: Any) -> RecordedDecision:
    """Return the n-th decision, made n milliseconds after `AT` where no other instant is said."""
    at = AT + n * 1000 if at is None else at
    fields = {
        "id": decision_id(n, at),
        "at": at,
        "took_us": 40 + n % 7,
        "auth_age": n % 100,
        "request": b"POST\0/api/v1/withdrawals\0api.example\0Fox/1",
        "ruling": ruling_digest(document),
        **more,
    }
    return RecordedDecision(**fields)


def stretch(
    decisions: Iterable[RecordedDecision],
    documents: Iterable[bytes],
    *,
    worker: str = "w0",
    segment: int = 1,
    start: int = 0,
    end: int = 1000,
) -> Stretch:
    """Return a stretch of these decisions; `documents` are the rulings that they name."""
    rulings: Mapping[bytes, bytes] = {ruling_digest(document): document for document in documents}
    return Stretch(worker, segment, start, end, rulings, tuple(decisions))


def text_of(raw: bytes) -> str:
    """Return an id as people write it."""
    return str(UUID(bytes=raw))
