"""A reason is asked for, its permission too, and it stands in the audit before anything is seen."""

import pytest

from gateway.core.errors import StoreUnavailable
from tests.api.desk import REASON
from tests.api.test_accounts import ALICE


async def test_who_may_not_unmask_sees_nothing_and_nothing_is_noted(desk) -> None:
    before = await desk.store.history("alice")
    refused = await desk.ask("sue", "GET", ALICE, gateway_reason=REASON)
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:gateway:problem:role-missing")
    assert "PT" not in refused.text
    assert await desk.store.history("alice") == before


@pytest.mark.parametrize("reason", ["", "short", "x" * 501])
async def test_a_reason_that_says_nothing_unmasks_nothing(desk, reason) -> None:
    refused = await desk.ask("ed", "GET", ALICE, gateway_reason=reason)
    assert (refused.status_code, refused.json()["parameter"]) == (400, "Gateway-Reason")


async def test_two_reasons_are_none(desk) -> None:
    headers = [("authorization", f"Bearer {desk.held['ed']}"), ("gateway-reason", REASON), ("gateway-reason", REASON)]
    refused = await desk.client.get(ALICE, headers=headers)
    assert (refused.status_code, refused.json()["parameter"]) == (400, "Gateway-Reason")


async def test_where_nothing_can_be_noted_nothing_is_shown(desk, monkeypatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("store /secret/place: the disk is full")

    monkeypatch.setattr(desk.services.tokens, "note_seen", away)
    refused = await desk.ask("ed", "GET", ALICE, gateway_reason=REASON)
    assert refused.status_code == 503
    assert "PT" not in refused.text
    assert "secret" not in refused.text
