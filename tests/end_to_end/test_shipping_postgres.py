"""The gateway and its database are killed under load: every answered decision is in PostgreSQL afterwards, once."""

from collections.abc import Iterator

import pytest

from tests.postgres_server import PostgresServer, running
from tests.under_load import Storm

KILLS = 10
SOAK_KILLS = 500


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running(durable=True) as server:
        yield server


@pytest.mark.timeout(280)
def test_every_answered_request_is_in_the_database_once_though_that_is_killed_too(site, server) -> None:
    tally = Storm(site, kills=KILLS, seed=1789, server=server).run()
    assert tally.kills["database"]
    assert tally.answered > 20 * KILLS
    assert tally.fine, tally.text()


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_and_after_five_hundred_kills(site, server) -> None:
    tally = Storm(site, kills=SOAK_KILLS, seed=1793, server=server).run()
    assert tally.fine, tally.text()
