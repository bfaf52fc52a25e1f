"""Revisions over the API: proposed by one person, approved by another, returned to by one."""

from contextlib import AsyncExitStack
from pathlib import Path
from types import SimpleNamespace

import httpx2
import pytest

from gateway.adapters.revision_reads import Run
from gateway.adapters.revisions import RevisionStore
from gateway.api.application import create_api
from gateway.api.services import PolicyDesk
from gateway.app.publishing import publishing_of
from gateway.config import load
from tests.api.desk import HOUR, NOW

POLICY = """\
policy: house
title: The rules of the tests
owner: tests
rules:
  - id: everybody
    grant: full
    when: status == "open"
  - id: closed
    limit: support_only
    when: country == "IR"
    reason: jurisdiction-blocked
    basis: The tests
tests:
  - name: IR is closed
    facts: {country: IR, status: open}
    operation: view
    expect: {outcome: deny, by: [closed]}
"""
TIGHTER = POLICY.replace('country == "IR"', 'country in ["IR", "KP"]')
URL = "/api/v1/policies/revisions"


@pytest.fixture
async def policies(desk, tmp_path: Path):
    """The API where two people publish, or as it is configured; nothing is in force yet."""
    config = tmp_path / "gateway.toml"
    clients = AsyncExitStack()

    async def configured(more: str = 'source = "store"\nflips_at_most = 1') -> SimpleNamespace:
        config.write_text(f"[client_ip]\ntrusted_proxies = []\n[policies]\n{more}\n")
        publishing = publishing_of(load(config, {}), desk.store)
        services = desk.services._replace(desk=desk.desk._replace(policies=PolicyDesk(publishing, desk.revisions)))
        transport = httpx2.ASGITransport(create_api(services), raise_app_exceptions=False)
        client = await clients.enter_async_context(httpx2.AsyncClient(transport=transport, base_url="http://admin"))

        async def ask(who, method, url, body=None, **headers):
            sent = {name.replace("_", "-"): text for name, text in headers.items()}
            sent["authorization"] = f"Bearer {desk.held.get(who, who)}"
            return await client.request(method, url, json=body, headers=sent)

        return SimpleNamespace(ask=ask)

    desk.revisions = RevisionStore(desk.store)
    async with clients:
        yield configured


async def propose(desk, text=TIGHTER, who="ed", **more):
    return await desk.ask(who, "POST", URL, {"texts": {"house.yaml": text}, "message": "as T-1 asks", **more})


async def step(desk, who, act, revision, **more):
    headers = more.pop("headers", {"if_match": f'"{revision["version"]}"'})
    return await desk.ask(who, "POST", f"{URL}/{revision['number']}/{act}", {"why": "I read it", **more}, **headers)


async def published(desk, text):
    proposed = await propose(desk, text)
    assert proposed.status_code == 201, proposed.text
    approved = await step(desk, "app", "approve", proposed.json())
    assert approved.status_code == 200, approved.text
    return approved.json()


async def test_a_revision_is_proposed_seen_approved_and_in_force(policies) -> None:
    desk = await policies()
    first = await published(desk, POLICY)
    proposed = await propose(desk)
    assert (proposed.status_code, proposed.headers["etag"]) == (201, '"1"')
    assert (proposed.json()["state"], proposed.json()["widens"]) == ("proposed", False)
    seen = await desk.ask("vera", "GET", f"{URL}/{proposed.json()['digest'][:8]}?texts=1")
    assert seen.json()["texts"] == {"house.yaml": TIGHTER}
    assert [one["rules"][0]["rule"] for one in seen.json()["examined"]["diff"]["narrowings"]] == ["closed"]
    approved = (await step(desk, "app", "approve", proposed.json())).json()
    assert (approved["state"], approved["approval"]["by"], approved["replaced"]) == ("active", "app", 1)
    listed = (await desk.ask("vera", "GET", URL)).json()
    assert [(one["number"], one["state"]) for one in listed["revisions"]] == [(2, "active"), (1, "superseded")]
    page = (await desk.ask("vera", "GET", f"{URL}?limit=1")).json()
    assert (len(page["revisions"]), page["cursor"]) == (1, "2")
    rest = (await desk.ask("vera", "GET", f"{URL}?limit=1&cursor=2")).json()
    assert [one["digest"] for one in rest["revisions"]] == [first["digest"]]
    told = (await desk.ask("adm", "GET", "/api/v1/outbox")).json()["messages"]
    assert sorted(one["type"] for one in told) == ["policy.activated"] * 2 + ["policy.published"] * 2


