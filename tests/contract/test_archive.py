"""What every archive of decisions does alike: whatever the plain one in memory does."""

import asyncio
import tempfile
from collections.abc import Iterator, Sequence
from ipaddress import ip_network
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.archive.memory import MemoryArchive
from gateway.core.decision import Document
from gateway.core.errors import SearchError, StoreUnavailable
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Search, cursor_of
from gateway.ports import Archive, Erasing, Keep, RecordedDecision, RuleCount, Step, Stretch
from gateway.service.digested import digested
from gateway.service.watch import RuleCounts
from tests.contract.conftest import Backend
from tests.contract.stretches import AT, BUNDLES, decision, decision_id, ruling, stretch, text_of
from tests.world import FakeClock

HOUR = 3_600_000_000
DOCUMENTS = [
    ruling(),
    ruling(account="bob", country=["US", "CA"], asn=[64501, 64502], address="2001:db8::7", rules=["us-exit/us-closed"]),
    ruling(account=None, operation="view", outcome="allow", reason=None, rules=(), country="US", asn=None),
    ruling(account="bob", operation="view", outcome="allow", reason=None, rules=["a/b", "a/c"], bundle=BUNDLES[1]),
    ruling(operation=None, address=None),
    ruling(operation=None, address="81.20.31.1", bundle=BUNDLES[1]),
    ruling(account="carol", address="81.20.30.41", country=None, asn=64501, operation="trade.spot", rules=["a/b"]),
    ruling(account="bob", address="81.20.30.40", ticket="T-17"),
]
PSEUDONYMS = Pseudonyms(b"a key of thirty-two bytes, or so.")
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CONDITIONS: list[dict[str, Any]] = [
    {"account": "alice"},
    {"account": "bob"},
    {"account": "nobody"},
    {"account": "\ud800\0"},
    {"address": ip_network("81.20.30.40")},
    {"address": ip_network("81.20.30.0/23")},
    {"address": ip_network("0.0.0.0/0")},
    {"address": ip_network("2001:db8::/32")},
    {"country": "US"},
    {"country": "CA"},
    {"country": "DE"},
    {"asn": 64501},
    {"asn": 1 << 70},
    {"operation": "view"},
    {"operation": "ambiguous"},
    {"outcome": "deny"},
    {"reason": "jurisdiction-blocked"},
    {"reason": "ambiguous-request"},
    {"rule": "a/b"},
    {"rule": "us-exit/us-closed"},
    {"ticket": "T-17"},
    {"ticket": "T-18"},
    {"trace": TRACE},
    {"trace": "0" * 31 + "1"},
    {"bundle": BUNDLES[0][:6]},
    {"bundle": BUNDLES[1]},
    {"since": AT + 3000},
    {"since": AT + HOUR, "until": AT + 3 * HOUR},
    {"until": AT + 2 * HOUR},
    {"since": -(1 << 80), "until": 1 << 80},
]


def by_name_and_by_digest() -> Iterator[Search]:
    for one in ({"account": "bob"}, {"address": ip_network("81.20.30.40")}, {"address": ip_network("81.20.30.0/24")}):
        yield Search(**one)
        yield PSEUDONYMS.of_search(Search(**one))
        yield PSEUDONYMS.of_search(Search(**one, outcome="deny", since=AT + HOUR))


def searches() -> Iterator[Search]:
    yield Search()
    for one in CONDITIONS:
        yield Search(**one)
    yield from by_name_and_by_digest()
    for one, other in combinations(CONDITIONS, 2):
        if not set(one) & set(other):
            yield Search(**one, **other)


async def everything(archive: Archive, search: Search, limit: int) -> list[Document]:
    """Return all pages of a search, each no longer than it may be."""
    found: list[Document] = []
    cursor = None
    while True:
        page = await archive.search(search, limit=limit, cursor=cursor)
        assert len(page.documents) <= limit
        found += page.documents
        if page.cursor is None:
            return found
        assert len(page.documents) == limit
        cursor = page.cursor


