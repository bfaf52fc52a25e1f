"""What every backend of accounts does alike."""

import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from secrets import token_bytes
from typing import Any, TypeVar

import pytest

from gateway.adapters.account_book import AuditEntry, NewKey
from gateway.adapters.memory import MemoryAccounts
from gateway.adapters.numbered import NumberedReads
from gateway.adapters.redis.cached_accounts import CachedAccounts
from gateway.adapters.redis.known import CLOCKS_DIFFER_US, Known
from gateway.adapters.redis.wrapping import Wrapping
from gateway.adapters.sql import AccountStore
from gateway.core.account import Account, Author, Refused, new_account, set_residence, set_verification, steps
from gateway.core.terms import Operation
from gateway.ports import Accounts
from tests.adapters.redis.conftest import linked, place
from tests.redis_server import server_of_this_process as redis_of_this_process
from tests.stores import AT, BY, SetClock, url_of

T = TypeVar("T")
Book = MemoryAccounts | AccountStore


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=["memory", "sqlite", "postgresql", "sqlite and redis", "postgresql and redis"])
async def book(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[Book]:
    kind, _, shared = request.param.partition(" and ")
    if kind == "memory":
        yield MemoryAccounts(clock=clock)
        return
    # Not started: no look of its own falls into a test that compares generations.
    store = AccountStore(await url_of(kind, tmp_path), clock=clock, read_within_s=5, write_within_s=10)
    if shared:
        async with cached(store):
            yield store
    else:
        await store.look()
        yield store
    await store.close()


@asynccontextmanager
async def cached(store: AccountStore) -> AsyncIterator[None]:
    """Have the store's accounts read as one with a cache reads them: of the store, and then once more of Redis."""
    known, wrapping = Known(store.changed_at), Wrapping(token_bytes(32), "test")
    store.attend(look=known.heard, own_change=lambda: None)
    clock = store.clock
    assert isinstance(clock, SetClock)
    # A cache believes nothing from before the store was heard of, and a bit longer.
    clock.at -= CLOCKS_DIFFER_US
    await store.look()
    clock.at += CLOCKS_DIFFER_US
    await store.look()
    async with linked(place(redis_of_this_process())) as link:
        snapshots = CachedAccounts(link, NumberedReads(store, asked), known, wrapping, clock=clock, keep_s=60)
        await snapshots.start()

        async def read(uid: str) -> Account | None:
            first = await snapshots.read(uid)
            await snapshots.written()
            used = snapshots.results["used"]
            again = await snapshots.read(uid)
            if first is not None and store.changed_at(uid) == 0:
                assert snapshots.results["used"] > used
            return again

        store.read = read  # type: ignore[method-assign]
        yield
        await snapshots.close()


async def asked(what: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    return await what(*arguments)


async def alice(book: Book) -> Account:
    account = await book.put(
        "alice",
        status="open",
        verification="full",
        documents=["PT"],
        residence="PT",
        nationality="PT",
        flags=["staff"],
        who="import",
        why="moved in",
    )
    assert isinstance(account, Account)
    return account


async def test_a_store_is_the_port_that_the_line_needs(book: Book, clock: SetClock) -> None:
    port: Accounts = book
    assert port.fresh(clock.now())
    assert await port.read("alice") is None
    assert await port.key_owner(b"\0" * 32) is None
    assert isinstance(port.generation, int)


async def test_what_was_put_is_read(book: Book) -> None:
    account = await alice(book)
    assert (
        await book.read("alice")
        == account
        == Account("alice", "open", frozenset({"staff"}), "full", frozenset({"PT"}), "PT", "PT", frozenset())
    )
    assert await book.read("ALICE") is None


@pytest.mark.parametrize("uid", ["", "nobody", "x" * 5000, "a\0b", "\ud800", "' OR 1=1 --"])
async def test_nobody_is_not_an_error(book: Book, uid: str) -> None:
    await alice(book)
    assert await book.read(uid) is None
    assert await book.keys(uid) == []
    assert await book.history(uid) == []
    refused = await book.add_flag(uid, "us-ip", **BY)
    assert isinstance(refused, Refused)
    assert "there is no account" in refused.message
    assert isinstance(await book.add_key(uid, label="bot", **BY), Refused)
    assert isinstance(await book.place_hold(uid, "withdraw", cause="c", **BY), Refused)


async def test_an_account_is_made_once(book: Book) -> None:
    assert await book.create("bob", **BY) == new_account("bob")
    assert await book.create("bob", **BY) == Refused("uid", "there is an account `bob` already")
    assert isinstance(await book.create("b b", **BY), Refused)
    assert await book.read("bob") == new_account("bob")


async def test_putting_again_takes_the_place_of_what_was_there_and_keeps_flags_that_are_not_said(book: Book) -> None:
    await alice(book)
    changed = await book.put("alice", status="archived", documents=["ES", "FR"], **BY)
    assert changed == Account(
        "alice", "archived", frozenset({"staff"}), "none", frozenset({"ES", "FR"}), None, None, frozenset()
    )
    cleared = await book.put("alice", flags=["us-ip"], **BY)
    assert isinstance(cleared, Account)
    assert cleared.flags == {"us-ip"}
    assert await book.read("alice") == cleared


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ({"status": "none"}, "status"),
        ({"verification": "ful"}, "verification"),
        ({"documents": ["UK"]}, "documents"),
        ({"residence": "pt"}, "residence"),
        ({"nationality": "PRT"}, "nationality"),
        ({"flags": ["Not A Flag"]}, "flag"),
    ],
)
async def test_what_cannot_be_is_not_put(book: Book, more: dict[str, object], what: str) -> None:
    account = await alice(book)
    generation = book.generation
    refused = await book.put("alice", **more, **BY)
    assert isinstance(refused, Refused)
    assert refused.what == what
    assert await book.read("alice") == account
    assert book.generation == generation
    assert len(await book.history("alice")) == 1