async def test_nobody_publishes_alone_whatever_their_roles(policies, desk) -> None:
    both = await desk.tokens.create_personal(
        person="Max", roles=["editor", "approver"], days=1, who="ben", why="a small desk"
    )
    desk = await policies()
    proposed = (await propose(desk, who=both.text)).json()
    for act in ("approve", "decline"):
        refused = await step(desk, both.text, act, proposed)
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:gateway:problem:another-person-needed")


@pytest.mark.parametrize(
    ("who", "act", "code"),
    [("ed", "approve", "role-missing"), ("app", "withdraw", "role-missing"), ("bot", "approve", "scope-missing")],
)
async def test_each_half_takes_its_role(policies, who, act, code) -> None:
    desk = await policies()
    proposed = (await propose(desk)).json()
    refused = await step(desk, who, act, proposed)
    assert (refused.status_code, refused.json()["type"]) == (403, f"urn:gateway:problem:{code}")
    assert (await propose(desk, who="app")).status_code == 403


async def test_an_approval_is_of_what_was_seen(policies) -> None:
    desk = await policies()
    proposed = (await propose(desk)).json()
    unseen = await step(desk, "app", "approve", proposed, headers={})
    assert unseen.status_code == 428
    changed = await step(desk, "app", "approve", proposed, headers={"if_match": '"7"'})
    assert (changed.status_code, changed.json()["type"]) == (412, "urn:gateway:problem:changed-meanwhile")


async def test_what_opens_something_says_so_and_why(policies) -> None:
    desk = await policies()
    await published(desk, TIGHTER)
    refused = await propose(desk, POLICY)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:gateway:problem:widens")
    assert "house/closed" in refused.json()["detail"]
    unreasoned = await propose(desk, POLICY, allow_widening=True)
    assert unreasoned.status_code == 409
    proposed = await propose(desk, POLICY, allow_widening=True, reason="the list of KP was lifted")
    assert (proposed.status_code, proposed.json()["widens"]) == (201, True)
    assert proposed.json()["reason"] == "the list of KP was lifted"


