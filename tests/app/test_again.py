"""A recorded request asked again: what changed in the account, the rules or the databases shows, and nothing else."""

import asyncio
import json

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.sql import AccountStore
from gateway.app.again import asked_again
from gateway.app.offline import WhatIf, decide_offline, read_request
from gateway.app.parts import bundle_of
from gateway.config import load
from gateway.core.errors import ReplayError
from gateway.core.terms import Outcome


async def _changed(site, **changes) -> None:
    store = AccountStore(load(site.config).store.url)
    await store.start()
    try:
        if changes:
            await store.put("alice", **changes, who="tests", why="a change")
        else:
            await site.fill(store)
    finally:
        await store.close()


async def _decided(site, uid: str) -> dict:
    lines: list[bytes] = []
    request = {"peer": "10.0.0.1", "method": "POST", "target": "/api/v1/orders",
               "headers": [[name, value] for name, value in site.headers(uid).items()]}  # fmt: skip
    asked = read_request(json.dumps(request).encode(), SystemClock())
    await decide_offline(load(site.config), [asked], lines.append, WhatIf())
    return json.loads(lines[0])


def test_nothing_changed_and_the_answer_is_the_same(site) -> None:
    async def story():
        await _changed(site)
        document = await _decided(site, "bob")
        return await asked_again(load(site.config), document, bundle_of(load(site.config)))

    found = asyncio.run(story())
    assert (found.same, found.facts, found.rules, found.explained) == (True, (), (), True)
    assert found.now.outcome is Outcome.DENY
    assert found.editions is not None
    assert found.editions[0] == found.editions[1]


def test_an_account_that_changed_since_is_what_made_the_difference(site) -> None:
    async def story():
        await _changed(site)
        document = await _decided(site, "alice")
        await _changed(site, status="open", verification="full", documents=["US"])
        return await asked_again(load(site.config), document, bundle_of(load(site.config)))

    found = asyncio.run(story())
    assert not found.same
    assert [change.fact for change in found.facts] == ["documents"]
    assert found.causes == (("documents",),)


def test_a_request_that_could_not_be_read_has_nothing_to_compare(site) -> None:
    with pytest.raises(ReplayError, match="no facts to compare"):
        asyncio.run(
            asked_again(load(site.config), {"verdict": None, "facts": None, "at": "2026-01-01T00:00:00Z"}, None)
        )