async def test_a_status_changes_as_the_table_of_transitions_says(book: Book) -> None:
    await alice(book)
    flagged = await book.set_status("alice", "flagged", by=Author.SUPPORT, **BY)
    assert isinstance(flagged, Account)
    assert flagged.status == "flagged"
    refused = await book.set_status("alice", "open", by=Author.SUPPORT, **BY)
    assert isinstance(refused, Refused)
    assert "for two people to decide" in refused.message
    refused = await book.set_status("alice", "open", by=Author.TWO_PEOPLE, **BY)
    assert isinstance(refused, Refused)
    assert "needs evidence" in refused.message
    opened = await book.set_status("alice", "open", by=Author.TWO_PEOPLE, evidence="TICKET-7", **BY)
    assert opened == await book.read("alice")
    (last, *_) = await book.history("alice")
    assert (last.before, last.after) == ({"status": "flagged"}, {"status": "open", "evidence": "TICKET-7"})


async def test_flags_go_on_and_come_off(book: Book) -> None:
    await alice(book)
    await book.add_flag("alice", "us-ip", **BY)
    removed = await book.remove_flag("alice", "staff", **BY)
    assert isinstance(removed, Account)
    assert removed.flags == {"us-ip"}
    assert await book.read("alice") == removed
    assert isinstance(await book.remove_flag("alice", "staff", **BY), Refused)


async def test_several_changes_are_one_change_with_one_entry(book: Book) -> None:
    await alice(book)
    move = steps(lambda one: set_residence(one, "ES"), lambda one: set_verification(one, "basic"))
    changed = await book.change("alice", move, **BY)
    assert isinstance(changed, Account)
    assert (changed.residence, changed.verification) == ("ES", "basic")
    latest, first = await book.history("alice")
    assert latest._asdict() == {
        "at": AT,
        "who": "ann",
        "action": "account.change",
        "account": "alice",
        "before": {"verification": "full", "residence": "PT"},
        "after": {"verification": "basic", "residence": "ES"},
        "why": "as the ticket says",
    }
    assert (first.action, first.who, first.before) == ("account.put", "import", {})
    assert first.after["documents"] == ["PT"]


