"""From events to a held withdrawal, its ticket, two people, and the same withdrawal let through."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from starlette.applications import Starlette
from starlette.responses import JSONResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from gateway import GatewayMiddleware
from gateway.adapters.desk_store import DeskStore
from gateway.adapters.event_book import EventBook
from gateway.adapters.follow import Follower
from gateway.adapters.recorded import read_documents
from gateway.adapters.sql import AccountStore
from gateway.app.carrying import Carrying
from gateway.app.measuring import digests_of
from gateway.config import load
from gateway.core.events import (
    AssuranceChanged,
    Change,
    LoginSucceeded,
    Method,
    ProvedWith,
    SessionRevoked,
    VerificationChanged,
    WithdrawalCompleted,
)
from gateway.core.permissions import person
from gateway.desk.evidence import Evidence, IdentityResult
from gateway.desk.record import End, Ticket

PEER = ("10.0.0.1", 4711)
LISBON, MADRID = "2.80.10.20", "81.32.10.20"
SECOND, DAY = 1_000_000, 86_400_000_000
PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1"
LAPTOP = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
MORE = """
[risk]
key_file = "risk.key"

[device]
header = "X-Device-Key"

[withdrawals]
destination = "/to"
balance_share = "/share"
amount_usd = "header:X-Amount-USD"
"""
HOME = {"address": LISBON, "device": "phone", "agent": PHONE, "to": "bc1-old"}
AWAY = {"address": MADRID, "device": "laptop", "agent": LAPTOP, "to": "bc1-new"}


@pytest.fixture
def measured(site: SimpleNamespace) -> SimpleNamespace:
    """The site, with profiles."""
    (site.folder / "risk.key").write_text("k" * 64)
    text = site.config.read_text().replace('"library:holds"', '"library:holds", "library:unfamiliar-login"')
    site.config.write_text(text + MORE)
    return site


def history(now: int) -> list:
    """Alice's last months: from Lisbon, by telephone, to one destination."""
    told = {"account": "alice", "ip": LISBON, "user_agent": PHONE, "device": "phone"}
    logins = [LoginSucceeded(id=f"login-{number}", at=now - (130 - 2 * number) * DAY, **told) for number in range(45)]
    return [*logins, WithdrawalCompleted(id="first", at=now - 50 * DAY, destination="bc1-old", **told)]


class Customer:
    """Somebody with Alice's token, who withdraws."""

    def __init__(self, client: TestClient, site: SimpleNamespace) -> None:
        self.client, self.site = client, site

    def withdraw(self, *, address: str, device: str | None, agent: str, to: str, share: float = 0.1, **token: object):
        headers = self.site.headers("alice", address, **token) | {"user-agent": agent, "x-amount-usd": "250"}
        if device is not None:
            headers["x-device-key"] = device
        return self.ask(headers=headers, json={"to": to, "share": share})

    def ask(self, **request: object):
        return answered(self.client, "POST", "/api/v1/withdrawals", **request)


def answered(client: TestClient, method: str, path: str, **request: object):
    """Return the answer, asking again as it says where the machine is too busy for the store's bounds."""
    for _ in range(50):
        answer = client.request(method, path, **request)
        if answer.status_code != 503:
            break
    return answer


@pytest.fixture
def live(measured: SimpleNamespace):
    """Yield a gateway that knows Alice, the customer, and what reached the app."""
    reached: list[bytes] = []
    devices: list[str | None] = []
    answers: list[tuple[int, dict[str, str]]] = [(200, {})]

    async def everything(request):
        devices.append(request.headers.get("gateway-device"))
        reached.append(await request.body())
        status, more = answers[0]
        return JSONResponse({}, status, headers=more)

    app = Starlette(routes=[Route("/{rest:path}", everything, methods=["GET", "POST"])])
    app.add_middleware(GatewayMiddleware, config=measured.config)
    with TestClient(app, client=PEER) as client:
        gateway = app.middleware_stack.app.gateway
        gateway.line._at_once._within_s = 10.0  # a busy machine is another test's
        book = EventBook(gateway.store, digests_of(gateway.settings), gateway.geo)
        client.portal.call(measured.fill, gateway.store)
        client.portal.call(book.take, history(gateway.clock.now()), "tests")
        yield SimpleNamespace(
            gateway=gateway, book=book, call=client.portal.call, client=client, customer=Customer(client, measured),
            site=measured, reached=reached, devices=devices, answers=answers,
        )  # fmt: skip