async def test_one_person_returns_and_nobody_goes_forward_alone(policies) -> None:
    desk = await policies()
    await published(desk, TIGHTER)
    proposed = (await propose(desk, POLICY, allow_widening=True, reason="lifted")).json()
    await step(desk, "app", "approve", proposed)
    back = await desk.ask("ed", "POST", "/api/v1/policies/rollback", {"why": "it was not lifted"})
    assert (back.status_code, back.json()["number"], back.json()["state"]) == (200, 1, "active")
    again = await desk.ask("app", "POST", "/api/v1/policies/rollback", {"why": "it was", "revision": "2"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:gateway:problem:widens")
    again = await desk.ask(
        "app", "POST", "/api/v1/policies/rollback", {"why": "it was", "revision": "2", "allow_widening": True}
    )
    assert (again.status_code, again.json()["type"]) == (409, "urn:gateway:problem:not-possible")


async def test_an_idempotency_key_proposes_once(policies) -> None:
    desk = await policies()
    body = {"texts": {"house.yaml": POLICY}, "message": "as T-1 asks"}
    first = await desk.ask("ed", "POST", URL, body, idempotency_key="k1")
    second = await desk.ask("ed", "POST", URL, body, idempotency_key="k1")
    assert first.json() == second.json()
    assert len((await desk.ask("vera", "GET", URL)).json()["revisions"]) == 1
    without = await desk.ask("ed", "POST", URL, body)
    assert (without.status_code, without.json()["type"]) == (409, "urn:gateway:problem:not-possible")


async def test_what_does_not_load_or_whose_tests_fail_is_not_proposed(policies) -> None:
    desk = await policies()
    for text, said in (("policy: house", "house.yaml:1"), (POLICY.replace("deny", "allow"), "fails")):
        refused = await propose(desk, text)
        assert (refused.status_code, refused.json()["type"]) == (422, "urn:gateway:problem:policies-refused")
        assert said in refused.json()["detail"]


async def test_whoever_must_not_be_locked_out_is_not(policies) -> None:
    guard = '[[policies.never_lock_out]]\nname = "the desk"\noperations = ["view"]\n'
    guard += 'facts = {country = "KP", status = "open"}'
    desk = await policies(f'source = "store"\nflips_at_most = 1\n{guard}')
    await published(desk, POLICY)
    refused = await propose(desk)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:gateway:problem:locks-out")
    assert "the desk could not view any more, by house/closed" in refused.json()["detail"]


async def test_where_policies_come_from_files_the_api_only_reads(policies) -> None:
    desk = await policies('source = "files"')
    for answer in (
        await propose(desk),
        await desk.ask("ed", "POST", "/api/v1/policies/rollback", {"why": "back"}),
    ):
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:gateway:problem:read-only")
        assert "files" in answer.json()["detail"]
    assert (await desk.ask("vera", "GET", URL)).json() == {"revisions": [], "cursor": None}


async def test_what_waits_for_its_instant_can_be_stopped_by_either_half(policies) -> None:
    desk = await policies()
    await published(desk, POLICY)
    for who, act, state in (("app", "decline", "declined"), ("ed", "withdraw", "withdrawn")):
        waiting = (await propose(desk, starts_at="2027-01-16T00:00:00Z")).json()
        approved = (await step(desk, "app", "approve", waiting)).json()
        assert (approved["state"], approved["starts_at"]) == ("approved", "2027-01-16T00:00:00.000000Z")
        stopped = await step(desk, who, act, approved)
        assert (stopped.status_code, stopped.json()["state"]) == (200, state)


async def test_who_runs_what_is_shown_with_who_fell_silent(policies, desk) -> None:
    asked = await policies()
    active = await published(asked, POLICY)
    store = RevisionStore(desk.store)
    for worker, digest, seen_at, refused in (
        ("w1", active["digest"], NOW, None),
        ("w2", "0" * 64, NOW, None),
        ("w3", "0" * 64, NOW, active["digest"]),
        ("w4", active["digest"], NOW - HOUR, None),
    ):
        await store.acknowledge(Run(worker, "host", digest, NOW, seen_at, refused, refused and "no source"))
    runs = (await asked.ask("vera", "GET", "/api/v1/policies/runs")).json()
    assert runs["active"] == active["digest"]
    assert {one["worker"]: one["state"] for one in runs["runs"]} == {
        "w1": "current", "w2": "behind", "w3": "refused", "w4": "silent"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "url", "body", "parameter"),
    [
        ("POST", URL, {"texts": {}, "message": "m"}, "texts"),
        ("POST", URL, {"texts": {"a.yaml": 1}, "message": "m"}, "texts"),
        ("POST", URL, {"texts": {"a.yaml": "x"}, "message": "m", "allow_widening": "yes"}, "allow_widening"),
        ("POST", URL, {"texts": {"a.yaml": "x"}, "message": "m", "starts_at": "tomorrow"}, "starts_at"),
        ("POST", URL, {"texts": {"a.yaml": "x"}, "message": "m", "starts_at": "2020-01-01T00:00:00Z"}, "starts_at"),
        ("POST", URL, {"texts": {"a.yaml": "x"}, "message": "two\nlines"}, "why"),
        ("GET", f"{URL}?state=nowhere", None, "state"),
        ("GET", f"{URL}?cursor=x", None, "cursor"),
    ],
)
async def test_what_cannot_be_is_named(policies, method, url, body, parameter) -> None:
    answer = await (await policies()).ask("ed", method, url, body)
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


async def test_a_revision_that_is_not_there_is_404_and_a_desk_without_policies_501(policies, desk) -> None:
    asked = await policies()
    for name in ("7", "abcdef", "nonsense"):
        assert (await asked.ask("vera", "GET", f"{URL}/{name}")).status_code == 404
    assert (await desk.ask("vera", "GET", URL)).status_code == 501