async def test_a_change_may_make_the_account_that_it_is_about(book: Book) -> None:
    refused = await book.change("dora", lambda one: set_residence(one, "ES"), **BY)
    assert refused == Refused("uid", "there is no account `dora`")
    refused = await book.change("dora", lambda one: set_residence(one, "xx"), create=True, **BY)
    assert isinstance(refused, Refused)
    assert await book.read("dora") is None
    assert isinstance(await book.change("d d", lambda one: one, create=True, **BY), Refused)
    made = await book.change("dora", lambda one: set_residence(one, "ES"), create=True, **BY)
    assert made == new_account("dora")._replace(residence="ES") == await book.read("dora")
    (entry,) = await book.history("dora")
    assert (entry.before, entry.after["residence"], entry.after["status"]) == ({}, "ES", "open")


async def test_a_change_is_known_to_be_of_its_account(book: Book) -> None:
    for uid in ("alice", "bob"):
        generation = book.generation
        assert max(book.changed_at("alice"), book.changed_at("bob"), book.changed_at(None)) <= generation
        await book.create(uid, **BY)
        assert generation < book.changed_at(uid) <= book.generation


async def test_every_change_has_its_entry_and_its_generation(book: Book, clock: SetClock) -> None:
    await book.create("alice", **BY)
    key = await book.add_key("alice", label="bot", **BY)
    assert isinstance(key, NewKey)
    generations = [book.generation]
    for change in (
        book.set_status("alice", "exit_only", by=Author.POLICY, **BY),
        book.add_flag("alice", "us-ip", **BY),
        book.remove_flag("alice", "us-ip", **BY),
        book.place_hold("alice", "withdraw", cause="unfamiliar", **BY),
        book.add_key("alice", label="second", **BY),
        book.revoke_key(key.key.key_id, **BY),
    ):
        clock.at += 1
        assert not isinstance(await change, Refused)
        generations.append(book.generation)
    assert all(old != new for old, new in pairwise(generations))
    entries = await book.history("alice")
    assert [entry.action for entry in entries] == [
        "key.revoke", "key.add", "hold.place", "flag.remove", "flag.add", "status.set", "key.add", "account.create",
    ]  # fmt: skip
    assert [entry.at for entry in entries] == [AT + 6, AT + 5, AT + 4, AT + 3, AT + 2, AT + 1, AT, AT]
    assert [entry.action for entry in await book.history("alice", limit=2)] == ["key.revoke", "key.add"]


async def test_what_stays_as_it_was_leaves_no_trace(book: Book) -> None:
    account = await alice(book)
    generation = book.generation
    assert await book.add_flag("alice", "staff", **BY) == account
    assert await book.set_status("alice", "open", by=Author.POLICY, **BY) == account
    assert await alice(book) == account
    assert (len(await book.history("alice")), book.generation) == (1, generation)


@pytest.mark.parametrize(
    ("who", "why", "what"),
    [
        ("", "because", "who"),
        ("  ", "because", "who"),
        ("x" * 129, "because", "who"),
        ("ann\nbob", "because", "who"),
        ("ann", "", "why"),
        ("ann", "\t", "why"),
        ("ann", "x" * 2001, "why"),
        ("ann", "\ud800", "why"),
    ],
)
async def test_nothing_changes_unless_somebody_says_why(book: Book, who: str, why: str, what: str) -> None:
    account = await alice(book)
    key = await book.add_key("alice", label="bot", **BY)
    assert isinstance(key, NewKey)
    for change in (
        book.create("carol", who=who, why=why),
        book.put("alice", who=who, why=why),
        book.add_flag("alice", "us-ip", who=who, why=why),
        book.set_status("alice", "flagged", by=Author.POLICY, who=who, why=why),
        book.place_hold("alice", "withdraw", cause="c", who=who, why=why),
        book.add_key("alice", label="bot", who=who, why=why),
        book.revoke_key(key.key.key_id, who=who, why=why),
    ):
        refused = await change
        assert isinstance(refused, Refused)
        assert refused.what == what
        assert f"every change says {what}" in refused.message
    assert await book.read("alice") == account
    assert len(await book.history("alice")) == 2


