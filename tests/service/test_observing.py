import asyncio
from types import SimpleNamespace

import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.events import LoginFailed, LoginSucceeded
from gateway.ports import Taken, Taking
from gateway.service import observing
from gateway.service.observing import Logins

AT = 1_763_700_000_000_000


class FakeEvents:
    def __init__(self, *, away: int = 0) -> None:
        self.away, self.taken, self.done = away, [], asyncio.Event()

    async def take(self, events, source):
        assert source == "observed"
        if self.away:
            self.away -= 1
            raise StoreUnavailable("away")
        self.taken += events
        self.done.set()
        return tuple(Taken(Taking.TAKEN) for _ in events)


def logins(events, **more):
    return Logins(
        events, path="/login", methods=["POST"], account_header="X-Account", session_header="X-Session", **more
    )


def see(watching, number: int = 0, status: int = 200, *, account: bytes | None = b"alice", more=()) -> None:
    passage = SimpleNamespace(
        decision_id=b"%036d" % number, settled=SimpleNamespace(client_ip=SimpleNamespace(address="2.80.10.20"))
    )
    named = [] if account is None else [(b"X-Account", account)]
    watching.saw(passage, AT, status, [*named, *more], b"Fox/1", "phone")


async def test_what_was_seen_is_written_as_events_named_by_their_decisions() -> None:
    events = FakeEvents()
    watching = logins(events)
    see(watching, 1, more=[(b"x-session", b"s-1")])
    see(watching, 2, 401)
    for status in (302, 403, 500):
        see(watching, 3, status)
    await watching.start()
    await watching.close()
    told = {"account": "alice", "at": AT, "ip": "2.80.10.20", "user_agent": "Fox/1", "device": "phone"}
    assert events.taken == [
        LoginSucceeded(id=f"login:{1:036d}", session="s-1", **told),
        LoginFailed(id=f"login:{2:036d}", **told),
    ]


@pytest.mark.parametrize("account", [None, b"", b"a\xff b", b"a" * 600])
async def test_a_login_of_which_nobody_says_whose_it_was_is_counted_and_nothing_else(account) -> None:
    watching = logins(FakeEvents())
    see(watching, account=account)
    assert watching.unnamed == 1


async def test_an_answer_that_names_two_accounts_names_none() -> None:
    watching = logins(FakeEvents())
    see(watching, more=[(b"x-account", b"bob")])
    assert watching.unnamed == 1


async def test_more_than_can_wait_is_left_out_and_counted() -> None:
    events = FakeEvents()
    watching = logins(events, most=3)
    for number in range(5):
        see(watching, number)
    assert watching.lost == 2
    await watching.start()
    await watching.close()
    assert len(events.taken) == 3


async def test_a_store_that_is_away_is_asked_again_and_nothing_is_lost(monkeypatch) -> None:
    monkeypatch.setattr(observing, "AGAIN_S", 0.001)
    events = FakeEvents(away=3)
    watching = logins(events)
    see(watching)
    await watching.start()
    async with asyncio.timeout(5):
        await events.done.wait()
    await watching.close()
    assert (len(events.taken), watching.lost) == (1, 0)


async def test_what_cannot_be_written_at_the_end_is_counted() -> None:
    watching = logins(FakeEvents(away=100))
    see(watching)
    await watching.start()
    await watching.close()
    assert watching.lost == 1
