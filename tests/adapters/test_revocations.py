from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from gateway.adapters import revocations
from gateway.adapters.revocations import KEPT_US, RevocationStore, revoke
from gateway.adapters.sql import AccountStore
from gateway.core.events import AssuranceChanged, SessionRevoked
from gateway.core.sessions import session_digest
from gateway.ports import Revocation, Revocations
from tests.stores import AT, KINDS, SECOND, SetClock, opened

_COUNTED = "SELECT number FROM generations WHERE name = 'accounts'"


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path, clock: SetClock) -> AsyncIterator[AccountStore]:
    async with opened(tmp_path, clock, request.param) as store:
        yield store


def ended(at: int = AT, session: str | None = None) -> SessionRevoked:
    return SessionRevoked(id="e", account="alice", at=at, session=session)


def limited(level: int, at: int = AT) -> AssuranceChanged:
    return AssuranceChanged(id="e", account="alice", at=at, level=level)


async def write(store: AccountStore, *events: SessionRevoked | AssuranceChanged) -> list[bool]:
    async with store.writing("revoke") as connection:
        return [await connection.run_sync(revoke, event) for event in events]


async def test_an_account_is_told_its_own_and_those_of_all_sessions_first(store: AccountStore) -> None:
    port: Revocations = RevocationStore(store)
    assert await write(store, ended(session="s1"), ended(AT - SECOND)) == [True, True]
    assert await port.of("alice") == (
        Revocation("", AT - SECOND, None),
        Revocation(session_digest("s1"), AT, None),
    )
    assert await port.of("bob") == ()


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_the_latest_word_counts_in_whatever_order_they_come(store: AccountStore, order: tuple[int, ...]) -> None:
    events = (limited(1), limited(3, AT + SECOND), ended(AT - SECOND))
    await write(store, *(events[place] for place in order))
    assert set(await RevocationStore(store).of("alice")) == {
        Revocation("", AT + SECOND, 3),
        Revocation("", AT - SECOND, None),
    }


async def test_of_two_levels_at_the_same_instant_the_lower_counts(store: AccountStore) -> None:
    assert await write(store, limited(2), limited(1), limited(2)) == [True, True, False]
    assert await RevocationStore(store).of("alice") == (Revocation("", AT, 1),)


async def test_a_repeat_is_no_news(store: AccountStore) -> None:
    assert await write(store, ended(), ended()) == [True, False]


async def test_a_session_that_does_not_fit_does_not_come_back_to_life(
    store: AccountStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revocations, "MOST", 3)
    await write(store, *(ended(AT + number, f"s{number}") for number in range(5)))
    found = await RevocationStore(store).of("alice")
    assert found[0] == Revocation("", AT + 1, None)
    assert {one.session for one in found[1:]} == {session_digest(f"s{number}") for number in (2, 3, 4)}


async def test_revocations_are_forgotten_when_no_session_could_be_valid(store: AccountStore, clock: SetClock) -> None:
    await write(store, ended())
    port = RevocationStore(store)
    clock.at = AT + KEPT_US - 1
    assert await port.forget() == 0
    assert await port.of("alice")
    clock.at += 1
    assert await port.of("alice") == ()
    assert await port.forget() == 1


async def test_a_revocation_ends_what_a_gateway_remembers_of_accounts(store: AccountStore) -> None:
    async with store.reading("count") as connection:
        before = (await connection.exec_driver_sql(_COUNTED)).scalar_one()
    await write(store, ended())
    async with store.reading("count") as connection:
        assert (await connection.exec_driver_sql(_COUNTED)).scalar_one() > before
