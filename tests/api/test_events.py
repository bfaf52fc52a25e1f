"""Events over the API: the good ones of a batch are taken, each once, and what is wrong is said by its place."""

import json

import pytest

from gateway.adapters.security_event_tokens import Checked, Err, Refused
from tests.api.desk import NOW

LOGIN = {"type": "login.succeeded", "id": "e1", "account": "alice", "at": NOW / 1e6, "ip": "203.0.113.7"}
EVENTS = "/v1/events"
SETS = "/v1/security-events"


async def test_the_good_ones_are_taken_and_each_of_the_others_is_told_why(desk) -> None:
    batch = [LOGIN, {**LOGIN, "id": "e2", "type": "login.suceeded"}, "x", {**LOGIN, "id": "e3", "ip": "1.2.3"}, LOGIN]
    answer = await desk.ask("bot", "POST", EVENTS, {"events": batch})
    told = answer.json()
    assert (answer.status_code, told["taken"], told["repeated"], told["problems"]) == (200, 1, 1, 3)
    assert [one["what"] for one in told["results"]] == ["taken", "problem", "problem", "problem", "repeated"]
    wrong = told["results"][1]["problem"]
    assert (wrong["type"], wrong["index"], wrong["id"]) == ("urn:gateway:problem:unknown-type", 1, "e2")
    assert "did you mean `login.succeeded`?" in wrong["detail"]
    assert told["results"][3]["problem"]["parameter"] == "ip"
    again = (await desk.ask("bot", "POST", EVENTS, {"events": batch})).json()
    assert (again["taken"], again["repeated"]) == (0, 2)


async def test_an_event_places_the_hold_that_it_calls_for(desk) -> None:
    change = {"type": "verification.changed", "id": "c1", "account": "alice", "at": NOW / 1e6, "method": "totp",
              "change": "reset", "proved_with": "recovery"}  # fmt: skip
    assert (await desk.ask("bot", "POST", EVENTS, {"events": [change]})).json()["taken"] == 1
    (hold,) = (await desk.ask("vera", "GET", "/api/v1/accounts/alice/holds")).json()["holds"]
    assert (hold["kind"], hold["operations"], hold["expeditable"]) == (
        "verification_changed", ["transfer", "withdraw"], False
    )  # fmt: skip


async def test_a_batch_is_bounded(desk) -> None:
    many = [{**LOGIN, "id": f"e{n}"} for n in range(1001)]
    assert (await desk.ask("bot", "POST", EVENTS, {"events": many})).status_code == 413
    large = json.dumps({"events": [{**LOGIN, "user_agent": "x" * (1024 * 1024)}]}).encode()
    assert (await desk.ask("bot", "POST", EVENTS, large, content_type="application/json")).status_code == 413
    one = (await desk.ask("bot", "POST", EVENTS, {"events": [{**LOGIN, "user_agent": "x" * 20_000}]})).json()
    assert one["results"][0]["problem"]["type"] == "urn:gateway:problem:too-large"
    thousand = (await desk.ask("bot", "POST", EVENTS, {"events": many[:1000]})).json()
    assert thousand["taken"] == 1000


@pytest.mark.parametrize("body", [{}, {"events": {}}, {"events": None}, [LOGIN], {"events": [], "x": 1}])
async def test_what_is_no_batch_is_refused(desk, body) -> None:
    assert (await desk.ask("bot", "POST", EVENTS, body)).status_code == 400


async def test_an_empty_batch_is_nothing(desk) -> None:
    told = (await desk.ask("bot", "POST", EVENTS, {"events": []})).json()
    assert (told["taken"], told["results"]) == (0, [])


@pytest.mark.parametrize("who", ["sue", "ed", "adm", "sam"])
async def test_people_tell_of_no_events(desk, who) -> None:
    assert (await desk.ask(who, "POST", EVENTS, {"events": [LOGIN]})).status_code == 403


async def test_a_pushed_token_is_answered_as_its_rfc_says(desk) -> None:
    desk.sets.answer = Checked("https://idp", "j1", (), False, NOW)
    taken = await desk.ask(None, "POST", SETS, b"a.b.c", content_type="application/secevent+jwt")
    assert (taken.status_code, taken.content) == (202, b"")
    assert desk.sets.received == [(b"a.b.c", "application/secevent+jwt")]
    desk.sets.answer = Refused(Err.INVALID_AUDIENCE, "`aud` does not name us")
    refused = await desk.ask(None, "POST", SETS, b"a.b.c", content_type="application/secevent+jwt")
    assert (refused.status_code, refused.headers["content-type"]) == (400, "application/json")
    assert refused.json() == {"err": "invalid_audience", "description": "`aud` does not name us"}


async def test_tokens_that_prove_nothing_are_bounded_by_address(desk) -> None:
    desk.sets.answer = Refused(Err.AUTHENTICATION_FAILED, "the signature is not of the key that the token names")
    statuses = [
        (await desk.ask(None, "POST", SETS, b"a.b.c", content_type="application/secevent+jwt")).status_code
        for _ in range(12)
    ]
    assert (statuses[0], statuses[-1]) == (400, 429)
    assert (await desk.ask(None, "POST", SETS, b"x" * 20_000)).status_code == 429
    desk.clock.at += 10**9
    assert (await desk.ask(None, "POST", SETS, b"x" * 20_000)).status_code == 413
