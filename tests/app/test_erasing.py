import asyncio
import json

import pytest

from gateway.adapters.sql import AccountStore
from gateway.app.erasing import Erased, erase
from gateway.config import load
from gateway.core.account import Refused
from gateway.core.errors import ConfigError
from gateway.ports import Erasing
from tests.cast import site  # noqa: F401 - a fixture
from tests.cli.test_erasing import KEY, WHY, decided, shipped


@pytest.fixture
def with_key(site):  # noqa: F811 - the fixture
    (site.folder / "digest.key").write_text(KEY)
    site.config.write_text(site.config.read_text().replace("[archive]", '[archive]\ndigest_key = "digest.key"'))
    return site


async def done(site, erasing: Erasing, why: str = WHY) -> Erased | Refused:  # noqa: F811 - as it is called everywhere
    settings = load(site.config)
    store = AccountStore(settings.store.url)
    await store.migrate()
    try:
        return await erase(settings, store, erasing, who="ben", why=why)
    finally:
        await store.close()


def test_it_says_what_it_changed_and_what_is_left(with_key) -> None:
    decided(with_key, "bob")
    shipped(with_key)
    decided(with_key, "bob")
    told = asyncio.run(done(with_key, Erasing(account="bob")))
    assert told == Erased(decisions=1, waiting=1, journal_keeps_s=604_800)
    assert json.dumps(told.to_json())
    refused = asyncio.run(done(with_key, Erasing(address="65.24.10.20"), why=""))
    assert isinstance(refused, Refused)


async def test_where_nothing_is_archived_nothing_is_noted(with_key) -> None:
    with pytest.raises(ConfigError, match="there is no archive"):
        await done(with_key, Erasing(account="bob"))