async def same(archive: Archive, model: MemoryArchive, some: Iterator[Search], limit: int = 3) -> None:
    for search in some:
        assert await everything(archive, search, limit) == await everything(model, search, 1000), search
    for step, (since, until) in product(Step, ((0, 1 << 60), (AT, AT + 2 * HOUR), (AT - 9 * HOUR, AT + 40 * HOUR))):
        counted = [await one.counts(since, until, step=step) for one in (archive, model)]
        assert [count.start for count in counted[0]] == sorted(count.start for count in counted[0])
        assert sorted(counted[0], key=repr) == sorted(counted[1], key=repr)
    for since, until in ((-(1 << 80), 1 << 80), (AT - 9 * HOUR, AT + 4 * HOUR)):
        by_rule = [await counted_by_rule(one, since, until) for one in (archive, model)]
        assert [count.start for count in by_rule[0]] == sorted(count.start for count in by_rule[0])
        assert sorted(by_rule[0]) == sorted(by_rule[1])
    assert dict(await archive.taken()) == dict(await model.taken())


async def counted_by_rule(archive: Archive, since: int = 0, until: int = 1 << 60) -> Sequence[RuleCount]:
    assert isinstance(archive, RuleCounts)
    return await archive.rule_counts(since, until)


def traced(one: RecordedDecision) -> RecordedDecision:
    """Return the decision as one of a request that said which trace it was a part of."""
    return one._replace(request=one.request + f"\0{TRACE}-{one.id.hex()[-16:]}".encode())


