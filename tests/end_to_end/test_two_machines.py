"""Two gateways, each on a machine of its own, with one database: what is done on one is so on the other."""

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.service_tokens import NewToken, ServiceTokens
from gateway.adapters.sql import AccountStore
from gateway.core.decision import instant_text
from tests.adapters.sinks.rig import accept, service
from tests.end_to_end.test_desk import Live, serving, until
from tests.postgres_server import PostgresServer, running

TABLES = """
[upstream]
url = "{upstream}"

[admin]
port = 0
"""


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running(durable=True) as server:
        yield server


def machine(site: SimpleNamespace, name: str, url: str, upstream: str) -> SimpleNamespace:
    """Return the folder of one machine: a journal of its own, the accounts and the archive of all."""
    folder = site.folder / name
    folder.mkdir()
    shutil.copy(site.folder / "jwks.json", folder)
    shutil.copytree(site.folder / "policies", folder / "policies")
    text = site.config.read_text().replace("sqlite:///gateway.db", url).replace('ship = "off"', 'ship = "thread"')
    text = text.replace("[server]", "[server]\nport = 0") + TABLES.format(upstream=upstream.removesuffix("/logs"))
    (folder / "gateway.toml").write_text(text)
    return SimpleNamespace(folder=folder, config=folder / "gateway.toml", headers=site.headers)


@pytest.fixture
async def held(site: SimpleNamespace, server: PostgresServer) -> dict[str, str]:
    """The cast in the database, and the token of a program that tells of events."""
    store = AccountStore(server.url(), write_within_s=20)
    await store.start()
    await site.fill(store)
    await store.put("erin", verification="full", documents=["PT"], who="tests", why="the cast")
    scopes = ["events:write", "decisions:read"]
    made = await ServiceTokens(store).create(label="app", scopes=scopes, days=1, who="ben", why="T-1")
    assert isinstance(made, NewToken)
    await store.close()
    return {"app": made.text}


@pytest.fixture
async def machines(
    site: SimpleNamespace, server: PostgresServer, held: dict[str, str]
) -> AsyncIterator[tuple[Live, Live]]:
    async with AsyncExitStack() as stack:
        upstream = await stack.enter_async_context(service(accept, []))
        folders = [machine(site, name, server.url(), upstream) for name in ("one", "two")]
        one, two = [await stack.enter_async_context(serving(folder, held)) for folder in folders]
        yield one, two


async def command(live: Live, *words: str) -> Any:
    """Return what a command on that machine prints."""
    run = [sys.executable, "-c", "from gateway.cli import main; main()", *words, "--config", str(live.site.config)]
    process = await asyncio.create_subprocess_exec(*run, "--json", stdout=asyncio.subprocess.PIPE)
    said, _ = await process.communicate()
    assert process.returncode == 0, said
    return json.loads(said)


async def asked(live: Live, who: str, **token: Any) -> tuple[int, str]:
    """Return how a withdrawal is answered there, and under which id it is recorded."""
    headers = live.site.headers(who, **token)
    answer = await live.client.post(f"{live.url}/api/v1/withdrawals", headers=headers, json={})
    return answer.status_code, answer.headers["gateway-decision"]


async def answered(live: Live, who: str, status: int, **token: Any) -> None:
    """Return once a withdrawal is answered so."""

    async def look() -> bool:
        return (await asked(live, who, **token))[0] == status

    await until(look)


@pytest.mark.timeout(280)
async def test_what_is_done_on_one_machine_is_so_on_the_other_and_outlives_the_database_being_killed(
    machines: tuple[Live, Live], server: PostgresServer
) -> None:
    one, two = machines
    why = ("--who", "ann", "--why", "T-9")
    for live in machines:
        await answered(live, "alice", 200)

    placed = await command(one, "hold", "place", "alice", "--operation", "withdraw", *why)
    await answered(two, "alice", 403)
    assert (await command(two, "ticket", "list", "--account", "alice"))["tickets"][0]["id"] == placed["id"]

    for live in machines:
        await answered(live, "erin", 200, ago=60)
    over = {"id": "e-1", "type": "session.revoked", "account": "erin", "at": instant_text(SystemClock().now())}
    taken = await two.ask("app", "POST", "/v1/events", {"events": [over]})
    assert taken.status_code in {200, 202}, taken.text
    await answered(one, "erin", 401, ago=60)

    await asyncio.to_thread(server.kill)
    for _ in range(10):
        for live in machines:
            assert (await asked(live, "alice"))[0] in {403, 503}
            assert (await asked(live, "erin", ago=60))[0] in {401, 503}
    await asyncio.to_thread(server.start)
    for live in machines:
        await answered(live, "erin", 200, ago=-1)
        assert (await asked(live, "alice"))[0] == 403

    _, decision = await asked(one, "alice")

    async def archived() -> bool:
        return (await two.ask("app", "GET", f"/api/v1/decisions/{decision}")).status_code == 200

    await until(archived)
