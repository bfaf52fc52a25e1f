"""A request with a key is done once, and answered the same for a day."""

import asyncio

import pytest

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


async def test_what_is_done_is_answered_although_the_answer_could_not_be_kept(desk, monkeypatch) -> None:
    async def away(*_: object) -> None:
        raise StoreUnavailable("the disk is full")

    monkeypatch.setattr(desk.desk.once, "keep", away)
    assert (await desk.ask("sue", "POST", "/api/v1/holds", HOLD, idempotency_key="k-5")).status_code == 201
