import asyncio
import json
import re

import httpx2
import pytest

from gateway.adapters.service_tokens import NewToken, ServiceTokens
from gateway.app import Gateway
from gateway.app.admin import Admin, admin_beside
from gateway.config import load
from gateway.core.errors import ConfigError

WHY = "TICKET-7: the customer disputes the address"


def configure(site, archive, admin):
    """Replace the tables of the site's configuration that say so."""
    text = re.sub(r"\n\[archive\]\n(?:[^\[\n].*\n)*", "\n", site.config.read_text())
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
    address_of = Admin(gateway)._address_of
    assert address_of("10.0.0.1", {"x-forwarded-for": [b"192.0.2.7, 8.8.8.8"]}) == "8.8.8.8"
    assert address_of("8.8.4.4", {"x-forwarded-for": [b"1.1.1.1"]}) == "8.8.4.4"
    assert address_of("127.0.0.1", {}) == "127.0.0.1"
    assert address_of(None, {}) is None


async def test_the_metrics_are_those_of_the_gateway(open_site) -> None:
    client, gateway, _, _ = open_site
    gateway.line.unrecorded = 3
    assert "gateway_decisions_unrecorded_total 3.0" in (await client.get("/metrics")).text


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
