"""Accounts over the API: seen masked, changed by one person as far as one may, over what was seen alone."""

import asyncio

import pytest

from tests.api.desk import HOUR, NOW, REASON, WHY

ALICE = "/api/v1/accounts/alice"


async def changed(desk, who, body, **headers):
    tag = headers.get("if_match") or (await desk.ask("vera", "GET", ALICE)).headers["etag"]
    return await desk.ask(who, "PATCH", ALICE, {"why": WHY} | body, if_match=tag)


async def test_a_persons_countries_are_counted_until_somebody_says_why(desk) -> None:
    masked = await desk.ask("ed", "GET", ALICE)
    assert masked.json()["documents"] == masked.json()["residence"] == {"count": 1}
    assert masked.json()["nationality"] is None
    whole = await desk.ask("ed", "GET", ALICE, gateway_reason=REASON)
    assert (whole.json()["documents"], whole.json()["residence"]) == (["PT"], "PT")
    assert whole.headers["etag"] == masked.headers["etag"]
    (entry, *_) = await desk.store.history("alice")
    assert (entry.action, entry.who, entry.why) == ("account.unmask", "ed", REASON)


async def test_accounts_are_listed_a_page_at_a_time(desk) -> None:
    for uid in ("bob", "carol"):
        await desk.store.put(uid, who="import", why="moved in")
    page = (await desk.ask("vera", "GET", "/api/v1/accounts?limit=2")).json()
    assert ([one["uid"] for one in page["accounts"]], page["cursor"]) == (["alice", "bob"], "bob")
    rest = (await desk.ask("vera", "GET", "/api/v1/accounts?limit=2&cursor=bob")).json()
    assert ([one["uid"] for one in rest["accounts"]], rest["cursor"]) == (["carol"], None)


async def test_a_change_is_over_what_was_seen_or_not_made(desk) -> None:
    seen = (await desk.ask("ed", "GET", ALICE)).headers["etag"]
    await desk.store.add_flag("alice", "us-ip", who="ben", why="T-2")
    refused = await changed(desk, "ed", {"verification": "basic"}, if_match=seen)
    assert (refused.status_code, refused.json()["type"]) == (412, "urn:gateway:problem:changed-meanwhile")
    assert (await desk.store.read("alice")).verification == "full"
    missing = await desk.ask("ed", "PATCH", ALICE, {"why": WHY, "verification": "basic"})
    assert missing.status_code == 428


async def test_of_two_changes_at_once_over_the_same_one_is_made(desk) -> None:
    seen = (await desk.ask("ed", "GET", ALICE)).headers["etag"]
    bodies = [{"verification": "basic"}, {"verification": "none"}]
    answers = await asyncio.gather(*(changed(desk, "ed", body, if_match=seen) for body in bodies))
    assert sorted(one.status_code for one in answers) == [200, 412]


async def test_an_editor_changes_all_or_nothing(desk) -> None:
    done = await changed(
        desk, "ed", {"documents": ["PT", "ES"], "residence": "ES", "nationality": None, "add_flags": ["staff"]}
    )
    assert done.json()["documents"] == {"count": 2}
    account = await desk.store.read("alice")
    assert (account.documents, account.residence, account.flags) == ({"PT", "ES"}, "ES", {"staff"})
    (entry, *_) = await desk.store.history("alice")
    assert (entry.who, entry.why) == ("ed", WHY)
    refused = await changed(desk, "ed", {"residence": "PT", "documents": ["UK"]})
    assert (refused.status_code, refused.json()["parameter"], refused.json()["allowed"]) == (400, "documents", ["GB"])
    assert await desk.store.read("alice") == account


async def test_support_marks_and_flags_and_no_more(desk) -> None:
    assert (await changed(desk, "sue", {"add_flags": ["us-ip"], "status": "flagged"})).json()["status"] == "flagged"
    for body in ({"remove_flags": ["us-ip"]}, {"status": "restricted"}, {"verification": "none"}, {"documents": []}):
        assert (await changed(desk, "sue", body)).status_code == 403
    account = await desk.store.read("alice")
    assert (account.status, account.flags) == ("flagged", {"us-ip"})


