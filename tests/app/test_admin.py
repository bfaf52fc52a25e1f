import asyncio
import json
import re
from functools import partial

import httpx2
import pytest
from structlog.testing import capture_logs

from gateway.adapters.service_tokens import NewToken, ServiceTokens
from gateway.app import Gateway
from gateway.app.admin import Admin, AdminAlone, Lookout, _address_of, admin_beside, serve_alone
from gateway.app.parts import client_ip_of, plan_of
from gateway.app.shipper import ship
from gateway.config import load
from gateway.core.errors import ConfigError
from gateway.core.search import Search

WHY = "TICKET-7: the customer disputes the address"


def configure(site, archive, admin):
    """Replace the tables of the site's configuration that say so."""
    text = re.sub(r"\n\[(?:archive|admin)\]\n(?:[^\[\n].*\n)*", "\n", site.config.read_text())
    site.config.write_text(f"{text}\n[archive]\n{archive}\n\n[admin]\n{admin}\n")


@pytest.fixture
async def open_site(site):
    """A running gateway with its admin app, a token for everything, and the id of a refusal of bob."""
    configure(site, 'ship = "thread"', "port = 0")
    gateway = Gateway(load(site.config))
    admin = Admin(gateway)
    async with admin.app.router.lifespan_context(admin.app):
        await site.fill(gateway.store)
        made = await ServiceTokens(gateway.store).create(
            label="desk", scopes=["decisions:read", "decisions:unmask", "metrics:read"], days=1, who="ben", why="T-9"
        )
        assert isinstance(made, NewToken)
        request = read(gateway, site.headers("bob", "65.24.10.20"))
        passage = await gateway.line.decide(request)
        transport = httpx2.ASGITransport(admin.app)
        headers = {"authorization": f"Bearer {made.text}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://admin", headers=headers) as client:
            yield client, gateway, passage.decision_id.decode(), site
    await gateway.close()


def read(gateway, headers):
    from gateway.app.offline import read_request

    text = {"peer": "10.0.0.1", "method": "POST", "target": "/api/v1/orders", "headers": list(headers.items())}
    return read_request(json.dumps(text).encode(), gateway.clock)


async def test_a_decision_is_found_before_it_is_shipped_and_after(open_site) -> None:
    client, _, decision_id, _ = open_site
    answer = await client.get(f"/api/v1/decisions/{decision_id}")
    assert answer.json()["decision"]["verdict"]["by"][0]["rule"] == "us-closed"
    async with asyncio.timeout(20):
        while not (await client.get("/api/v1/decisions?account=bob")).json()["decisions"]:  # noqa: ASYNC110 - another's work
            await asyncio.sleep(0.05)
    assert (await client.get(f"/api/v1/decisions/{decision_id}")).json() == answer.json()


async def test_an_explanation_is_masked_until_somebody_says_why(open_site) -> None:
    client, gateway, decision_id, _ = open_site
    path = f"/api/v1/decisions/{decision_id}?explain=1&language=de"
    masked = await client.get(path)
    assert "us-closed" in str(masked.json()["explanation"]["rules"])
    assert "Rechtsgebiet" in str(masked.json()["explanation"]["told"])
    assert "65.24.10.20" not in masked.text
    whole = await client.get(path, headers={"gateway-reason": WHY})
    assert "65.24.10.20" in str(whole.json()["explanation"]["address"])
    (entry, *_) = await gateway.store.history("bob")
    assert (entry.action, entry.why, entry.after) == ("decision.unmask", WHY, {"decision": decision_id})


@pytest.mark.parametrize("role", ["analyst", "auditor"])
async def test_a_role_that_sees_more_is_explained_more(open_site, role) -> None:
    client, _, decision_id, _ = open_site
    path = f"/api/v1/decisions/{decision_id}?explain=1&role={role}"
    explained = (await client.get(path, headers={"gateway-reason": WHY})).json()["explanation"]
    assert explained["role"] == role
    assert "65.24.10.20" in str(explained["address"])


async def test_an_explanation_says_whether_it_would_be_the_same_now(open_site) -> None:
    client, _, decision_id, _ = open_site
    path = f"/api/v1/decisions/{decision_id}?explain=1"
    assert (await client.get(path)).json()["explanation"]["now"] == []
    (says, *_) = (await client.get(f"{path}&now=1")).json()["explanation"]["now"]
    assert says.startswith("Yes: ")


