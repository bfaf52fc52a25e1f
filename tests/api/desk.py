"""The API on a store of its own, with people and programs who hold tokens: for the tests of accounts and tickets."""

import struct
import zlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx2

from gateway.adapters.alarms import AlarmFile
from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.event_book import EventBook
from gateway.adapters.evidence_cipher import MasterKeys
from gateway.adapters.evidence_files import EvidenceStore
from gateway.adapters.evidence_places import Folder
from gateway.adapters.identity_results import IdentityResults
from gateway.adapters.once import OnceStore
from gateway.adapters.outbox_store import OutboxStore
from gateway.adapters.service_tokens import NewToken, ServiceTokens
from gateway.adapters.sql import AccountStore
from gateway.adapters.webhooks import Secret
from gateway.api.application import create_api
from gateway.api.services import Desk, Services
from gateway.core.login import Digests
from gateway.core.permissions import Role
from gateway.core.service_token import SCOPES

NOW = 1_800_000_000_000_000
HOUR = 3_600_000_000
WHY = "the customer wrote to us"
REASON = "TICKET-7: the customer disputes the address"


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(grey: int = 0) -> bytes:
    """Return a picture of one point."""
    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    parts = _chunk(b"IHDR", head) + _chunk(b"IDAT", zlib.compress(bytes([0, grey]))) + _chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


PNG = png()
SECRET = Secret(b"s" * 32)


class SetClock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at


class NoTokensOfOthers:
    """In the place of what receives Security Event Tokens; says what it is told to."""

    def __init__(self) -> None:
        self.received: list[tuple[bytes, str | None]] = []
        self.answer: Any = None

    async def receive(self, body: bytes, content_type: str | None) -> Any:
        self.received.append((body, content_type))
        return self.answer


PEOPLE = {
    "vera": {Role.VIEWER},
    "aud": {Role.AUDITOR},
    "sue": {Role.SUPPORT},
    "sam": {Role.SUPPORT, Role.APPROVER},
    "ed": {Role.EDITOR},
    "app": {Role.APPROVER},
    "adm": {Role.ADMIN},
}
"""Everybody and what they are. Sam is both, and still may not be both for one ticket."""


async def fill(path: Path) -> dict[str, str]:
    """Make a store with an account of alice; return the tokens of `PEOPLE`, and one of a program for everything."""
    store = store_in(path, SetClock())
    await store.start()
    await store.put("alice", verification="full", documents=["PT"], residence="PT", who="import", why="moved in")
    tokens = ServiceTokens(store)
    held: dict[str, str] = {}
    for name, roles in PEOPLE.items():
        made = await tokens.create_personal(person=name, roles=map(str, roles), days=30, who="ben", why="T-1")
        assert isinstance(made, NewToken)
        held[name] = made.text
    made = await tokens.create(label="bot", scopes=map(str, SCOPES), days=30, who="ben", why="T-1")
    assert isinstance(made, NewToken)
    held["bot"] = made.text
    await store.close()
    return held


def store_in(path: Path, clock: SetClock) -> AccountStore:
    return AccountStore(f"sqlite:///{path}/gateway.db", clock=clock, read_within_s=5, write_within_s=5)


@asynccontextmanager
async def desk_of(path: Path, held: dict[str, str]) -> AsyncIterator[SimpleNamespace]:
    """Yield the API on a store that `fill` made, with a client and who holds which token."""
    clock = SetClock()
    store = store_in(path, clock)
    await store.start()
    tokens, held = ServiceTokens(store), dict(held)
    once = OnceStore(store)
    sets = NoTokensOfOthers()
    (path / "evidence").mkdir(mode=0o700)
    desk = Desk(
        store,
        DeskStore(store),
        OutboxStore(store),
        once,
        EventBook(store, Digests(b"k" * 32)),
        sets,  # type: ignore[arg-type]  # what it is asked
        EvidenceStore(Folder(path / "evidence"), MasterKeys({"k1": b"m" * 32})),
        IdentityResults("idp", lambda: (SECRET,), seen=once, clock=clock),
    )
    archive = MemoryArchive()

    async def erase(*_: object) -> Any:
        return {"decisions": 0, "waiting": 0, "journal_keeps_s": 0}

    services = Services(
        clock, tokens, archive, archive.find, lambda one, _: one, ("en",), lambda: b"", lambda peer, _: peer,
        AlarmFile(path), erase, desk,
    )  # fmt: skip
    transport = httpx2.ASGITransport(create_api(services), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as client:

        async def ask(who: str | None, method: str, url: str, body: Any = None, **headers: str) -> httpx2.Response:
            sent = {name.replace("_", "-"): text for name, text in headers.items()}
            if who is not None:
                sent["authorization"] = f"Bearer {held.get(who, who)}"
            if isinstance(body, bytes):
                return await client.request(method, url, content=body, headers=sent)
            return await client.request(method, url, json=body, headers=sent)

        yield SimpleNamespace(
            ask=ask, store=store, desk=desk, clock=clock, tokens=tokens, held=held, sets=sets, path=path,
            services=services, client=client,
        )  # fmt: skip
    await desk.tickets.close()
    await store.close()
