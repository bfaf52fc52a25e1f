"""The gateway and its database are killed under load: every answered decision is in PostgreSQL afterwards, once."""

import asyncio
import random
import re
from collections.abc import Iterator

import pytest

from gateway.adapters.archive.postgres import PostgresArchive
from gateway.adapters.recorded import read_documents
from gateway.core.search import Search
from tests.end_to_end.test_shipping import load_until, requests_of, ship_the_rest, start
from tests.postgres_server import PostgresServer

KILLS = 6


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    server = PostgresServer(durable=True)
    server.start()
    yield server
    server.stop()


async def archived(url: str) -> tuple[list[str], int]:
    """Return every id in the archive, as often as it is there, and how many decisions its counts have."""
    archive = PostgresArchive(url)
    await archive.start()
    try:
        ids: list[str] = []
        cursor: str | None = None
        while True:
            page = await archive.search(Search(), limit=1000, cursor=cursor)
            ids += [document["id"] for document in page.documents]
            cursor = page.cursor
            if cursor is None:
                return ids, sum(count.decisions for count in await archive.counts(0, 1 << 62))
    finally:
        await archive.close()


@pytest.mark.timeout(280)
def test_every_answered_request_is_in_the_database_once_though_that_is_killed_too(site, server) -> None:
    url = server.url()
    site.config.write_text(re.sub(r'ship = "\w+"', f'url = "{url}"', site.config.read_text()))
    requests = requests_of(site)
    answered: set[str] = set()
    chance = random.Random(1789)
    for number in range(KILLS):
        process, port = start(site.config)
        answered.update(asyncio.run(load_until(port, requests, chance.randrange(50, 800))))
        if number % 2:
            # Shipping is in the midst of it, and the gateway serves on without its archive.
            server.kill()
            answered.update(asyncio.run(load_until(port, requests, chance.randrange(50, 400))))
            server.start()
        answered.update(asyncio.run(load_until(port, requests, chance.randrange(50, 400), (-process.pid,))))
        process.wait()
        process.stdout.close()
    ship_the_rest(site.config)

    found, counted = asyncio.run(archived(url))
    recorded = {document["id"] for document in read_documents(site.folder / "journal")}
    assert len(answered) > 100 * KILLS
    assert answered <= set(found), f"{len(answered - set(found))} of {len(answered)} answered requests are missing"
    assert len(found) == len(set(found)) == counted
    assert set(found) == recorded