@pytest.mark.parametrize("evidence", ["", " ", "x" * 2001, "two\nlines"])
async def test_evidence_is_named_in_one_line(book: Book, evidence: str) -> None:
    await alice(book)
    refused = await book.set_status("alice", "archived", by=Author.COMPLIANCE, evidence=evidence, **BY)
    assert isinstance(refused, Refused)
    assert refused.what == "evidence"


async def test_a_key_opens_its_account_until_it_is_revoked(book: Book, clock: SetClock) -> None:
    await alice(book)
    made = await book.add_key("alice", label="trading bot", **BY)
    assert isinstance(made, NewKey)
    digest = hashlib.sha256(made.secret.encode()).digest()
    assert made.secret.startswith("gwk_")
    assert len(made.secret) == 47
    assert made.key.key_id == digest.hex()[:16]
    assert await book.key_owner(digest) == "alice"
    assert await book.key_owner(digest[:-1] + b"\0") is None
    assert await book.keys("alice") == [made.key]
    clock.at += 5
    revoked = await book.revoke_key(made.key.key_id, **BY)
    assert revoked == made.key._replace(revoked_at=AT + 5)
    assert await book.key_owner(digest) is None
    clock.at += 5
    assert await book.revoke_key(made.key.key_id, **BY) == revoked
    assert await book.keys("alice") == [revoked]
    assert [entry.action for entry in await book.history("alice")] == ["key.revoke", "key.add", "account.put"]


async def test_two_keys_are_never_the_same_and_no_secret_is_kept(book: Book) -> None:
    await alice(book)
    made = [await book.add_key("alice", label="bot", **BY) for _ in range(3)]
    secrets = {one.secret for one in made if isinstance(one, NewKey)}
    assert len(secrets) == 3
    kept = repr((await book.keys("alice"), await book.history("alice")))
    assert not any(secret[4:] in kept for secret in secrets)


@pytest.mark.parametrize("key_id", ["", "0" * 16, "é", "\ud800", "x" * 5000])
async def test_a_key_that_nobody_has_cannot_be_revoked(book: Book, key_id: str) -> None:
    refused = await book.revoke_key(key_id, **BY)
    assert isinstance(refused, Refused)
    assert "there is no key" in refused.message
    assert len(refused.message) < 200


@pytest.mark.parametrize("label", ["", " ", "x" * 101, "a\nb"])
async def test_a_key_has_a_label(book: Book, label: str) -> None:
    await alice(book)
    refused = await book.add_key("alice", label=label, **BY)
    assert isinstance(refused, Refused)
    assert refused.what == "label"


async def test_the_same_cause_makes_one_hold(book: Book) -> None:
    await alice(book)
    for _ in range(3):
        held = await book.place_hold("alice", Operation.WITHDRAW, cause="unfamiliar login", **BY)
        assert isinstance(held, Account)
        assert held.holds == {"withdraw"}
    assert [entry.action for entry in await book.history("alice")] == ["hold.place", "account.put"]
    await book.place_hold("alice", Operation.WITHDRAW, cause="another", **BY)
    await book.place_hold("alice", Operation.TRADE_SPOT, cause="another", **BY)
    account = await book.read("alice")
    assert account is not None
    assert account.holds == {"withdraw", "trade.spot"}
    assert (await book.history("alice"))[0].after == {"operation": "trade.spot", "cause": "another", "until": None}


@pytest.mark.parametrize(
    ("first", "now", "again"),
    [
        (1000, 999, 2000),
        (1000, 999, None),
        (1000, 1000, 2000),
        (1000, 1000, None),
        (1000, 5000, 6000),
    ],
)
async def test_a_hold_placed_again_lasts_until_the_later_end_and_the_audit_says_so(
    book: Book, clock: SetClock, first: int, now: int, again: int | None
) -> None:
    await alice(book)
    await book.place_hold("alice", "withdraw", cause="c", until=AT + first, **BY)
    clock.at = AT + now
    generation = book.generation
    until = None if again is None else AT + again
    held = await book.place_hold("alice", "withdraw", cause="c", until=until, who="bea", why="again")
    assert held == await book.read("alice")
    assert isinstance(held, Account)
    assert held.holds == {"withdraw"}
    assert book.generation != generation
    latest, *earlier = await book.history("alice")
    assert latest == AuditEntry(
        clock.at,
        "bea",
        "hold.place",
        "alice",
        {"until": AT + first},
        {"operation": "withdraw", "cause": "c", "until": until},
        "again",
    )
    assert [entry.action for entry in earlier] == ["hold.place", "account.put"]
    for at, holds in ((6000 if again is None else again - 1, {"withdraw"}), (again, set())):
        if at is not None:
            clock.at = AT + at
            account = await book.read("alice")
            assert account is not None
            assert account.holds == holds