def evidence(ticket: Ticket, at: int) -> list[Evidence]:
    result = IdentityResult(document=True, liveness=True, face_match=0.97, reference="r-1")
    return [
        Evidence(f"e-{number}", kind, at, "support", result=result if kind == "identity_result" else None)
        for number, kind in enumerate(("identity_result", *ticket.evidence_required[1:]))
    ]


def test_a_usual_withdrawal_passes_with_its_body_and_says_what_it_was_measured_from(live) -> None:
    answer = live.customer.withdraw(**HOME)
    assert answer.status_code == 200, answer.text
    assert live.reached == [b'{"to":"bc1-old","share":0.1}']
    document = list(read_documents(live.site.folder / "journal"))[-1]
    assert document["facts"]["signals"] == []
    assert document["facts"]["destination"] == "known"
    assert document["facts"]["amount_usd"] == 250
    words = {term["name"]: term["words"] for term in document["signals_detail"]["terms"]}
    assert "country PT seen in 100 % of logins" in words["network"]
    assert "bc1-old" not in str(document), "a destination is never written down"


def test_a_held_withdrawal_has_a_ticket_and_passes_once_two_people_released_it(live) -> None:
    refused = live.customer.withdraw(**AWAY)
    assert refused.status_code == 403
    body = refused.json()
    assert body["reason"] == "unfamiliar-login"
    assert body["ticket_id"].startswith("T-")
    assert body["evidence_needed"] == ["selfie_with_document", "signed_note"]
    assert live.reached == []
    again = live.customer.withdraw(**AWAY).json()
    assert again["ticket_id"] == body["ticket_id"], "the same cause makes one ticket"
    another = live.customer.withdraw(**{**AWAY, "to": "bc1-third"}).json()
    assert another["ticket_id"] == body["ticket_id"], "nor does each destination that is tried make one"
    usual = live.customer.withdraw(**HOME)
    assert (usual.status_code, usual.json()["reason"]) == (403, "hold"), "the account's withdrawals wait"
    assert usual.json()["ticket_id"] == body["ticket_id"]

    desk, ticket_id = live.gateway.desk, body["ticket_id"]
    ticket = live.call(desk.ticket, ticket_id)
    assert ticket.decision_id == refused.headers["gateway-decision"]
    for piece in evidence(ticket, live.gateway.clock.now()):
        ticket = live.call(desk.attach, ticket_id, piece)
        assert isinstance(ticket, Ticket), ticket
    rita, tom = person("Rita", ["support", "approver"]), person("Tom", ["approver"])
    assert isinstance(live.call(desk.propose, ticket_id, rita, End.RELEASE, "called her"), Ticket)
    assert not isinstance(live.call(desk.approve, ticket_id, rita, "and again"), Ticket), "nobody does both halves"
    assert isinstance(live.call(desk.approve, ticket_id, tom, "the document is hers"), Ticket)

    passed = live.customer.withdraw(**AWAY)
    assert passed.status_code == 200, passed.text
    assert live.customer.withdraw(**HOME).status_code == 200


def test_a_device_that_is_not_told_is_not_a_known_one(live) -> None:
    answer = live.customer.withdraw(**{**AWAY, "device": None})
    assert (answer.status_code, answer.json()["reason"]) == (403, "unfamiliar-login")