async def test_failures_count_against_whom_a_trusted_proxy_speaks_for(open_site) -> None:
    _, gateway, _, _ = open_site
    address_of = partial(_address_of, client_ip_of(gateway.settings))
    assert address_of("10.0.0.1", {"x-forwarded-for": [b"192.0.2.7, 8.8.8.8"]}) == "8.8.8.8"
    assert address_of("8.8.4.4", {"x-forwarded-for": [b"1.1.1.1"]}) == "8.8.4.4"
    assert address_of("127.0.0.1", {}) == "127.0.0.1"
    assert address_of(None, {}) is None


async def test_the_metrics_are_those_of_the_gateway(open_site) -> None:
    client, gateway, _, _ = open_site
    gateway.line.unrecorded = 3
    assert "gateway_decisions_unrecorded_total 3.0" in (await client.get("/metrics")).text


async def test_a_gateway_is_ready_while_it_can_record_what_it_decides(open_site) -> None:
    client, gateway, _, _ = open_site
    checks = {one["name"]: one for one in (await client.get("/readyz?verbose")).json()["checks"]}
    assert {name for name, one in checks.items() if one["needed"]} == {"started", "policies", "journal"}
    assert all(one["ok"] for name, one in checks.items() if name != "editions")
    await gateway.close()
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert "started" in answer.json()["detail"]


def test_without_an_archive_there_is_nothing_to_ask(site) -> None:
    configure(site, 'url = "none"', "port = 0")
    with pytest.raises(ConfigError, match="keeps none"):
        Admin(Gateway(load(site.config)))


async def test_the_api_serves_beside_the_gateway_and_ends_with_it(site) -> None:
    configure(site, 'ship = "off"', "port = 0")
    gateway = Gateway(load(site.config))
    told: asyncio.Queue[str] = asyncio.Queue()
    done = asyncio.Event()

    async def serving() -> None:
        await done.wait()

    both = asyncio.ensure_future(admin_beside(serving(), gateway, ready=told.put_nowait))
    url = await asyncio.wait_for(told.get(), 20)
    async with httpx2.AsyncClient() as client:
        assert (await client.get(f"{url}/api/v1/health")).json() == {"status": "ok"}
        assert (await client.get(f"{url}/api/v1/decisions")).status_code == 401
        done.set()
        await asyncio.wait_for(both, 20)
        with pytest.raises(httpx2.ConnectError):
            await client.get(f"{url}/api/v1/health")
    await gateway.close()


async def test_an_api_that_cannot_listen_ends_the_gateway_with_the_reason(site) -> None:
    listening = asyncio.Event()

    async def serving() -> None:
        listening.set()
        await asyncio.Event().wait()

    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    configure(site, 'ship = "off"', f"port = {port}")
    gateway = Gateway(load(site.config))
    with pytest.raises(ConfigError, match=f"cannot listen on 127.0.0.1 port {port}"):
        await asyncio.wait_for(admin_beside(serving(), gateway, ready=print), 20)
    assert listening.is_set()
    taken.close()
    await gateway.close()


async def test_without_a_port_the_gateway_serves_alone(site) -> None:
    served = []

    async def serving() -> None:
        served.append(True)

    await admin_beside(serving(), Gateway(load(site.config)), ready=print)
    assert served == [True]


@pytest.fixture
async def embedded(site):
    """A gateway inside an app, which ships nowhere, and the id of a refusal of bob that it recorded."""
    configure(site, 'ship = "off"', "port = 0")
    gateway = Gateway(load(site.config))
    await gateway.start()
    await site.fill(gateway.store)
    passage = await gateway.line.decide(read(gateway, site.headers("bob", "65.24.10.20")))
    yield gateway, passage.decision_id.decode(), site
    await gateway.close()


async def opened(alone, store=None):
    """Give a client of the API that runs alone, with a token for everything where there is a store to keep it."""
    headers = {}
    if store is not None:
        made = await ServiceTokens(store).create(
            label="desk", scopes=["decisions:read", "metrics:read"], days=1, who="ben", why="T-9"
        )
        headers = {"authorization": f"Bearer {made.text}"}
    transport = httpx2.ASGITransport(alone.app, raise_app_exceptions=False)
    return httpx2.AsyncClient(transport=transport, base_url="http://admin", headers=headers)


