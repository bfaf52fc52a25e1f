"""The desk as people and other programs meet it: one gateway that serves, is killed in between, and loses nothing."""

import asyncio
import hmac
import json
import re
import sqlite3
import sys
from asyncio.subprocess import PIPE, Process
from base64 import b64decode, b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, TypeVar

import httpx2
import jwt
import orjson
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from gateway.adapters.clock import SystemClock
from gateway.adapters.service_tokens import NewToken, ServiceTokens
from gateway.adapters.sql import AccountStore
from gateway.core.decision import instant_text
from tests.adapters.pictures import jpeg, png
from tests.adapters.sinks.rig import Taken, accept, service

T = TypeVar("T")

NOW, SECOND = SystemClock().now, 1_000_000
GATEWAY = [sys.executable, "-c", "from gateway.cli import main; main()", "serve", "--config"]
LISBON, MADRID = "2.80.10.20", "81.32.10.20"
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HOME = {"address": LISBON, "device": "phone", "agent": PHONE, "to": "bc1-old"}
AWAY = {"address": MADRID, "device": "laptop", "agent": LAPTOP, "to": "bc1-new"}
SECRET = bytes(range(32))
IDP = ec.generate_private_key(ec.SECP256R1())
REVOKED = "https://schemas.openid.net/secevent/caep/event-type/session-revoked"
TABLES = """
[risk]
key_file = "risk.key"

[device]
header = "X-Device-Key"

[withdrawals]
destination = "/to"
balance_share = "/share"

[upstream]
url = "{upstream}"

[admin]
port = 0

[[webhooks]]
url = "{hook}"
secret_file = "hook.secret"
allow_private = true

[[security_events]]
issuer = "https://idp.example"
audience = "gateway"
jwks = "idp.json"
algorithms = ["ES256"]

[evidence]
key_file = "evidence.keys"
where = "evidence"

[identity_results]
provider = "acme"
secret_file = "hook.secret"
"""


async def until(look: Callable[[], Awaitable[T | None]], within_s: float = 60) -> T:
    """Return the first thing that a look finds."""
    async with asyncio.timeout(within_s):
        while not (found := await look()):  # noqa: ASYNC110 - another process works it off
            await asyncio.sleep(0.05)
    return found


