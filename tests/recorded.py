"""Decisions as a gateway records them, made from facts and a bundle: for whoever tests what is asked of them."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import orjson

from gateway.adapters.archive.alike import HeldMoment
from gateway.core import facts as facts_codec
from gateway.core.decision import verdict_document
from gateway.core.facts import Facts
from gateway.core.terms import Operation
from gateway.policies.bundle import assemble
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.ports import Moment, RecordedDecision, Stretch, ruling_digest

AT = 1_763_700_000_000_000
HOUR = 3_600_000_000
CUSTOMER: dict[str, Any] = {
    "country": "DE",
    "subdivision": None,
    "continent": "EU",
    "asn": 64500,
    "network": frozenset(),
    "credential": "session",
    "token": "valid",
    "assurance": 2,
    "auth_age": 10,
    "account": "alice",
    "status": "open",
    "verification": "full",
    "documents": frozenset({"DE"}),
    "residence": "DE",
    "nationality": "DE",
    "signals": frozenset(),
    "risk": "low",
    "amount_usd": None,
    "destination": None,
    "withdrawn_today_usd": None,
}


def policy(*rules: str) -> str:
    """Return the text of a policy that grants everything but what these rules (YAML, one line each) close."""
    lines = [f"  - {one}" for one in ("{id: all, grant: full, when: true}", *rules)]
    return "\n".join(("policy: p", "title: t", "owner: o", "rules:", *lines, ""))


def bundle(*rules: str) -> Bundle:
    """Return the bundle of one such policy."""
    return assemble({"p.yaml": policy(*rules)}, sources_configured=None)


def limit(name: str, when: str, more: str = "") -> str:
    """Return a rule that closes everything but reading."""
    return f"{{id: {name}, limit: read_only, when: '{when}', reason: hold, basis: b{more}}}"


def facts(**values: Any) -> Facts:
    """Return the facts of a customer who withdraws, with these instead."""
    return Facts(**{"at": AT, "operation": Operation.WITHDRAW, **CUSTOMER, **values})


def ruling(some: Facts, made_by: Bundle, address: str | None = "81.20.30.40") -> bytes:
    """Return the ruling that a gateway records of these facts."""
    known, unknown = facts_codec.to_json(some)
    return orjson.dumps(
        {
            "client_ip": {"address": address, "reason": None, "how": "peer", "chain": []},
            "operation": str(some.operation),
            "facts": known,
            "unknown": unknown,
            "bundle": made_by.digest,
            "editions": [],
            "verdict": verdict_document(evaluate(some, made_by)),
            "reply": {"status": 200, "reason": None},
        }
    )


def recorded(some: Iterable[Facts], made_by: Bundle, *, worker: str = "w0") -> Stretch:
    """Return a stretch of one decision for each of these facts, the n-th with n in its id."""
    rulings: dict[bytes, bytes] = {}
    decisions = []
    for number, one in enumerate(some):
        document = ruling(one, made_by)
        digest = ruling_digest(document)
        rulings[digest] = document
        age = one.auth_age if isinstance(one.auth_age, int) else None
        raw = ((one.at // 1000 & (1 << 48) - 1) << 80 | 7 << 76 | 2 << 62 | number).to_bytes(16, "big")
        decisions.append(RecordedDecision(raw, one.at, 5, age, b"POST\0/w\0host\0agent", digest))
    return Stretch(worker, 1, 0, 1000, rulings, decisions)


async def moments(*stretches: Stretch) -> AsyncIterator[Moment]:
    """Yield a moment of each stretch."""
    for stretch in stretches:
        yield HeldMoment.of(stretch)