@pytest.mark.parametrize(
    "body", [b'{"to": "bc1-old", "to": "bc1-new"}', b"[", b"", b'{"to": 7}', b'{"to":"' + b"x" * 70_000]
)
def test_a_body_that_says_nothing_leaves_the_destination_unknown(live, body) -> None:
    headers = live.site.headers("alice", LISBON) | {
        "user-agent": PHONE, "x-device-key": "phone", "content-type": "application/json",
    }  # fmt: skip
    live.customer.ask(headers=headers, content=body)
    document = list(read_documents(live.site.folder / "journal"))[-1]
    assert "destination" in document["unknown"]
    assert "new_destination" in document["facts"]["signals"]
    if live.reached:
        assert live.reached == [body]


def test_a_revoked_session_is_over_at_the_next_request(live) -> None:
    session = {"sid": "s-1", "ago": 30}
    assert live.customer.withdraw(**HOME, **session).status_code == 200
    now = live.gateway.clock.now()
    live.call(live.book.take, [SessionRevoked(id="r", account="alice", at=now, session="s-1")], "tests")
    ended = live.customer.withdraw(**HOME, **session)
    assert (ended.status_code, ended.json()["reason"]) == (401, "credential-invalid")
    assert live.customer.withdraw(**HOME, sid="s-2", ago=30).status_code == 200


def test_a_session_that_counts_for_less_is_asked_for_proof_at_the_next_request(live) -> None:
    assert live.customer.withdraw(**HOME, ago=30).status_code == 200
    now = live.gateway.clock.now()
    live.call(live.book.take, [AssuranceChanged(id="a", account="alice", at=now, level=1)], "tests")
    asked = live.customer.withdraw(**HOME, ago=30)
    assert (asked.status_code, asked.json()["reason"]) == (401, "step-up-required")


def test_a_recovered_password_holds_the_next_withdrawal_with_a_ticket(live) -> None:
    assert live.customer.withdraw(**HOME).status_code == 200
    changed = VerificationChanged(
        id="v", account="alice", at=live.gateway.clock.now(), method=Method.PASSWORD, change=Change.RESET,
        proved_with=ProvedWith.RECOVERY,
    )  # fmt: skip
    live.call(live.book.take, [changed], "tests")
    held = live.customer.withdraw(**HOME)
    assert (held.status_code, held.json()["reason"]) == (403, "hold")
    assert held.json()["ticket_id"].startswith("T-")
    assert held.json()["hold_until"] is not None


def test_a_device_key_that_two_readers_may_read_in_two_ways_is_refused(live) -> None:
    headers = [*live.site.headers("alice", LISBON).items(), ("x-device-key", "a")]
    assert live.client.get("/api/v1/balances", headers=[*headers, ("x-device-key", "b")]).status_code == 400
    assert live.client.get("/api/v1/balances", headers=[*headers, ("x_device_key", "b")]).status_code == 400
    long = [*live.site.headers("alice", LISBON).items(), ("x-device-key", "a" * 600)]
    assert live.client.get("/api/v1/balances", headers=long).status_code == 400


@pytest.fixture
def with_cookie(measured: SimpleNamespace) -> SimpleNamespace:
    """The measured site, which knows devices by its own cookie."""
    (measured.folder / "device.key").write_text("d" * 64)
    text = measured.config.read_text()
    own = 'cookie = "__Host-gwd"\nkey_file = "device.key"\n'
    measured.config.write_text(text.replace('header = "X-Device-Key"\n', own))
    return measured


@pytest.mark.usefixtures("with_cookie")
def test_whoever_signed_in_gets_a_device_cookie_once_and_the_app_its_key(live) -> None:
    live.client.base_url = "https://exchange.example"
    headers = live.site.headers("alice", LISBON) | {"user-agent": PHONE}
    first = answered(live.client, "GET", "/api/v1/balances", headers=headers)
    told = first.headers["set-cookie"]
    assert told.startswith("__Host-gwd=1.")
    for word in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=34560000"):
        assert word in told
    cookie = {"cookie": told.partition(";")[0]}
    again = [answered(live.client, "GET", "/api/v1/balances", headers=headers | cookie) for _ in range(2)]
    assert all("set-cookie" not in one.headers for one in again)
    assert live.devices[0] == live.devices[1] == live.devices[2] == told[len("__Host-gwd=1.") :].partition(".")[0]
    stranger = live.client.get("/api/v1/market", headers=live.site.headers(None))
    assert "set-cookie" not in stranger.headers, "what is the same for all may be kept and given to others"


