"""The desk as settings make it: what is configured works, what is not says which table is missing."""

import asyncio
import json
from base64 import b64encode

import httpx2
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from structlog.testing import capture_logs

from gateway.adapters.service_tokens import NewToken, ServiceTokens
from gateway.app import Gateway
from gateway.app.admin import Admin, AdminAlone
from gateway.config import load
from gateway.core.errors import ConfigError
from gateway.core.permissions import Person, Role
from gateway.core.service_token import SCOPES
from gateway.desk.kinds import TicketKind
from tests.adapters.pictures import png
from tests.adapters.sinks.rig import Taken, service

KEYS = f"2026-11 {b64encode(bytes(32)).decode()}\n"
WEBHOOK_SECRET = "whsec_" + "QUJD" * 8
TABLES = """
[risk]
key_file = "risk.key"

[evidence]
key_file = "evidence.keys"
where = "evidence"
largest_file = "1KiB"

[identity_results]
provider = "acme"
secret_file = "acme.secret"

[[security_events]]
issuer = "https://idp.example"
audience = "gateway"
jwks = "idp.json"
algorithms = ["ES256"]
"""
EVENT = {"type": "login.succeeded", "id": "e-1", "account": "alice", "at": "2026-01-02T03:04:05Z", "ip": "2.80.10.20"}
ROUTES = [
    ("POST", "/v1/security-events", "application/secevent+jwt", "[[security_events]]"),
    ("POST", "/api/v1/identity-results", "application/json", "[identity_results]"),
]


@pytest.fixture
def everything(site):
    """Return the configuration with every table of the desk."""
    folder = site.folder
    (folder / "risk.key").write_text("k" * 64)
    (folder / "evidence.keys").write_text(KEYS)
    (folder / "acme.secret").write_text(WEBHOOK_SECRET)
    jwk = json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    (folder / "idp.json").write_text(json.dumps({"keys": [{**jwk, "kid": "es", "alg": "ES256"}]}))
    site.config.write_text(f"{site.config.read_text()}\n[admin]\nport = 0\n{TABLES}")
    return site


async def client_of(admin, store) -> httpx2.AsyncClient:
    made = await ServiceTokens(store).create(label="bot", scopes=map(str, SCOPES), days=1, who="ben", why="T-9")
    assert isinstance(made, NewToken)
    transport = httpx2.ASGITransport(admin.app, raise_app_exceptions=False)
    headers = {"authorization": f"Bearer {made.text}"}
    return httpx2.AsyncClient(transport=transport, base_url="http://admin", headers=headers)


async def ticket_in(gateway) -> str:
    sue = Person("sue", frozenset({Role.SUPPORT}))
    opened = await gateway.desk.open("alice", TicketKind.UNFAMILIAR_LOGIN, sue, "she asked for it")
    return opened.id


async def test_everything_that_is_configured_is_there(everything) -> None:
    site, gateway = everything, Gateway(load(everything.config))
    admin = Admin(gateway)
    async with admin.app.router.lifespan_context(admin.app), await client_of(admin, gateway.store) as client:
        await site.fill(gateway.store)
        assert (await client.post("/v1/events", json={"events": [EVENT]})).json()["taken"] == 1
        assert (await client.get("/api/v1/accounts/alice")).status_code == 200
        for method, url, media, _ in ROUTES:
            answer = await client.request(method, url, content=b"x", headers={"content-type": media})
            assert answer.status_code in {400, 401}, "it is there, and believes nothing of this"
        url = f"/api/v1/tickets/{await ticket_in(gateway)}/evidence?kind=signed_note"
        headers = {"content-type": "image/png"}
        attached = await client.post(url, content=png(), headers=headers)
        assert [piece["kind"] for piece in attached.json()["evidence"]] == ["signed_note"]
        assert (await client.post(url, content=b"x" * 1025, headers=headers)).status_code == 413
    await gateway.close()
    (kept,) = [path for path in (site.folder / "evidence").rglob("*") if path.is_file()]
    assert png() not in kept.read_bytes()


