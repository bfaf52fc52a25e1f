"""A request with a key is done once, and answered the same for a day."""

import asyncio

import httpx2
import pytest
import sqlalchemy as sa

from gateway.api.application import create_api
from gateway.core.errors import StoreUnavailable
from tests.api.desk import HOUR, WHY
from tests.api.test_tickets import HOLD, RELEASE, evidenced, placed, step


async def test_the_same_key_is_answered_the_same_for_a_day_and_does_nothing_more(desk) -> None:
    first = await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key="k-1")
    again = await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key="k-1")
    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["etag"] == first.headers["etag"]
    assert len((await desk.desk.tickets.tickets()).tickets) == 1
    other = await desk.ask("sue", "POST", "/api/v1/holds", HOLD | {"hours": 1}, idempotency_key="k-1")
    assert (other.status_code, other.json()["type"]) == (422, "urn:gateway:problem:key-used")
    assert (await desk.ask("ed", "POST", "/api/v1/holds", HOLD, idempotency_key="k-1")).json()["id"] != first.json()[
        "id"
    ]
    desk.clock.at += 24 * HOUR
    later = await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key="k-1")
    assert later.json()["id"] != first.json()["id"]


async def test_a_step_with_a_key_is_answered_the_same_although_the_ticket_moved_on(desk) -> None:
    ticket = await evidenced(desk)
    first = await step(desk, "sue", "propose", ticket, RELEASE, idempotency_key="k-2")
    assert (await step(desk, "app", "approve", first.json(), {"why": WHY})).status_code == 200
    again = await step(desk, "sue", "propose", ticket, RELEASE, idempotency_key="k-2")
    assert (again.status_code, again.json()) == (200, first.json())


async def test_a_refusal_is_not_remembered_under_its_key(desk) -> None:
    ticket = await placed(desk)
    refused = await step(desk, "sue", "propose", ticket, RELEASE, idempotency_key="k-3")
    assert refused.status_code == 409
    upheld = await step(desk, "sue", "propose", ticket, {"outcome": "uphold", "why": "not her"}, idempotency_key="k-3")
    assert upheld.status_code == 200


async def test_many_with_one_key_at_once_place_one_hold(desk) -> None:
    asked = [desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key="k-4") for _ in range(20)]
    answers = await asyncio.gather(*asked)
    assert {one.status_code for one in answers} <= {201, 409}
    assert any(one.status_code == 201 for one in answers)
    assert len((await desk.desk.tickets.tickets()).tickets) == 1


@pytest.mark.parametrize("key", ["", "x" * 256, "a\x7fb"])
async def test_a_key_that_is_none_is_refused(desk, key) -> None:
    refused = await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key=key)
    assert (refused.status_code, refused.json()["parameter"]) == (400, "Idempotency-Key")


class Killed(Exception):
    """The process ended here."""


async def _killed_at(desk, engine, key: str, statement: int | None) -> int:
    """Ask for a hold in a process that ends at a statement of the transaction; return how many it had made by then."""
    made = 0

    def one_more(*_: object) -> None:
        nonlocal made
        if made == statement:
            raise Killed
        made += 1

    sa.event.listen(engine, "before_cursor_execute", one_more)
    try:
        answer = await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key=key)
        assert answer.status_code == (201 if statement is None else 500)
    finally:
        sa.event.remove(engine, "before_cursor_execute", one_more)
    return made


async def test_wherever_it_is_killed_a_repeat_makes_one_hold_and_not_two(desk) -> None:
    engine = desk.store._backend._writer.sync_engine
    whole = await _killed_at(desk, engine, "whole", None)
    assert whole > 5
    for statement in range(whole):
        key = f"killed-{statement}"
        await _killed_at(desk, engine, key, statement)
        before = len((await desk.desk.tickets.tickets()).tickets)
        first = await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key=key)
        again = await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key=key)
        assert (first.status_code, again.json()) == (201, first.json())
        assert len((await desk.desk.tickets.tickets()).tickets) == before + 1


async def test_what_was_done_but_never_answered_is_answered_the_same_afterwards(desk, monkeypatch) -> None:
    async def cut_off(*asked: object) -> None:
        await real(*asked)
        raise StoreUnavailable("the answer was lost on the way")

    real = desk.desk.tickets._write
    monkeypatch.setattr(desk.desk.tickets, "_write", cut_off)
    assert (await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key="k-5")).status_code == 503
    monkeypatch.undo()
    again = await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key="k-5")
    assert again.status_code == 201
    assert [one.id for one in (await desk.desk.tickets.tickets()).tickets] == [again.json()["id"]]


async def test_two_processes_with_one_key_at_once_place_one_hold(desk, monkeypatch) -> None:
    looked = asyncio.Barrier(2)
    real = desk.desk.once.answer
    waiting = 2

    async def answer(*key: str) -> object:
        nonlocal waiting
        found = await real(*key)
        if waiting:
            waiting -= 1
            async with asyncio.timeout(20):
                await looked.wait()
        return found

    monkeypatch.setattr(desk.desk.once, "answer", answer)
    # What one process has under way no other knows.
    transport = httpx2.ASGITransport(create_api(desk.services), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as other:
        headers = {"authorization": f"Bearer {desk.held['sue']}", "idempotency-key": "k-6"}
        first, second = await asyncio.gather(
            desk.client.post("/api/v1/holds", json=HOLD, headers=headers),
            other.post("/api/v1/holds", json=HOLD, headers=headers),
        )
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert len((await desk.desk.tickets.tickets()).tickets) == 1
