"""Simulations of a configuration: the archive and the journal beyond it, other databases, other accounts."""

import asyncio
import threading
from pathlib import Path
from threading import Event

import pytest

from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.journal import FileJournal
from gateway.app.simulating import Window, current_of, digests_of, looked_back, read_editions, simulated
from gateway.config import load
from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.ports import Ruling
from tests.recorded import AT, HOUR, bundle, facts, limit, recorded, ruling

WINDOW = Window(AT - HOUR, AT + HOUR)
US = bundle(limit("us", 'country == "US"'))
CONFIG = """\
[client_ip]
trusted_proxies = []
[journal]
directory = "journal"
[archive]
url = "sqlite:///decisions.db"
"""


@pytest.fixture
def settings(tmp_path: Path):
    (tmp_path / "gateway.toml").write_text(CONFIG)
    return load(tmp_path / "gateway.toml")


async def answered(folder: Path, *some) -> None:
    """Write decisions of these facts into the journal."""
    journal = FileJournal(folder / "journal", worker="w1", segment_bytes=1 << 20)
    await journal.start()
    for number, one in enumerate(some):
        document = Ruling(ruling(one, bundle()))
        journal.append(document, (number + 100).to_bytes(16), one.at, one.auth_age, 5, b"GET\0/\0h\0u")
    await journal.close()


async def archived(folder: Path, *some) -> None:
    archive = SqliteArchive(folder / "decisions.db")
    await archive.start()
    await archive.take(recorded(some, bundle()))
    await archive.close()


async def test_the_archive_and_the_journal_beyond_it_are_weighed_together(settings, tmp_path) -> None:
    await archived(tmp_path, facts(country="US"), facts())
    await answered(tmp_path, facts(country="US"))
    found = await simulated(settings, US, WINDOW)
    assert (found.decisions, found.flipped) == (3, 2)


async def test_where_there_is_no_archive_yet_the_journal_is_all_and_nothing_is_made(settings, tmp_path) -> None:
    await answered(tmp_path, facts(country="US"))
    told: list[int] = []
    found = await simulated(settings, US, WINDOW, told=told.append)
    assert (found.decisions, told) == (1, [1])
    assert not (tmp_path / "decisions.db").exists()


async def test_a_simulation_that_nobody_waits_for_any_more_ends(settings, tmp_path) -> None:
    await archived(tmp_path, facts(country="US"))
    await answered(tmp_path, facts(country="US"))
    asked, go_on = Event(), Event()
    told: list[int] = []

    def slowly(decisions: int) -> None:
        told.append(decisions)
        asked.set()
        assert go_on.wait(20)

    before = set(threading.enumerate())
    waiting = asyncio.get_running_loop().create_task(simulated(settings, US, WINDOW, told=slowly))
    await asyncio.to_thread(asked.wait, 20)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    async with asyncio.timeout(20):
        while any(one.name.startswith("archive-") for one in set(threading.enumerate()) - before):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    assert told == [1], "of the two that there are"


async def test_where_the_archive_cannot_be_read_that_is_said(settings, tmp_path) -> None:
    (tmp_path / "decisions.db").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreUnavailable, match=r"decisions\.db"):
        await simulated(settings, US, WINDOW)


async def test_a_database_is_tried_on_the_addresses_that_were_recorded(settings, tmp_path) -> None:
    await archived(tmp_path, facts(country="ZZ"))
    shipped = Path(__file__).parents[2] / "geodb/data/country.mmdb"
    found = await simulated(settings, US, WINDOW, editions={"country": shipped})
    ((was, is_now),) = found.moved
    assert was == "ZZ"
    assert len(is_now) == 2


async def test_what_is_known_now_of_an_account_that_is_gone_is_not_what_was(settings, tmp_path) -> None:
    await archived(tmp_path, facts(status="restricted"))
    candidate = bundle(limit("r", 'status == "open"'))
    rule = next(one for one in candidate.rules if one.id == "r")
    rows = []
    found = await looked_back(settings, rule, candidate, WINDOW, write=rows.extend)
    assert found.then.flipped == 0
    assert [(row.account, row.then) for row in rows] in ([], [("alice", "allow")])


def test_the_kind_of_a_database_stands_before_it_or_is_that_of_countries() -> None:
    found = read_editions(["new.mmdb", "asn=a=b.mmdb"])
    assert {name: path.name for name, path in found.items()} == {"country": "new.mmdb", "asn": "a=b.mmdb"}
    with pytest.raises(ConfigError, match="second database of the kind `country`"):
        read_editions(["a.mmdb", "country=b.mmdb"])


def test_digests_are_known_only_where_there_is_a_key(settings, tmp_path) -> None:
    names = bundle(limit("r", 'account == "alice"'))
    assert digests_of(settings, [names]) is None
    (tmp_path / "key").write_bytes(b"a key of thirty-two bytes, or so.")
    (tmp_path / "gateway.toml").write_text(f'{CONFIG}digest_key = "key"\n')
    assert list(digests_of(load(tmp_path / "gateway.toml"), [names]).values()) == ["alice"]


def test_the_current_bundle_is_the_configured_one(settings) -> None:
    assert {one.name for one in current_of(settings).policies} >= {"account-status"}
