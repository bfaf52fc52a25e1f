"""The API on an archive in memory, with tokens in a dict: everything that it says can be foreseen."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2
import orjson
import pytest

from gateway.adapters.alarms import AlarmFile
from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.service_tokens import Unmasked
from gateway.api.application import create_api
from gateway.api.services import Services, Wanted
from gateway.core.account import Refused
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.core.permissions import Permission as Scope
from gateway.core.service_token import ServiceToken, token_text
from gateway.ports import Erasing
from gateway.service.health import Check
from tests.api.desk import desk_of, fill
from tests.contract.stretches import AT, decision, decision_id, ruling, stretch, text_of

NOW = AT + 3_600_000_000
READER, ANALYST, METER, EXPIRED, ERASER = (token_text(f"{n:012x}", "s" * 42 + str(n)) for n in range(5))
SCOPES = {
    READER: {Scope.DECISIONS_READ},
    ANALYST: {Scope.DECISIONS_READ, Scope.DECISIONS_UNMASK, Scope.ALARMS_ACKNOWLEDGE},
    METER: {Scope.METRICS_READ},
    EXPIRED: set(Scope),
    ERASER: {Scope.DECISIONS_ERASE},
}
WHY = "TICKET-7: the customer disputes the address"


class Book:
    """Tokens by their text, and who saw what."""

    def __init__(self) -> None:
        self.noted: list[tuple[str, str, str, str | None]] = []
        self.away = False

    async def check(self, text: str, at: int) -> ServiceToken | None:
        if self.away:
            raise StoreUnavailable("store /var/lib/secret-place: gone")
        if text not in SCOPES:
            return None
        until = NOW if text == EXPIRED else NOW + 1_000_000_000
        token = ServiceToken(text.split("_")[1], "desk", frozenset(SCOPES[text]), "ben", 0, until, None)
        return token if token.holds(at) else None

    async def note_unmasked(self, who: str, why: str, seen: list[Unmasked]) -> None:
        if self.away:
            raise StoreUnavailable("store /var/lib/secret-place: gone")
        self.noted += [(who, why, one.decision_id, one.account) for one in seen]

    async def note_seen(self, action: str, account: str, who: str, why: str, **what: object) -> None:
        raise AssertionError("the tests of accounts and tickets have a store")


class SetClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at


def whole_ruling(account: str | None = "alice", outcome: str = "deny", **more: Any) -> bytes:
    """Return a ruling with everything in it that a gateway writes."""
    reason = None if outcome == "allow" else "jurisdiction-blocked"
    document = orjson.loads(ruling(account=account, outcome=outcome, reason=reason, **more))
    chain = [{"text": "81.20.30.40", "role": "client"}]
    document["client_ip"] = {"address": "81.20.30.40", "reason": None, "how": "peer", "chain": chain}
    if document["verdict"] is not None:
        by = {"effect": "limit", "reason": reason, "basis": "a law", "uncertain": False}
        document["verdict"]["by"] = [] if outcome == "allow" else [one | by for one in document["verdict"]["by"]]
        document["verdict"] |= {
            "access": "support_only",
            "operations": ["support"],
            "nothing_granted": False,
            "challenge": None,
            "uncertain": [],
            "obligations": [],
            "outage": False,
        }
        document["facts"] |= {"documents": ["US"], "residence": "PT", "nationality": None}
        document["reply"] = {"status": 200 if outcome == "allow" else 403, "reason": reason}
    return orjson.dumps(document)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[SimpleNamespace]:
    """The API, a client of it, and what it stands on; four decisions of alice, one of bob, one that was unreadable."""
    archive, book, clock = MemoryArchive(), Book(), SetClock()
    denied, allowed = whole_ruling(), whole_ruling("bob", "allow", country=["PT", "ES"])
    unread = whole_ruling(operation=None, ambiguous={"why": "host", "detail": "no Host"})
    rulings = [denied, denied, denied, denied, allowed, unread]
    await archive.take(stretch([decision(n, one) for n, one in enumerate(rulings)], rulings))
    explained: list[Wanted] = []
    addresses: list[str | None] = []

    def explain(document: Document, wanted: Wanted) -> Document:
        explained.append(wanted)
        return {"id": document["id"], "answer": ["Refused."]}

    def address_of(peer: str | None, headers: dict[str, list[bytes]]) -> str | None:
        addresses.append(peer)
        return headers.get("x-forwarded-for", [(peer or "").encode()])[0].decode()

    alarms = AlarmFile(tmp_path)
    metrics = lambda: b"up 1\n"  # noqa: E731 - a line is enough
    erased: list[tuple[Erasing, str, str]] = []

    async def erase(erasing: Erasing, who: str, why: str) -> Document | Refused:
        if not why.strip():
            return Refused("why", "every change says why")
        erased.append((erasing, who, why))
        return {"decisions": 4, "waiting": 0, "journal_keeps_s": 604_800}

    checks: list[Check] = []
    known = (clock, book, archive, archive.find, explain, ("en", "de"), metrics, address_of, alarms, erase)
    services = Services(*known, checks=lambda: checks)
    app = create_api(services)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as client:

        async def get(path: str, token: str | None = READER, **headers: str) -> httpx2.Response:
            sent = {name.replace("_", "-"): text for name, text in headers.items()}
            if token is not None:
                sent["authorization"] = f"Bearer {token}"
            return await client.get(path, headers=sent)

        async def post(path: str, content: bytes, token: str | None = ANALYST, **headers: str) -> httpx2.Response:
            sent = {"content-type": "application/json", **{k.replace("_", "-"): text for k, text in headers.items()}}
            if token is not None:
                sent["authorization"] = f"Bearer {token}"
            return await client.post(path, content=content, headers=sent)

        yield SimpleNamespace(
            app=app,
            client=client,
            get=get,
            post=post,
            archive=archive,
            book=book,
            clock=clock,
            explained=explained,
            alarms=alarms,
            erased=erased,
            checks=checks,
            ids=[text_of(decision_id(n, AT + n * 1000)) for n in range(6)],
        )


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A store with alice and tokens for everybody: made once, copied for each test."""
    path = tmp_path_factory.mktemp("desk")
    return path, asyncio.run(fill(path))


@pytest.fixture
async def desk(tmp_path: Path, filled: tuple[Path, dict[str, str]]) -> AsyncIterator[SimpleNamespace]:
    """The API with accounts and tickets in a store."""
    shutil.copytree(filled[0], tmp_path, dirs_exist_ok=True)
    async with desk_of(tmp_path, filled[1]) as found:
        yield found