@pytest.mark.parametrize("again", [1000, 999, 1])
@pytest.mark.parametrize("first", [1000, None])
async def test_a_hold_placed_again_never_ends_sooner_and_leaves_no_trace(
    book: Book, clock: SetClock, first: int | None, again: int
) -> None:
    await alice(book)
    until = None if first is None else AT + first
    before = await book.place_hold("alice", "withdraw", cause="c", until=until, **BY)
    generation = book.generation
    assert await book.place_hold("alice", "withdraw", cause="c", until=AT + again, **BY) == before
    assert (len(await book.history("alice")), book.generation) == (2, generation)
    clock.at = AT + 999
    account = await book.read("alice")
    assert account is not None
    assert account.holds == {"withdraw"}


async def test_a_hold_placed_again_moves_no_other(book: Book, clock: SetClock) -> None:
    await book.create("bob", **BY)
    await alice(book)
    for uid, operation, cause in (
        ("alice", "withdraw", "other"),
        ("alice", "trade.spot", "c"),
        ("bob", "withdraw", "c"),
        ("alice", "withdraw", "c"),
    ):
        await book.place_hold(uid, operation, cause=cause, until=AT + 1, **BY)
    await book.place_hold("alice", "withdraw", cause="c", **BY)
    clock.at = AT + 1
    assert [(account.uid, account.holds) for account in await book.accounts()] == [
        ("alice", {"withdraw"}),
        ("bob", set()),
    ]


async def test_a_hold_ends_by_itself_and_that_is_a_change(book: Book, clock: SetClock) -> None:
    await alice(book)
    await book.place_hold("alice", "withdraw", cause="short", until=AT + 1000, **BY)
    await book.place_hold("alice", "withdraw", cause="long", until=AT + 2000, **BY)
    if isinstance(book, AccountStore):
        await book.look()
    generation = book.generation
    for at, held in ((AT + 999, {"withdraw"}), (AT + 1999, {"withdraw"}), (AT + 2000, set())):
        clock.at = at
        account = await book.read("alice")
        assert account is not None
        assert account.holds == held
    if isinstance(book, AccountStore):
        await book.look()
    assert book.generation != generation


async def test_putting_lifts_no_hold(book: Book) -> None:
    await alice(book)
    await book.place_hold("alice", "withdraw", cause="c", **BY)
    account = await book.put("alice", status="open", **BY)
    assert isinstance(account, Account)
    assert account.holds == {"withdraw"}
    assert await book.read("alice") == account


@pytest.mark.parametrize(
    ("operation", "cause"), [("borrow", "c"), ("", "c"), ("withdraw", ""), ("withdraw", "x" * 101), ("withdraw", "\n")]
)
async def test_a_hold_names_an_operation_and_a_cause(book: Book, operation: str, cause: str) -> None:
    await alice(book)
    refused = await book.place_hold("alice", operation, cause=cause, **BY)
    assert isinstance(refused, Refused)
    assert refused.what == "hold"


async def test_accounts_are_listed_page_by_page(book: Book) -> None:
    uids = [f"u{n:02d}" for n in range(7)]
    for uid in reversed(uids):
        await book.create(uid, **BY)
    assert [account.uid for account in await book.accounts()] == uids
    assert [account.uid for account in await book.accounts(limit=3)] == uids[:3]
    assert [account.uid for account in await book.accounts(after="u02", limit=3)] == uids[3:6]
    assert await book.accounts(after="u06") == []