@pytest.fixture
def with_login(measured: SimpleNamespace) -> SimpleNamespace:
    """The measured site, which observes logins."""
    own = '[login]\npath = "/api/v1/login"\naccount_header = "X-Login-Account"\nsession_header = "X-Login-Session"\n'
    route = '[[operations]]\noperation = "login"\nmethods = ["POST"]\npath = "/api/v1/login"\n'
    measured.config.write_text(measured.config.read_text() + own + route)
    return measured


@pytest.mark.usefixtures("with_login")
def test_what_the_app_answers_to_a_login_becomes_an_event_and_its_headers_stay_here(live) -> None:
    headers = live.site.headers(None) | {"user-agent": LAPTOP, "x-device-key": "laptop"}
    for status, account in ((200, "bob"), (401, "bob"), (500, "bob"), (200, ""), (200, "no such\tuid")):
        live.answers[:] = [(status, {"x-login-account": account, "x-login-session": "s-9"})]
        answer = live.client.post("/api/v1/login", headers=headers)
        assert answer.status_code == status
        assert not any(name.startswith("x-login") for name in answer.headers)
    live.call(live.gateway.logins.close)
    assert (live.gateway.logins.unnamed, live.gateway.logins.lost) == (2, 0)

    with sqlite3.connect(live.site.folder / "gateway.db") as store:
        rows = store.execute("SELECT type, body FROM events WHERE account = 'bob' ORDER BY number").fetchall()
    assert [kind for kind, _ in rows] == ["login.succeeded", "login.failed"]
    body = json.loads(rows[0][1])
    assert (body["ip"], body["device"], body["session"], body["user_agent"]) == (LISBON, "laptop", "s-9", LAPTOP)


GATEWAY = """
import asyncio, os, signal, sys
from starlette.applications import Starlette
from starlette.testclient import TestClient
from gateway import GatewayMiddleware
import json
app = Starlette()
app.add_middleware(GatewayMiddleware, config=sys.argv[1])
client = TestClient(app, client=("10.0.0.1", 4711)).__enter__()
for _ in range(50):
    answer = client.post("/api/v1/withdrawals", headers=json.loads(sys.argv[2]), json={"to": "bc1-new"})
    if answer.status_code != 503:
        break
print(answer.status_code, answer.json()["ticket_id"], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_gateway_that_is_killed_before_the_store_took_what_follows_loses_nothing(measured) -> None:
    settings = load(measured.config)

    async def prepare() -> None:
        store = AccountStore(settings.store.url)
        await store.start()
        await measured.fill(store)
        await store.close()

    async def carry() -> tuple[int, int, Ticket | None]:
        carrying, store = Carrying(settings.store.url), AccountStore(settings.store.url)
        stretches = list(Follower(settings.journal.directory).stretches({}))
        try:
            first, second = [sum([await carrying.carry(one) for one in stretches]) for _ in range(2)]
            return first, second, await DeskStore(store).open_ticket_for("alice", "withdraw")
        finally:
            await carrying.close()
            await store.close()

    asyncio.run(prepare())
    headers = measured.headers("alice", MADRID) | {"user-agent": LAPTOP, "x-device-key": "laptop"}
    command = [sys.executable, "-c", GATEWAY, str(measured.config), json.dumps(headers)]
    with sqlite3.connect(measured.folder / "gateway.db", isolation_level=None) as other:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=Path.cwd())
        # Somebody else writes for as long as the gateway lives, once it has started.
        other.execute("BEGIN IMMEDIATE")
        told, said = process.communicate(timeout=60)
        other.execute("ROLLBACK")
    assert process.returncode == -signal.SIGKILL, said
    assert told.splitlines()[-1] == "403 None", "the answer stands, without its ticket"
    first, second, ticket = asyncio.run(carry())
    assert (first, second) == (1, 0), "once, however often it is tried"
    assert ticket is not None
    assert ticket.operations == {"transfer", "withdraw"}