class Exchange:
    """Whom the gateway tells. Until it is open it takes what comes and answers nothing."""

    def __init__(self) -> None:
        self.taken: list[Taken] = []
        self.open = asyncio.Event()

    async def answer(self, request: web.Request, one: Taken) -> web.Response:
        await self.open.wait()
        return web.Response()

    def told(self) -> dict[str, Any]:
        """Return each message by its key, the first of repeats, its signature checked as a receiver would."""
        found: dict[str, Any] = {}
        for one in self.taken:
            headers = {name.lower(): value for name, value in one.headers.items()}
            key, at = headers["webhook-id"], headers["webhook-timestamp"]
            mac = hmac.digest(SECRET, f"{key}.{at}.".encode() + one.body, "sha256")
            assert b64decode(headers["webhook-signature"].removeprefix("v1,")) == mac
            assert abs(NOW() // SECOND - int(at)) < 300
            assert found.setdefault(key, orjson.loads(one.body)) == orjson.loads(one.body), "a repeat is the same"
        return found


class Live:
    """One gateway that serves, and everybody who asks it something."""

    def __init__(self, process: Process, url: str, admin: str, site: SimpleNamespace, held: dict[str, str]) -> None:
        self.process, self.url, self.admin, self.site, self.held = process, url, admin, site, held
        self.client = httpx2.AsyncClient(timeout=30)
        self.log = b""
        """What it said from its start on, once it has ended."""

    async def ask(self, who: str | None, method: str, path: str, body: Any = None, **headers: str) -> httpx2.Response:
        """Return what the admin API answers."""
        sent = {name.replace("_", "-"): text for name, text in headers.items()}
        sent |= {} if who is None else {"authorization": f"Bearer {self.held[who]}"}
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await self._answer(method, f"{self.admin}{path}", headers=sent, **content)

    async def withdraw(self, *, address: str, device: str, agent: str, to: str, **token: Any) -> httpx2.Response:
        """Return what Alice is answered."""
        more = {"user-agent": agent, "x-device-key": device}
        headers = self.site.headers("alice", address, **token) | more
        return await self._answer(
            "POST", f"{self.url}/api/v1/withdrawals", headers=headers, json={"to": to, "share": 0.1}
        )

    async def _answer(self, method: str, url: str, **what: Any) -> httpx2.Response:
        """Return the answer to a request that is sent again, as 503 asks, where a busy machine is slow."""

        async def answered() -> httpx2.Response | None:
            answer = await self.client.request(method, url, **what)
            return None if answer.status_code == 503 else answer

        return await until(answered)


@asynccontextmanager
async def serving(site: SimpleNamespace, held: dict[str, str]) -> AsyncIterator[Live]:
    """A gateway in a process of its own, killed at the end."""
    process = await asyncio.create_subprocess_exec(*GATEWAY, str(site.config), stderr=PIPE)
    assert process.stderr is not None
    found: dict[str, str] = {}
    async with asyncio.timeout(60):
        while len(found) < 2:
            line = (await process.stderr.readline()).decode()
            assert line, "the gateway ended before it served"
            if told := re.search(r"gateway: (serving|admin API on) (http://[0-9.:]+)", line):
                found[told[1]] = told[2]
    # A pipe that nobody reads would stop it.
    draining = asyncio.get_running_loop().create_task(process.stderr.read())
    live = Live(process, found["serving"], found["admin API on"], site, held)
    try:
        yield live
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        live.log = await draining
        await live.client.aclose()


@pytest.fixture
async def held(site: SimpleNamespace) -> dict[str, str]:
    """Make the store, the keys and the tokens; return who holds which token."""
    jwk = json.loads(ECAlgorithm.to_jwk(IDP.public_key()))
    (site.folder / "idp.json").write_text(json.dumps({"keys": [{**jwk, "kid": "es", "alg": "ES256"}]}))
    (site.folder / "risk.key").write_text("k" * 64)
    (site.folder / "evidence.keys").write_text(f"k1 {b64encode(bytes(32)).decode()}\n")
    (site.folder / "hook.secret").write_text(f"whsec_{b64encode(SECRET).decode()}\n")
    store = AccountStore(f"sqlite:///{site.folder}/gateway.db", write_within_s=20)
    await store.start()
    await site.fill(store)
    tokens, found = ServiceTokens(store), {}
    for name, roles in {"rita": ["support", "approver"], "tom": ["approver"]}.items():
        made = await tokens.create_personal(person=name, roles=roles, days=1, who="ben", why="T-1")
        assert isinstance(made, NewToken)
        found[name] = made.text
    scopes = ["events:write", "outbox:read", "tickets:read"]
    made = await tokens.create(label="app", scopes=scopes, days=1, who="ben", why="T-1")
    assert isinstance(made, NewToken)
    await store.close()
    return found | {"app": made.text}


def history() -> list[dict[str, str]]:
    """Alice's last months: from Lisbon, by telephone, to one destination."""
    told = {"account": "alice", "ip": LISBON, "user_agent": PHONE, "device": "phone"}
    logins = [{**told, "type": "login.succeeded", "id": f"login-{n}", "at": _days_ago(130 - 2 * n)} for n in range(45)]
    first = {"type": "withdrawal.completed", "id": "first", "at": _days_ago(50)}
    return [*logins, {**told, **first, "destination": "bc1-old"}]


def _days_ago(days: int) -> str:
    return instant_text(NOW() - days * 86_400 * SECOND)


def pushed(jti: str, session: str, key: ec.EllipticCurvePrivateKey = IDP) -> bytes:
    """Return a token of the identity provider: this session of Alice is over."""
    subject = {"format": "complex", "user": {"format": "opaque", "id": "alice"}}
    claims = {
        "iss": "https://idp.example", "jti": jti, "iat": NOW() // SECOND, "aud": "gateway", "events": {REVOKED: {}},
        "sub_id": {**subject, "session": {"format": "opaque", "id": session}},
    }  # fmt: skip
    return jwt.encode(claims, key, "ES256", headers={"typ": "secevent+jwt", "kid": "es"}).encode()


async def test_a_hold_from_its_cause_to_its_release_outlives_the_process_that_placed_it(
    site: SimpleNamespace, held: dict[str, str]
) -> None:
    exchange = Exchange()
    async with service(exchange.answer, exchange.taken) as hook, service(accept, []) as upstream:
        text = site.config.read_text().replace('"library:holds"', '"library:holds", "library:unfamiliar-login"')
        text = text.replace("[server]", "[server]\nport = 0")
        site.config.write_text(text + TABLES.format(hook=hook, upstream=upstream.removesuffix("/logs")))

        async with serving(site, held) as live:
            ticket = await _held(live)
            await _attached(live, ticket)
            await _revoked(live)
            await until(lambda: _told_of(exchange, "alice"))
            under_way = set(exchange.told())
            live.process.kill()
            await live.process.wait()
        logs = live.log
        # The dead process had the lease for a minute: that minute is over.
        with sqlite3.connect(site.folder / "gateway.db", timeout=20) as store:
            assert store.execute("DELETE FROM leases WHERE name = 'outbox'").rowcount == 1

        exchange.open.set()
        async with serving(site, held) as live:
            await _looked_at(live, ticket)
            await _found_by_a_provider(live, ticket)
            await _released(live, ticket)
            assert (await live.withdraw(**HOME, sid="s-1", ago=60)).status_code == 401, "it stays revoked"
            for way in (AWAY, HOME):
                assert (await live.withdraw(**way, sid="s-2", ago=60)).status_code == 200
            messages = await until(lambda: _delivered(live))
        told = exchange.told()
        logs += live.log

    assert b"set:refused" in logs
    for secret in (*held.values(), b64encode(SECRET).decode(), "bc1-new", "called her"):
        assert secret.encode() not in logs
    assert under_way <= told.keys(), "what was cut off came again under its key"
    assert {one["id"] for one in messages} == told.keys(), "and nothing that is owed was lost"
    assert len(exchange.taken) > len(told)
    alice = sorted((one for one in told.values() if one["data"]["account"] == "alice"), key=lambda one: one["number"])
    kinds = [one["type"] for one in told.values() if one["data"]["account"] == "alice"]
    assert kinds == [one["type"] for one in alice], "in order"
    for kind in ("ticket.opened", "hold.placed", "session.revoked", "hold.released", "ticket.closed"):
        assert kinds.count(kind) == 1, kind
    of_ticket = {one["data"].get("ticket") for one in alice if one["type"].startswith(("ticket", "hold"))}
    assert of_ticket == {ticket}


async def _held(live: Live) -> str:
    """Make Alice's habits known; return the ticket of her first withdrawal from elsewhere."""
    assert (await live.ask("app", "POST", "/v1/events", {"events": history()})).json()["taken"] == 46
    assert (await live.ask("app", "POST", "/v1/events", {"events": history()})).json()["repeated"] == 46
    assert (await live.ask("rita", "POST", "/v1/events", {"events": []})).status_code == 403, "people tell no events"
    usual = await live.withdraw(**HOME, sid="s-1", ago=60)
    assert usual.status_code == 200, usual.text

    async def refused() -> str | None:
        # Where the store was too slow for the first answer to name it, the next one does.
        answer = await live.withdraw(**AWAY, sid="s-2", ago=60)
        assert answer.status_code == 403, answer.text
        assert answer.json()["reason"] in {"unfamiliar-login", "hold"}
        found = answer.json()["ticket_id"]
        assert found is None or isinstance(found, str)
        return found

    return await until(refused)


async def _attached(live: Live, ticket: str) -> None:
    """Show everything that the ticket asks for."""
    url = f"/api/v1/tickets/{ticket}/evidence"
    for kind, content, media in (("selfie_with_document", jpeg(), "image/jpeg"), ("signed_note", png(), "image/png")):
        answer = await live.ask("rita", "POST", f"{url}?kind={kind}", content, content_type=media)
        assert answer.status_code == 200, answer.text
    assert (answer.json()["missing"], answer.json()["state"]) == ([], "evidenced")


async def _revoked(live: Live) -> None:
    """Let the identity provider end one session; what is forged ends none."""
    sent = {"content_type": "application/secevent+jwt"}
    forged = pushed("j-0", "s-2", ec.generate_private_key(ec.SECP256R1()))
    answer = await live.ask(None, "POST", "/v1/security-events", forged, **sent)
    assert (answer.status_code, answer.json()["err"]) == (400, "authentication_failed")
    token = pushed("j-1", "s-1")
    for _ in range(2):
        assert (await live.ask(None, "POST", "/v1/security-events", token, **sent)).status_code == 202
    assert (await live.withdraw(**HOME, sid="s-1", ago=60)).status_code == 401
    assert (await live.withdraw(**HOME, sid="s-2", ago=60)).status_code == 403, "it is another session, and still held"


async def _looked_at(live: Live, ticket: str) -> None:
    """See that the next process has everything that was shown to the one before."""
    url = f"/api/v1/tickets/{ticket}/evidence"
    pieces = (await live.ask("tom", "GET", url)).json()["evidence"]
    assert [one["kind"] for one in pieces] == ["selfie_with_document", "signed_note"]
    for piece, content in zip(pieces, (jpeg(), png()), strict=True):
        shown = await live.ask("tom", "GET", f"{url}/{piece['id']}", gateway_reason="TICKET-7: to decide on it")
        assert shown.content == content


async def _found_by_a_provider(live: Live, ticket: str) -> None:
    """Let the provider tell what it found, twice; what it did not sign is nothing."""
    found = {"ticket": ticket, "document": "pass", "liveness": "pass", "face_match": 0.93, "provider_reference": "c-7"}
    body, at = orjson.dumps(found), str(NOW() // SECOND)
    for secret, status in ((bytes(32), 401), (SECRET, 200), (SECRET, 200)):
        mac = b64encode(hmac.digest(secret, f"m-1.{at}.".encode() + body, "sha256")).decode()
        signed = {"webhook_id": "m-1", "webhook_timestamp": at, "webhook_signature": f"v1,{mac}"}
        answer = await live.ask(
            None, "POST", "/api/v1/identity-results", body, content_type="application/json", **signed
        )
        assert answer.status_code == status, answer.text
    pieces = (await live.ask("tom", "GET", f"/api/v1/tickets/{ticket}/evidence")).json()["evidence"]
    assert [(one["kind"], one["by"]) for one in pieces[2:]] == [("identity_result", "acme")]


async def _released(live: Live, ticket: str) -> None:
    """Release the hold by two people, since one alone may not."""
    url = f"/api/v1/tickets/{ticket}"
    etag = (await live.ask("rita", "GET", url)).headers["etag"]
    body = {"outcome": "release", "why": "called her"}
    proposed = await live.ask("rita", "POST", f"{url}/propose", body, if_match=etag)
    assert proposed.status_code == 200, proposed.text
    etag = proposed.headers["etag"]
    alone = await live.ask("rita", "POST", f"{url}/approve", {"why": "and again"}, if_match=etag)
    assert alone.status_code in {403, 409}
    approved = await live.ask("tom", "POST", f"{url}/approve", {"why": "it is her"}, if_match=etag)
    assert (approved.status_code, approved.json()["state"]) == (200, "released")


async def _told_of(exchange: Exchange, account: str) -> bool:
    return any(one["data"]["account"] == account for one in exchange.told().values())


async def _delivered(live: Live) -> list[Any] | None:
    """Return all messages of the Outbox, once each is delivered."""
    listed = await live.ask("app", "GET", "/api/v1/outbox?limit=500")
    messages = listed.json()["messages"]
    return messages if all(one["state"] == "delivered" for one in messages) else None
