from pathlib import Path

import pytest

from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.follow import Follower
from gateway.adapters.journal import FileJournal
from gateway.app.finding import Found, found_of
from gateway.config import load
from gateway.core.errors import SearchError
from gateway.core.search import Search
from gateway.ports import Ruling
from tests.contract.stretches import AT, decision_id, ruling, text_of

REQUEST = b"POST\0/api/v1/withdrawals\0api.example\0Fox/1"


class Recorder:
    """A journal that decisions are appended to, and an archive that takes what it is told to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.journal = FileJournal(directory, worker="w0", segment_bytes=1 << 20, sync_every_ms=1)
        self.archive = MemoryArchive()
        self.number = 0

    async def decide(self, times: int, account: str = "alice") -> None:
        kind = Ruling(ruling(account=account))
        for _ in range(times):
            at = AT + self.number * 1000
            position = self.journal.append(kind, decision_id(self.number, at), at, None, 5, REQUEST)
            self.number += 1
        await self.journal.durable(position)

    async def ship(self) -> None:
        for stretch in Follower(self.directory).stretches(await self.archive.taken()):
            await self.archive.take(stretch)

    def ids(self, *numbers: int) -> list[str]:
        return [text_of(decision_id(n, AT + n * 1000)) for n in numbers]


@pytest.fixture
async def recorder(tmp_path: Path):
    recorder = Recorder(tmp_path / "journal")
    await recorder.journal.start()
    yield recorder
    await recorder.journal.close()


async def looked(recorder: Recorder, most: int = 1000) -> Found:
    found = Found(recorder.archive, recorder.directory, most)
    await found.look()
    return found


def ids(page) -> list[str]:
    return [document["id"] for document in page.documents]


async def test_what_is_shipped_and_what_is_not_yet_are_one(recorder) -> None:
    await recorder.decide(3)
    await recorder.ship()
    await recorder.decide(2, "bob")
    found = await looked(recorder)
    assert found.recent == 2
    assert ids(await found.search(Search())) == recorder.ids(4, 3, 2, 1, 0)
    assert ids(await found.search(Search(account="alice"))) == recorder.ids(2, 1, 0)
    assert ids(await found.search(Search(account="bob"))) == recorder.ids(4, 3)


@pytest.mark.parametrize("shipped", [0, 3, 7, 10])
@pytest.mark.parametrize("limit", [1, 2, 3, 10, 11])
async def test_pages_go_over_both_without_a_gap_or_a_repeat(recorder, shipped, limit) -> None:
    if shipped:
        await recorder.decide(shipped)
        await recorder.ship()
    if shipped < 10:
        await recorder.decide(10 - shipped)
    found = await looked(recorder)
    pages = [ids(page) async for page in found.every(Search(), page=limit)]
    assert [one for page in pages for one in page] == recorder.ids(*range(9, -1, -1))
    assert all(len(page) == limit for page in pages[:-1])


async def test_what_is_shipped_while_we_look_is_found_and_counted_once(recorder) -> None:
    await recorder.decide(4)
    found = await looked(recorder)
    await recorder.ship()
    assert ids(await found.search(Search())) == recorder.ids(3, 2, 1, 0)
    counts = await found.counts(AT - AT % 3_600_000_000, AT + 1)
    assert sum(count.decisions for count in counts) == 4


async def test_counts_of_both_are_added(recorder) -> None:
    await recorder.decide(3)
    await recorder.ship()
    await recorder.decide(2)
    (count,) = await (await looked(recorder)).counts(AT - AT % 3_600_000_000, AT + 1)
    assert (count.decisions, count.operation, count.country) == (5, "withdraw", "PT")


async def test_an_archive_that_is_far_behind_is_said_and_not_read_whole(recorder) -> None:
    await recorder.decide(5)
    assert (await looked(recorder, most=5)).left_out
    assert not (await looked(recorder, most=6)).left_out


async def test_one_decision_is_found_wherever_it_is(recorder) -> None:
    await recorder.decide(1)
    await recorder.ship()
    await recorder.decide(1)
    found = Found(recorder.archive, recorder.directory)
    for decision in recorder.ids(0, 1):
        document = await found.find(decision)
        assert document is not None
        assert document["id"] == decision
    assert await found.find(recorder.ids(2)[0]) is None


async def test_a_cursor_that_is_none_is_refused(recorder) -> None:
    with pytest.raises(SearchError, match="cursor"):
        await (await looked(recorder)).search(Search(), cursor="nonsense")


async def test_without_an_archive_the_journal_is_searched_and_no_file_made(site) -> None:
    settings = load(site.config)
    async with found_of(settings) as found:
        assert (await found.search(Search())).documents == ()
    assert not (site.folder / "decisions.db").exists()