async def test_what_is_not_configured_says_which_table_is_missing(site) -> None:
    site.config.write_text(f"{site.config.read_text()}\n[admin]\nport = 0\n")
    gateway = Gateway(load(site.config))
    admin = Admin(gateway)
    async with admin.app.router.lifespan_context(admin.app), await client_of(admin, gateway.store) as client:
        await site.fill(gateway.store)
        taken = await client.post("/v1/events", json={"events": [EVENT]})
        assert taken.json()["taken"] == 1, "events are taken where nothing is measured, too"
        for method, url, media, table in ROUTES:
            answer = await client.request(method, url, content=b"x", headers={"content-type": media})
            assert (answer.status_code, answer.json()["type"]) == (501, "urn:gateway:problem:not-configured")
            assert table in answer.json()["detail"]
        url = f"/api/v1/tickets/{await ticket_in(gateway)}/evidence?kind=signed_note"
        refused = await client.post(url, content=png(), headers={"content-type": "image/png"})
        assert refused.status_code == 501
        assert "`[evidence] key_file`" in refused.json()["detail"]
    await gateway.close()
    assert not (site.folder / "var").exists(), "no folder is made for what is not kept"


async def test_alone_it_takes_events_as_a_gateway_does_and_the_gateway_hears_of_them(everything) -> None:
    site, gateway = everything, Gateway(load(everything.config))
    await gateway.start()
    await site.fill(gateway.store)
    alone = AdminAlone(load(site.config))
    changed = {
        "type": "verification.changed", "id": "e-2", "account": "alice", "at": "2026-01-02T03:04:05Z",
        "method": "password", "change": "reset",
    }  # fmt: skip
    async with alone.app.router.lifespan_context(alone.app), await client_of(alone, gateway.store) as client:
        answer = await client.post("/v1/events", json={"events": [EVENT, changed]})
        assert answer.json()["taken"] == 2
        assert (await client.post("/v1/events", json={"events": [EVENT]})).json()["repeated"] == 1
    timeline = await gateway.desk.timeline("alice")
    assert {"login.succeeded", "verification.changed"} <= {moment.what for moment in timeline.moments}
    await gateway.close()


async def test_keys_of_an_issuer_are_fetched_while_the_desk_is_at_work_and_no_longer(everything) -> None:
    site, published = everything, (everything.folder / "idp.json").read_bytes()

    async def answer(_request: web.Request, _taken: Taken) -> web.Response:
        return web.Response(body=published, content_type="application/json")

    taken: list[Taken] = []
    async with service(answer, taken) as url:
        site.config.write_text(site.config.read_text().replace('"idp.json"', f'"{url}"'))
        alone = AdminAlone(load(site.config))
        assert taken == [], "nothing is asked before it is needed"
        async with alone.app.router.lifespan_context(alone.app):
            assert len(taken) == 1
            assert "gateway keys" in {task.get_name() for task in asyncio.all_tasks()}
        assert "gateway keys" not in {task.get_name() for task in asyncio.all_tasks()}


async def test_alone_it_takes_changed_editions_as_gateways_do_whatever_goes_wrong_once(everything) -> None:
    alone = AdminAlone(load(everything.config))
    asked: list[int] = []
    twice = asyncio.Event()
    loop = asyncio.get_running_loop()

    def refresh() -> tuple[()]:
        asked.append(1)
        if len(asked) == 1:
            raise RuntimeError("nobody thought of it")
        loop.call_soon_threadsafe(twice.set)
        return ()

    alone._geo.refresh = refresh
    alone._check_every_s = 0
    with capture_logs() as logs:
        async with alone.app.router.lifespan_context(alone.app), asyncio.timeout(20):
            await twice.wait()
    assert "admin:refresh_failed" in [line["event"] for line in logs]


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("evidence.keys", "2026-11 short", r"^\[evidence\] master keys of evidence in .*: what follows"),
        ("evidence.keys", "", r"^\[evidence\] master keys of evidence: 1 to 32 are needed, not 0"),
        ("acme.secret", "hunter2", r"^\[identity_results\] the file of secrets .*: a secret begins with"),
        ("idp.json", "{}", r"^\[\[security_events\]\] "),
    ],
)
def test_what_cannot_work_stops_the_build_and_names_the_table(everything, file, content, said) -> None:
    (everything.folder / file).write_text(content)
    settings = load(everything.config)

    with pytest.raises(ConfigError, match=said) as refused:
        Admin(Gateway(settings))
    assert "hunter2" not in str(refused.value)
    with pytest.raises(ConfigError, match=said):
        AdminAlone(settings)