@pytest.mark.parametrize("archive", ['ship = "off"', 'url = "none"'])
async def test_alone_it_finds_what_an_embedded_gateway_recorded(embedded, archive) -> None:
    gateway, decision_id, site = embedded
    configure(site, archive, "port = 0")
    alone = AdminAlone(load(site.config))
    async with alone.app.router.lifespan_context(alone.app), await opened(alone, gateway.store) as client:
        assert (await client.get("/api/v1/health")).json() == {"status": "ok"}
        found = (await client.get("/api/v1/decisions?account=bob")).json()["decisions"]
        assert [one["id"] for one in found] == [decision_id]
        one = (await client.get(f"/api/v1/decisions/{decision_id}?explain=1")).json()
        assert "us-closed" in str(one["explanation"]["rules"])
        assert (await client.get("/api/v1/decisions/stats?by=outcome")).json()["by"] == {"outcome": {"deny": 1}}
        assert "gateway_decisions_unrecorded_total 0.0" in (await client.get("/metrics")).text
    assert not (site.folder / "decisions.db").exists(), "who only reads makes no archive"


async def test_alone_it_takes_up_the_archive_when_there_is_one(embedded) -> None:
    gateway, decision_id, site = embedded
    alone = AdminAlone(load(site.config))
    async with alone.app.router.lifespan_context(alone.app), await opened(alone, gateway.store) as client:
        assert len((await client.get("/api/v1/decisions")).json()["decisions"]) == 1
        stop = asyncio.Event()
        stop.set()
        await ship(plan_of(gateway.settings), stop)
        assert (site.folder / "decisions.db").exists()
        again = (await client.get("/api/v1/decisions")).json()["decisions"]
        assert [one["id"] for one in again] == [decision_id]
        assert (await client.get("/api/v1/decisions/stats?by=outcome")).json()["decisions"] == 1


async def test_alone_it_looks_at_the_journal_anew_but_not_all_the_time(embedded) -> None:
    gateway, _, site = embedded
    lookout = Lookout(load(site.config))
    assert len((await lookout.search(Search())).documents) == 1
    await gateway.line.decide(read(gateway, site.headers("bob", "65.24.10.20")))
    lookout._again_at = float("inf")
    assert len((await lookout.search(Search())).documents) == 1
    lookout._again_at = 0.0
    assert len((await lookout.search(Search())).documents) == 2
    await lookout.close()


async def test_alone_it_makes_no_store_and_believes_no_token_until_there_is_one(site) -> None:
    configure(site, 'ship = "off"', "port = 0")
    alone = AdminAlone(load(site.config))
    with capture_logs() as logs:
        async with alone.app.router.lifespan_context(alone.app), await opened(alone) as client:
            answer = await client.get(
                "/api/v1/decisions", headers={"authorization": f"Bearer gwt_{'0' * 12}_{'x' * 43}"}
            )
            assert answer.status_code == 503
    assert not (site.folder / "gateway.db").exists()
    assert "admin:no_store" in [one["event"] for one in logs]


async def test_an_archive_that_is_away_is_said_and_asked_again(embedded) -> None:
    gateway, decision_id, site = embedded
    (site.folder / "decisions.db").write_bytes(b"no database " * 1000)
    alone = AdminAlone(load(site.config))
    async with alone.app.router.lifespan_context(alone.app), await opened(alone, gateway.store) as client:
        assert (await client.get("/api/v1/health")).status_code == 503
        assert (await client.get("/api/v1/decisions")).status_code == 503
        assert (await client.get(f"/api/v1/decisions/{decision_id}")).status_code == 200, "the journal has it"
        (site.folder / "decisions.db").unlink()
        assert (await client.get("/api/v1/health")).status_code == 200


async def test_alone_it_needs_somewhere_to_listen(site) -> None:
    with pytest.raises(ConfigError, match=r"add `\[admin\]` with `port = 8081`"):
        await serve_alone(load(site.config), None, ready=print)