def a_day() -> list[RecordedDecision]:
    """Return decisions of a day: bursts of one ruling, all of them again and again, and clocks that were set back."""
    found = []
    for n in range(400):
        document = DOCUMENTS[n // 9 % len(DOCUMENTS)]
        at = AT + n * HOUR // 40
        skew = {17: -2 * HOUR, 18: 5 * HOUR, 19: 777}.get(n % 100, 0)
        one = decision(n, document, at)._replace(at=at + skew)
        found.append(traced(one) if n % 7 == 3 else one)
    return found


async def test_every_search_finds_what_looking_at_all_would_find(archive: Archive) -> None:
    model = MemoryArchive()
    day = a_day()
    for end, part in enumerate((day[:250], day[200:], day[:3]), 1):
        taken = [await one.take(stretch(part, DOCUMENTS, end=end)) for one in (archive, model)]
        assert taken[0] == taken[1]
    await same(archive, model, searches(), limit=60)


async def test_a_page_goes_on_where_the_last_one_ended_though_newer_ones_come(archive: Archive) -> None:
    day = a_day()
    await archive.take(stretch(day[:100], DOCUMENTS))
    first = await archive.search(Search(), limit=10)
    await archive.take(stretch(day[100:], DOCUMENTS, end=2000))
    second = await archive.search(Search(), limit=10, cursor=first.cursor)
    ids = [document["id"] for document in (*first.documents, *second.documents)]
    assert ids == [text_of(one.id) for one in day[99:79:-1]]


async def test_a_cursor_that_is_none_is_refused(archive: Archive) -> None:
    with pytest.raises(SearchError, match="cursor"):
        await archive.search(Search(), cursor="alice")
    assert (await archive.search(Search(), cursor=cursor_of(b"\xff" * 16))).documents == ()


@pytest.mark.parametrize("limit", [-1, 0, 1])
async def test_a_page_has_one_decision_at_least(archive: Archive, limit: int) -> None:
    await archive.take(stretch(a_day()[:3], DOCUMENTS))
    page = await archive.search(Search(), limit=limit)
    assert len(page.documents) == 1
    assert page.cursor is not None


async def test_a_decision_is_found_whole(archive: Archive) -> None:
    model = MemoryArchive()
    requests = [
        b"GET\0/\0h\0a\0b",
        b"GET\0/only",
        b"",
        b"GET",
        b"GET\0/\0",
        b"GET\0/\0h\0\xff\xfe",
        b"\0\0\0",
        b"A\0/1234567\0h\0u",
    ]
    requests += [b"POST\0/api/v1/orders/81234567\0api.example\0Fox/1"] * 3
    ones = [
        decision(n, DOCUMENTS[n % 7], request=request, auth_age=None if n % 2 else -5, took_us=(1 << 32) - 1)
        for n, request in enumerate(requests)
    ]
    for one in (archive, model):
        assert await one.take(stretch(ones, DOCUMENTS)) == len(ones)
    for taken in ones:
        found = await archive.find(text_of(taken.id))
        assert found == await model.find(text_of(taken.id))
        assert found is not None
        assert found["request"]["method"] == taken.request.decode(errors="backslashreplace").split("\0")[0]
    assert await archive.find("0197b2c4-7a01-7c3e-9d55-1f0e8a9b6c21") is None
    for no_id in ("", "alice", "\ud800", "' OR 1=1 --"):
        assert await archive.find(no_id) is None


async def test_what_was_taken_before_adds_nothing_twice(archive: Archive) -> None:
    day = a_day()
    whole = stretch(day, DOCUMENTS, end=900)
    assert await archive.take(whole) == len(day)
    counted = await archive.counts(0, 1 << 60)
    assert await archive.take(whole) == 0
    assert await archive.take(stretch([*day[5:9], *day[5:9]], DOCUMENTS, end=300)) == 0
    assert sorted(await archive.counts(0, 1 << 60), key=repr) == sorted(counted, key=repr)
    assert sum(count.decisions for count in counted) == len(day)
    assert dict(await archive.taken()) == {"w0": (1, 900)}


async def test_a_decision_that_is_twice_in_a_stretch_is_taken_once(archive: Archive) -> None:
    one = decision(1, DOCUMENTS[0])
    assert await archive.take(stretch([one, one], DOCUMENTS)) == 1
    (count,) = await archive.counts(0, 1 << 60)
    assert count == (AT - AT % HOUR, "withdraw", "deny", "jurisdiction-blocked", "PT", BUNDLES[0], 1)


async def test_how_far_each_worker_was_taken_never_goes_back(archive: Archive) -> None:
    day = a_day()
    for worker, segment, end in [("w0", 2, 10), ("w1", 1, 5), ("w0", 1, 99), ("w0", 2, 9), ("w1", 1, 6)]:
        await archive.take(stretch(day[:2], DOCUMENTS, worker=worker, segment=segment, end=end))
    assert dict(await archive.taken()) == {"w0": (2, 10), "w1": (1, 6)}


async def test_a_stretch_without_decisions_moves_on_all_the_same(archive: Archive) -> None:
    assert await archive.take(stretch([], [], end=7)) == 0
    assert dict(await archive.taken()) == {"w0": (1, 7)}
    assert await archive.search(Search()) == ((), None)
    assert list(await archive.counts(0, 1 << 60)) == []


async def test_a_stretch_that_lacks_a_ruling_is_refused_whole(archive: Archive) -> None:
    with pytest.raises(StoreUnavailable, match="ruling"):
        await archive.take(stretch([decision(1, DOCUMENTS[0]), decision(2, DOCUMENTS[1])], DOCUMENTS[:1]))
    assert await archive.search(Search()) == ((), None)
    assert await archive.taken() == {}


async def test_what_is_no_ruling_holds_up_nothing_and_is_found_by_time_alone(archive: Archive) -> None:
    good, bad = decision(1, DOCUMENTS[0]), decision(2, b"[]")
    assert await archive.take(stretch([good, bad], [DOCUMENTS[0], b"[]"])) == 2
    page = await archive.search(Search(outcome="deny"))
    assert [document["id"] for document in page.documents] == [text_of(good.id)]
    with pytest.raises(StoreUnavailable, match=text_of(bad.id)):
        await archive.find(text_of(bad.id))


@pytest.mark.parametrize("at", [-1, -(1 << 61), 1 << 48, (1 << 48) * 1000, (1 << 48) * 1000 - 1, 1 << 61])
async def test_instants_that_no_id_holds_break_nothing(archive: Archive, at: int) -> None:
    model = MemoryArchive()
    ones = [decision(1, DOCUMENTS[0]), decision(2, DOCUMENTS[0], at), decision(3, DOCUMENTS[2], AT)._replace(at=at)]
    for one in (archive, model):
        assert await one.take(stretch(ones, DOCUMENTS)) == 3
    asked = [Search(), Search(since=AT), Search(until=AT), Search(since=at, until=at + 1), Search(since=at + 1)]
    await same(archive, model, iter(asked))
    assert await archive.forget(dict.fromkeys(Keep, AT)) == await model.forget(dict.fromkeys(Keep, AT))
    await same(archive, model, iter(asked))


async def test_what_is_forgotten_is_gone_and_what_was_counted_stays(archive: Archive) -> None:
    model = MemoryArchive()
    day = a_day()
    for one in (archive, model):
        await one.take(stretch(day, DOCUMENTS))
    before = await archive.counts(0, 1 << 60)
    for until in (AT, AT + 3 * HOUR + 5, AT + 3 * HOUR + 5, AT + 20 * HOUR):
        assert await archive.forget(dict.fromkeys(Keep, until)) == await model.forget(dict.fromkeys(Keep, until))
        await same(archive, model, (Search(**one) for one in CONDITIONS), limit=50)
    assert await archive.counts(0, 1 << 60) == before
    assert await archive.find(text_of(day[0].id)) is None
    late = decision(999, DOCUMENTS[0], AT + HOUR)
    for one in (archive, model):
        assert await one.take(stretch([late], DOCUMENTS, end=5000)) == 1
    await same(archive, model, (Search(**one) for one in CONDITIONS), limit=50)


async def test_each_class_is_forgotten_in_its_own_time(archive: Archive) -> None:
    model = MemoryArchive()
    day = a_day()
    for one in (archive, model):
        await one.take(stretch(day, DOCUMENTS))
    for before in (
        {},
        {Keep.REST: AT + 2 * HOUR},
        {Keep.REST: AT + 5 * HOUR + 7, Keep.REFUSED: AT + HOUR},
        {Keep.MONEY: AT + 2 * HOUR, Keep.REFUSED: AT + 2 * HOUR, Keep.REST: AT + 1 * HOUR},
        {Keep.REFUSED: 1 << 80, Keep.REST: -(1 << 80)},
    ):
        assert await archive.forget(before) == await model.forget(before)
        await same(archive, model, iter([Search(), Search(outcome="deny"), Search(country="US")]), limit=50)
    left = await everything(archive, Search(), 100)
    assert {document["operation"] for document in left} == {"withdraw", "view"}
    assert {document["verdict"]["outcome"] for document in left if document["operation"] == "view"} == {"allow"}


async def test_hours_days_and_all_the_time_add_up_to_the_same(archive: Archive) -> None:
    ones = [decision(n, DOCUMENTS[n % 2], AT + n * 5 * HOUR) for n in range(40)]
    await archive.take(stretch(ones, DOCUMENTS))
    day = 24 * HOUR
    midnight = AT - AT % day
    since, until = AT + 11 * HOUR, AT + 170 * HOUR + 1
    by_hour, by_day, in_all = [await archive.counts(since, until, step=step) for step in Step]
    assert [count.start for count in by_hour] == sorted(count.start for count in by_hour)
    assert all(since <= count.start < until and not count.start % HOUR for count in by_hour)
    assert {count.start for count in by_day} == {count.start - count.start % day for count in by_hour}
    assert min(count.start for count in by_day) in {midnight, midnight + day}
    assert {count.start for count in in_all} == {since}
    assert len({count[1:-1] for count in in_all}) == len(in_all) == 2
    total = sum(count.decisions for count in by_hour)
    assert sum(count.decisions for count in by_day) == sum(count.decisions for count in in_all) == total
    assert 25 < total < 35
    for start, end in ((since, since), (until, since), (AT, AT + 1), (midnight, midnight + day)):
        counted = [sum(one.decisions for one in await archive.counts(start, end, step=step)) for step in Step]
        assert len(set(counted)) == 1


async def test_a_refusal_is_counted_once_for_each_rule_that_determined_it(archive: Archive) -> None:
    both = ruling(rules=["us-exit/us-closed", "us-exit/us-closed", "holds/hold"])
    one, other = ruling(account="bob"), ruling(account="bob", bundle=BUNDLES[1])
    asked = ruling(outcome="challenge", rules=["credentials/mfa"])
    granted = ruling(outcome="allow", reason=None, rules=["customers/open"])
    odd = ruling(rules=["x\0y/" + "z" * 3000, "x\0y/" + "z" * 4000])
    documents = [both, one, other, asked, granted, odd, ruling(rules=()), ruling(operation=None), b"no ruling"]
    hour = AT - AT % HOUR
    made = [decision(n, document, hour + n) for n, document in enumerate(documents)]
    later = [decision(100 + n, one, hour + HOUR + n) for n in range(3)]
    await archive.take(stretch(made, documents))
    # What is known is counted as well where it is decided by again, and what comes again is not.
    await archive.take(stretch([*made[:2], *later[:2]], documents, end=2000))
    await archive.take(stretch(later, documents, end=3000))
    name = ("x\ufffdy/" + "z" * 3000)[:512]
    expected = [
        RuleCount(hour, "holds/hold", BUNDLES[0], 1),
        RuleCount(hour, "us-exit/us-closed", BUNDLES[0], 2),
        RuleCount(hour, "us-exit/us-closed", BUNDLES[1], 1),
        RuleCount(hour, name, BUNDLES[0], 1),
        RuleCount(hour + HOUR, "us-exit/us-closed", BUNDLES[0], 3),
    ]
    assert sorted(await counted_by_rule(archive)) == expected
    assert await counted_by_rule(archive, hour + 1, 1 << 60) == expected[-1:]
    assert await counted_by_rule(archive, hour, hour) == await counted_by_rule(archive, 1 << 60, 0) == []
    assert await archive.forget(dict.fromkeys(Keep, hour + 9 * HOUR)) == 12
    assert sorted(await counted_by_rule(archive)) == expected, "counts stay"


async def test_what_was_erased_is_found_by_digests_alone(archive: Archive) -> None:
    model = MemoryArchive()
    day = a_day()
    for one in (archive, model):
        await one.take(stretch(day, DOCUMENTS))
    counted = sorted(await archive.counts(0, 1 << 60), key=repr)
    bobs = await everything(archive, Search(account="bob"), 100)
    for erasing in (
        Erasing(account="bob"),
        Erasing(account="bob"),
        Erasing(address="81.20.30.40"),
        Erasing(account="nobody"),
        Erasing(before=AT + 3 * HOUR + 5),
        Erasing(before=AT + 3 * HOUR + 5),
    ):
        assert await archive.erase(erasing, PSEUDONYMS) == await model.erase(erasing, PSEUDONYMS)
        await same(archive, model, by_name_and_by_digest(), limit=60)
    await same(archive, model, (Search(**one) for one in CONDITIONS), limit=60)
    assert await everything(archive, Search(account="bob"), 100) == []
    found = await everything(archive, PSEUDONYMS.of_search(Search(account="bob")), 100)
    assert [document["id"] for document in found] == [document["id"] for document in bobs]
    for document, before in zip(found, bobs, strict=True):
        assert document["verdict"] == before["verdict"]
        assert document["request"] == {"method": "POST", "path": "", "host": "api.example", "user_agent": ""}
        assert {"account", "address", "path", "user_agent"} <= set(document["erased"])
        assert "bob" not in repr(document)
    assert sorted(await archive.counts(0, 1 << 60), key=repr) == counted
    assert await archive.take(stretch(day, DOCUMENTS, end=2000)) == 0, "what comes again is known"
    assert await everything(archive, Search(account="bob"), 100) == []


async def test_what_comes_as_digests_is_found_by_them(archive: Archive) -> None:
    model = MemoryArchive()
    for one in (archive, model):
        assert await one.take(digested(stretch(a_day(), DOCUMENTS), PSEUDONYMS)) == 400
    await same(archive, model, by_name_and_by_digest(), limit=60)
    assert await archive.erase(Erasing(before=1 << 60), PSEUDONYMS) == 0
    (seen,) = (await archive.search(PSEUDONYMS.of_search(Search(address=ip_network("2001:db8::7"))), limit=1)).documents
    assert seen["client_ip"]["address"] == PSEUDONYMS.address("2001:db8::7")


async def test_what_nobody_can_read_is_erased_whole(archive: Archive) -> None:
    bad = decision(2, b'["bob"]')
    assert await archive.take(stretch([bad], [b'["bob"]'])) == 1
    assert await archive.erase(Erasing(before=AT + HOUR), PSEUDONYMS) == 1
    assert await archive.erase(Erasing(before=AT + HOUR), PSEUDONYMS) == 0
    with pytest.raises(StoreUnavailable, match=text_of(bad.id)):
        await archive.find(text_of(bad.id))


async def test_a_worker_is_forgotten_that_nothing_came_from_and_no_machine_named_for_thirty_days(
    backend: Backend, tmp_path: Path
) -> None:
    clock = FakeClock(AT)
    day = 24 * HOUR
    async with backend(tmp_path, clock) as archive:
        for worker in ("gone", "ours", "theirs", "back"):
            await archive.take(stretch([], [], worker=worker, end=7))
        for _ in range(3):
            # Two machines share the archive, and each knows the journal in its own folder alone.
            clock.at += 10 * day
            await archive.forget_workers({"ours", "never"})
            await archive.forget_workers({"theirs"})
            assert set(await archive.taken()) == {"gone", "ours", "theirs", "back"}
        await archive.take(stretch([], [], worker="back", end=3))
        clock.at += 1
        await archive.forget_workers(())
        assert dict(await archive.taken()) == {"ours": (1, 7), "theirs": (1, 7), "back": (1, 7)}
        clock.at += 30 * day
        await archive.forget_workers(["theirs"])
        assert dict(await archive.taken()) == {"theirs": (1, 7)}


async def test_all_is_asked_at_once_while_it_is_taken_and_forgotten(archive: Archive) -> None:
    day = a_day()

    async def take() -> None:
        for start in range(0, len(day), 20):
            await archive.take(stretch(day[start : start + 20], DOCUMENTS, start=start, end=start + 20))

    async def ask() -> None:
        for search in (Search(), Search(account="bob"), Search(country="PT", outcome="deny")):
            found = await everything(archive, search, 25)
            ids = [document["id"] for document in found]
            assert ids == sorted(set(ids), reverse=True)
            again = [await archive.find(document["id"]) for document in found[:10]]
            assert [one in (None, document) for one, document in zip(again, found, strict=False)] == [True] * len(again)

    forgetting = asyncio.gather(archive.forget(dict.fromkeys(Keep, AT - HOUR)))
    await asyncio.gather(take(), *(ask() for _ in range(8)))
    (early,) = await forgetting
    assert sum(count.decisions for count in await archive.counts(0, 1 << 60)) == len(day)
    assert early + await archive.forget(dict.fromkeys(Keep, AT + 1000 * HOUR)) == len(day)


DECISIONS = st.builds(
    lambda n, which, shift, skew: decision(n, DOCUMENTS[which], AT + shift * 60_000_000 + n * 1000)._replace(
        at=AT + shift * 60_000_000 + n * 1000 + skew
    ),
    st.integers(0, 40),
    st.integers(0, len(DOCUMENTS) - 1),
    st.integers(-40, 200),
    st.sampled_from([0, 0, 0, 999, -1, -3 * HOUR, 1 << 52]),
)
STRETCHES = st.builds(
    lambda worker, segment, end, decisions: stretch(decisions, DOCUMENTS, worker=worker, segment=segment, end=end),
    st.sampled_from(["w0", "w1", "wörker"]),
    st.integers(1, 3),
    st.integers(0, 1 << 40),
    st.lists(DECISIONS, max_size=30),
)
SEARCHES = st.sampled_from(list(searches()))
INSTANTS = st.integers(AT - HOUR, AT + 4 * HOUR)
FORGETTING = st.dictionaries(st.sampled_from(Keep), INSTANTS) | INSTANTS.map(lambda at: dict.fromkeys(Keep, at))
ERASING = st.one_of(
    st.builds(Erasing, account=st.sampled_from(["alice", "bob", "nobody"])),
    st.builds(Erasing, address=st.sampled_from(["81.20.30.40", "2001:db8::7"])),
    st.builds(Erasing, before=INSTANTS),
)
STEPS = st.lists(
    st.one_of(STRETCHES, STRETCHES, st.tuples(SEARCHES, st.integers(1, 5)), FORGETTING, ERASING),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60)
@given(steps=STEPS)
def test_whatever_is_taken_asked_forgotten_and_erased_the_answer_is_the_plain_one(
    backend: Backend, steps: list[Any]
) -> None:
    async def run(folder: Path) -> None:
        model = MemoryArchive()
        async with backend(folder) as archive:
            for step in steps:
                if isinstance(step, Stretch):
                    assert await archive.take(step) == await model.take(step)
                elif isinstance(step, dict):
                    assert await archive.forget(step) == await model.forget(step)
                elif isinstance(step, Erasing):
                    assert await archive.erase(step, PSEUDONYMS) == await model.erase(step, PSEUDONYMS)
                else:
                    search, limit = step
                    assert await everything(archive, search, limit) == await everything(model, search, 1000)
            await same(archive, model, iter([Search(), Search(outcome="deny"), Search(address=ip_network("::/0"))]), 7)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


async def test_ids_and_no_others_order_what_is_found(archive: Archive) -> None:
    early, late = decision_id(1, AT), decision_id(2, AT + HOUR)
    ones = [decision(0, DOCUMENTS[0], id=early, at=AT + 2 * HOUR), decision(0, DOCUMENTS[0], id=late, at=AT - HOUR)]
    await archive.take(stretch(ones, DOCUMENTS))
    page = await archive.search(Search(account="alice"))
    assert [document["id"] for document in page.documents] == [text_of(late), text_of(early)]