@pytest.mark.parametrize("who", ["vera", "aud", "app", "adm"])
async def test_whoever_only_looks_or_approves_changes_nothing(desk, who) -> None:
    assert (await changed(desk, who, {"add_flags": ["us-ip"]})).status_code == 403


@pytest.mark.parametrize("status", ["open", "exit_only"])
async def test_nobody_widens_a_status_alone(desk, status) -> None:
    await changed(desk, "ed", {"status": "flagged"})
    for who in ("ed", "bot"):
        refused = await changed(desk, who, {"status": status})
        assert (refused.status_code, "for two people to decide" in refused.json()["detail"]) == (409, True)
    assert (await desk.store.read("alice")).status == "flagged"


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "body"),
        ({"status": "shut"}, "status"),
        ({"status": 1}, "status"),
        ({"add_flags": "x"}, "add_flags"),
        ({"add_flags": ["US IP"]}, "flag"),
        ({"holds": []}, "holds"),
        ({"why": ""}, "why"),
        ({"why": None}, "why"),
    ],
)
async def test_a_change_that_cannot_be_names_what_is_wrong(desk, body, parameter) -> None:
    refused = await changed(desk, "ed", {"verification": "basic"} | body if body else body)
    assert (refused.status_code, refused.json()["parameter"]) == (400, parameter)
    assert (await desk.store.read("alice")).verification == "full"


async def test_a_body_that_is_none_is_refused(desk) -> None:
    tag = (await desk.ask("ed", "GET", ALICE)).headers["etag"]
    for body, kind, status in ((b"[]", "application/json", 400), (b"x" * 9000, "application/json", 413),
                               (b"{}", "text/plain", 415)):  # fmt: skip
        assert (await desk.ask("ed", "PATCH", ALICE, body, if_match=tag, content_type=kind)).status_code == status


async def test_a_timeline_has_changes_events_and_steps_and_masks_them(desk) -> None:
    event = {"type": "login.succeeded", "id": "e1", "account": "alice", "at": NOW / 1e6, "ip": "203.0.113.7",
             "user_agent": "Mozilla/5.0", "device": "d-17", "session": "s-4"}  # fmt: skip
    assert (await desk.ask("bot", "POST", "/v1/events", {"events": [event]})).json()["taken"] == 1
    desk.clock.at += HOUR
    hold = {"account": "alice", "operations": ["withdraw"], "why": "from 203.0.113.7 again"}
    await desk.ask("sue", "POST", "/api/v1/holds", hold)
    masked = await desk.ask("sue", "GET", f"{ALICE}/timeline")
    assert {one["kind"] for one in masked.json()["moments"]} == {"change", "event", "step"}
    told = next(one for one in masked.json()["moments"] if one["kind"] == "event")
    assert told["details"] == {"id": "e1", "ip": "203.0.113.0/24", "user_agent": None, "device": "…", "session": "…"}
    assert "203.0.113.7" not in masked.text
    assert '"PT"' not in masked.text
    whole = await desk.ask("ed", "GET", f"{ALICE}/timeline", gateway_reason=REASON)
    assert "203.0.113.7" in whole.text
    page = (await desk.ask("sue", "GET", f"{ALICE}/timeline?limit=1")).json()
    rest = (await desk.ask("sue", "GET", f"{ALICE}/timeline?limit=100&cursor={page['cursor']}")).json()
    assert page["moments"][0] not in rest["moments"]
    assert (await desk.ask("sue", "GET", f"{ALICE}/timeline?cursor=x")).status_code == 400


@pytest.mark.parametrize("path", ["", "/timeline", "/holds"])
async def test_an_account_that_is_not_there_is_404(desk, path) -> None:
    answer = await desk.ask("sue", "GET", f"/api/v1/accounts/bob{path}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:gateway:problem:no-such-account")
