"""Reads with the number of the moment that they are of."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from gateway.adapters.numbered import Numbered, NumberedReads
from gateway.adapters.revocations import RevocationStore, revoke
from gateway.adapters.sql import AccountStore
from gateway.core.errors import StoreUnavailable
from gateway.core.events import SessionRevoked
from tests.stores import AT, BY, SECOND, SetClock, opened, rows

T = TypeVar("T")


async def plainly(what: Callable[..., Awaitable[T]], *arguments: Any) -> T:
    return await what(*arguments)


@pytest.fixture(params=["sqlite", "postgresql"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, SetClock(), request.param) as store:
        yield store


def counted(store: AccountStore) -> int:
    ((number,),) = rows(store, "SELECT number FROM generations WHERE name = 'accounts'")
    return int(number)


async def test_an_account_is_read_with_the_number_and_the_end_of_its_first_hold(store: AccountStore) -> None:
    reads = NumberedReads(store, plainly)
    first = await reads.account("alice")
    assert first == Numbered(await store.read("alice"), counted(store), AT)
    for operation, ends in (("withdraw", AT + 9 * SECOND), ("transfer", AT + 5 * SECOND), ("login", AT - SECOND)):
        await store.place_hold("alice", operation, cause="c", until=ends, **BY)
    held = await reads.account("alice")
    assert held is not None
    assert held == Numbered(await store.read("alice"), counted(store), AT, AT + 5 * SECOND)
    assert held.what.holds == {"withdraw", "transfer"}
    assert first is not None
    assert held.number > first.number


async def test_nobody_has_no_number(store: AccountStore) -> None:
    reads = NumberedReads(store, plainly)
    assert await reads.account("nobody") is None
    assert await reads.account("a b") is None
    assert await reads.sessions("a\0b") is None


async def test_revocations_are_those_that_the_store_tells_of(store: AccountStore) -> None:
    reads = NumberedReads(store, plainly)
    assert await reads.sessions("alice") == Numbered((), counted(store), AT)
    async with store.writing("revoke") as connection:
        for session in (None, "s1", "s2"):
            await connection.run_sync(revoke, SessionRevoked(id="e", account="alice", at=AT, session=session))
    found = await reads.sessions("alice")
    assert found == Numbered(await RevocationStore(store).of("alice"), counted(store), AT)
    assert found is not None
    assert len(found.what) == 3


async def test_whoever_stands_before_the_store_stands_before_these_reads(store: AccountStore) -> None:
    async def never(*_: Any) -> Any:
        raise StoreUnavailable("not asked")

    reads = NumberedReads(store, never)
    with pytest.raises(StoreUnavailable, match="not asked"):
        await reads.account("alice")
    with pytest.raises(StoreUnavailable, match="not asked"):
        await reads.sessions("alice")
