from ipaddress import ip_network

import pytest

from gateway.adapters.archive.memory import MemoryArchive
from gateway.core.errors import SearchError, StoreUnavailable
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Search
from gateway.ports import Archive, Erasing, Keep, Step
from gateway.service.digested import FoundByDigest, digested
from tests.contract.stretches import AT, decision, ruling, stretch, text_of

ONES = Pseudonyms(b"a key of thirty-two bytes, or so.")
DOCUMENTS = [ruling(account="alice"), ruling(account="bob")]
DAY = [decision(n, DOCUMENTS[n % 2]) for n in range(10)]


async def test_an_account_is_found_on_both_sides_of_what_was_erased() -> None:
    archive: Archive = FoundByDigest(MemoryArchive(), ONES, all_erased=False)
    await archive.take(stretch(DAY, DOCUMENTS))
    await archive.erase(Erasing(before=AT + 4000), ONES)
    ids, cursor = [], None
    while True:
        page = await archive.search(Search(account="alice"), limit=2, cursor=cursor)
        assert len(page.documents) <= 2
        ids += [document["id"] for document in page.documents]
        if (cursor := page.cursor) is None:
            break
    assert ids == [text_of(one.id) for one in DAY[8::-2]]
    wide = await archive.search(Search(address=ip_network("81.20.0.0/16")))
    assert len(wide.documents) == 6, "what is not erased yet"


async def test_where_all_is_digests_what_cannot_be_looked_for_is_refused() -> None:
    inner = MemoryArchive()
    archive = FoundByDigest(inner, ONES, all_erased=True)
    await archive.start()
    assert await archive.take(stretch(DAY, DOCUMENTS)) == 10
    assert len((await archive.search(Search(account="alice", address=ip_network("81.20.30.0/24")))).documents) == 5
    assert (await archive.find(text_of(DAY[0].id)))["facts"]["account"] == ONES.account("alice")
    with pytest.raises(SearchError, match="kept as digests"):
        await archive.search(Search(address=ip_network("81.20.0.0/16")))
    (count,) = await archive.counts(0, 1 << 60, step=Step.ALL)
    assert count.decisions == 10
    assert await archive.forget({Keep.MONEY: AT + 3000}) == 3
    await archive.forget_workers(())
    assert await archive.taken() == {"w0": (1, 1000)}
    await archive.close()


async def test_a_stretch_without_one_of_its_rulings_is_still_refused() -> None:
    with pytest.raises(StoreUnavailable, match="ruling"):
        await MemoryArchive().take(digested(stretch(DAY, DOCUMENTS[:1]), ONES))
