"""The Outbox over the API: looked at by who may, and what was parked is tried again with a reason."""

import pytest

from tests.api.desk import NOW, WHY
from tests.api.test_tickets import placed


@pytest.fixture
async def told(desk):
    """Two messages of a hold, of which the first was given up on."""
    await placed(desk)
    (first, *_) = await desk.desk.outbox.due(NOW, 10)
    await desk.desk.outbox.parked(first.id, "answered 500 twelve times")
    desk.first = first.id
    return desk


async def test_messages_are_found_and_read(told) -> None:
    page = (await told.ask("adm", "GET", "/api/v1/outbox?limit=1")).json()
    rest = (await told.ask("adm", "GET", f"/api/v1/outbox?cursor={page['cursor']}")).json()
    assert {one["id"] for one in page["messages"]} | {one["id"] for one in rest["messages"]} > {told.first}
    (parked,) = (await told.ask("aud", "GET", "/api/v1/outbox?state=parked")).json()["messages"]
    assert (parked["id"], parked["last_error"], parked["next_try_at"]) == (
        told.first,
        "answered 500 twelve times",
        None,
    )
    assert (await told.ask("adm", "GET", f"/api/v1/outbox/{told.first}")).json() == parked
    assert (await told.ask("adm", "GET", "/api/v1/outbox?type=ticket.opened")).json()["messages"][0][
        "account"
    ] == "alice"


async def test_a_parked_message_is_tried_again_and_another_is_not(told) -> None:
    url = f"/api/v1/outbox/{told.first}/retry"
    again = await told.ask("adm", "POST", url, {"why": WHY})
    assert (again.status_code, again.json()["state"], again.json()["tries"]) == (200, "pending", 0)
    (entry, *_) = await told.store.history("alice")
    assert (entry.action, entry.who) == ("outbox.retry", "adm")
    refused = await told.ask("adm", "POST", url, {"why": WHY})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:gateway:problem:not-possible")


async def test_a_retry_says_why_and_of_what(told) -> None:
    assert (await told.ask("adm", "POST", f"/api/v1/outbox/{told.first}/retry", {"why": " "})).status_code == 400
    assert (await told.ask("adm", "POST", "/api/v1/outbox/msg_x/retry", {"why": WHY})).status_code == 404
    assert (await told.ask("adm", "GET", "/api/v1/outbox/msg_x")).status_code == 404
    assert (await told.ask("adm", "GET", "/api/v1/outbox?state=lost")).json()["parameter"] == "state"
    assert (await told.ask("aud", "POST", f"/api/v1/outbox/{told.first}/retry", {"why": WHY})).status_code == 403
    assert (await told.ask("sue", "GET", "/api/v1/outbox")).status_code == 403
