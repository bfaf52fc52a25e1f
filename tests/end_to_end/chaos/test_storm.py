"""Whatever is ended or paused under load: nothing is let through that the truth forbids, and it recovers by itself."""

from collections.abc import Iterator

import pytest

from tests.end_to_end.chaos.storm import Storm
from tests.postgres_server import PostgresServer, running
from tests.redis_server import running as running_redis

FAULTS = 5
SOAK_FAULTS = 200


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    with running(durable=True) as server:
        yield server


@pytest.mark.timeout(280)
def test_no_fault_lets_a_restricted_customer_withdraw_and_all_that_was_answered_is_on_record(site) -> None:
    report = Storm(site, faults=FAULTS, seed=1755).run()
    assert report.fine, report.text()
    assert report.statuses["withdraw", 200]
    assert report.restricted >= FAULTS // 2


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_and_after_two_hundred_faults(site) -> None:
    report = Storm(site, faults=SOAK_FAULTS, seed=1783).run()
    assert report.fine, report.text()


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_nor_does_any_fault_of_a_database_and_a_cache_that_gateways_share(site, server) -> None:
    with running_redis() as cache:
        report = Storm(site, faults=SOAK_FAULTS, seed=1783, server=server, cache=cache).run()
    assert report.fine, report.text()
    assert report.done.keys() >= {"store killed", "store paused", "cache killed", "cache paused", "cache flushed"}
