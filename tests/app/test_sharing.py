"""From settings to what is shared, and a gateway that has it."""

import asyncio
from pathlib import Path

import pytest

from gateway.adapters.sql import AccountStore
from gateway.app import Gateway
from gateway.app.health import checks_of
from gateway.app.sharing import sharing_of
from gateway.config import load
from gateway.config.sharing import Redis
from gateway.core.errors import ConfigError
from gateway.service.health import failing
from tests.redis_server import RedisServer, redis_server

__all__ = ["redis_server"]


async def asked(what, *arguments):
    return await what(*arguments)


def store(folder: Path) -> AccountStore:
    return AccountStore(f"sqlite:///{folder}/gateway.db")


def test_without_the_table_nothing_is_shared(tmp_path) -> None:
    assert sharing_of(None, store(tmp_path), asked) is None


def test_without_its_key_there_is_no_cache(tmp_path) -> None:
    key = tmp_path / "key"
    key.write_text("k" * 64 + "\n")
    assert sharing_of(Redis(url="redis://cache"), store(tmp_path), asked).snapshots is None
    assert sharing_of(Redis(url="redis://cache", cache_key_file=key), store(tmp_path), asked).snapshots is not None


@pytest.mark.parametrize(("text", "said"), [(None, "cannot be read: No such file"), ("short", "has 5 bytes")])
def test_a_key_that_cannot_be_one_stops_the_start(tmp_path, text, said) -> None:
    key = tmp_path / "key"
    if text is not None:
        key.write_text(text)
    with pytest.raises(ConfigError, match=f"store.redis.cache_key_file: {said}"):
        sharing_of(Redis(url="redis://cache", cache_key_file=key), store(tmp_path), asked)


def test_what_is_configured_is_what_is_asked(tmp_path) -> None:
    redis = Redis(url="rediss+sentinel://a,b:1/gw/2", prefix="p", timeout="20ms", connect_timeout="2s", connections=3)
    shared = sharing_of(redis, store(tmp_path), asked)
    place = shared._link.place
    assert (place.kind, place.tls, place.hosts) == ("sentinel", True, (("a", 26_379), ("b", 1)))
    assert (place.service, place.database, place.connections) == ("gw", 2, 3)
    assert (place.within_s, place.connect_within_s) == (0.02, 2.0)


async def test_a_gateway_says_how_its_redis_stands_and_serves_without_it(site, redis_server: RedisServer) -> None:
    with site.config.open("a") as config:
        config.write(f'\n[store.redis]\nurl = "{redis_server.url()}"\n')
    gateway = Gateway(load(site.config))
    await gateway.start()
    try:
        for stands, change in ((True, redis_server.kill), (False, redis_server.start), (True, lambda: None)):
            async with asyncio.timeout(20):
                while gateway.sharing.up is not stands:  # noqa: ASYNC110 - a server tells nobody that it is found
                    await asyncio.sleep(0.01)
            checks = {check.name: check for check in checks_of(gateway)}
            assert (checks["redis"].ok, checks["redis"].says) == (stands, "answers" if stands else "away")
            assert failing(checks.values()) == ()
            assert f"gateway_redis_up {float(stands)}" in gateway.metrics.exposition().decode()
            await asyncio.to_thread(change)
    finally:
        await gateway.close()
