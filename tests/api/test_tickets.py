"""Holds and tickets over the API: placed, evidenced, proposed by one person and ended by another."""

import pytest

from tests.api.desk import HOUR, NOW, PNG, WHY

HOLD = {"account": "alice", "operations": ["withdraw"], "why": WHY, "kind": "withdrawal_review", "hours": 72}
RELEASE = {"outcome": "release", "why": "the selfie shows her"}


async def placed(desk, **more):
    answer = await desk.ask("sue", "POST", "/api/v1/holds", HOLD | more)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def evidenced(desk, **more):
    ticket = await placed(desk, **more)
    url = f"/api/v1/tickets/{ticket['id']}/evidence?kind=selfie_with_document"
    answer = await desk.ask("sue", "POST", url, PNG, content_type="image/png")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def step(desk, who, act, ticket, body, **headers):
    tag = headers.pop("if_match", f'"{ticket["version"]}"')
    return await desk.ask(who, "POST", f"/api/v1/tickets/{ticket['id']}/{act}", body, if_match=tag, **headers)


async def test_a_hold_is_placed_evidenced_proposed_approved_and_gone(desk) -> None:
    ticket = await placed(desk)
    assert (ticket["state"], ticket["missing"]) == ("open", ["selfie_with_document"])
    account = (await desk.ask("vera", "GET", "/api/v1/accounts/alice")).json()
    assert account["holds"] == ["withdraw"]
    early = await step(desk, "sue", "propose", ticket, RELEASE)
    assert (early.status_code, early.json()["type"]) == (409, "urn:gateway:problem:evidence-missing")
    assert early.json()["allowed"] == ["selfie_with_document"]
    url = f"/api/v1/tickets/{ticket['id']}/evidence?kind=selfie_with_document"
    ticket = (await desk.ask("sue", "POST", url, PNG, content_type="image/png")).json()
    assert (ticket["state"], ticket["missing"]) == ("evidenced", [])
    proposed = await step(desk, "sue", "propose", ticket, RELEASE)
    assert proposed.status_code == 200
    assert proposed.headers["etag"] == f'"{proposed.json()["version"]}"'
    assert proposed.json()["proposal"] == {
        "by": "sue", "at": "2027-01-15T08:00:00.000000Z", "outcome": "release", "reason": RELEASE["why"], "to": None
    }  # fmt: skip
    done = await step(desk, "app", "approve", proposed.json(), {"why": "I see her too"})
    assert (done.status_code, done.json()["state"], done.json()["closed_by"]) == (200, "released", "app")
    account = (await desk.ask("vera", "GET", "/api/v1/accounts/alice")).json()
    assert account["holds"] == []
    whole = (await desk.ask("vera", "GET", f"/api/v1/tickets/{ticket['id']}")).json()
    assert [(one["who"], one["act"]) for one in whole["log"]] == [
        ("sue", "open"), ("sue", "attach"), ("sue", "propose"), ("app", "approve")
    ]  # fmt: skip
    told = (await desk.ask("adm", "GET", "/api/v1/outbox?account=alice")).json()["messages"]
    assert {one["type"] for one in told} == {"hold.placed", "ticket.opened", "hold.released", "ticket.closed"}


async def test_nobody_does_both_halves_whatever_their_roles(desk) -> None:
    ticket = await evidenced(desk)
    proposed = (await step(desk, "sam", "propose", ticket, RELEASE)).json()
    for act in ("approve", "decline"):
        refused = await step(desk, "sam", act, proposed, {"why": "it is right"})
        assert (refused.status_code, refused.json()["type"]) == (403, "urn:gateway:problem:another-person-needed")
    now = (await desk.ask("vera", "GET", f"/api/v1/tickets/{ticket['id']}")).json()
    assert (now["state"], now["version"]) == ("proposed", proposed["version"])


async def test_another_token_of_the_same_person_is_no_other_person(desk) -> None:
    again = await desk.tokens.create_personal(
        person=" SAM ", roles=["approver"], days=1, who="ben", why="lost the first"
    )
    ticket = await evidenced(desk)
    proposed = (await step(desk, "sam", "propose", ticket, RELEASE)).json()
    refused = await step(desk, again.text, "approve", proposed, {"why": "it is right"})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:gateway:problem:another-person-needed")


@pytest.mark.parametrize("act", ["propose", "approve", "decline"])
async def test_a_program_can_do_neither_half(desk, act) -> None:
    ticket = await evidenced(desk)
    if act != "propose":
        ticket = (await step(desk, "sue", "propose", ticket, RELEASE)).json()
    refused = await step(desk, "bot", act, ticket, RELEASE if act == "propose" else {"why": WHY})
    assert (refused.status_code, refused.json()["type"]) == (403, "urn:gateway:problem:scope-missing")
    assert "for people" in refused.json()["detail"]


async def test_what_was_declined_can_be_proposed_again(desk) -> None:
    ticket = await evidenced(desk)
    proposed = (await step(desk, "sue", "propose", ticket, RELEASE)).json()
    declined = await step(desk, "app", "decline", proposed, {"why": "the note is not dated"})
    assert (declined.json()["state"], declined.json()["proposal"]) == ("evidenced", None)
    again = await step(desk, "ed", "propose", declined.json(), {"outcome": "uphold", "why": "not her"})
    upheld = await step(desk, "app", "approve", again.json(), {"why": "not her"})
    assert upheld.json()["state"] == "upheld"
    assert (await desk.store.read("alice")).status == "restricted"


@pytest.mark.parametrize("tag", ['"1"', '"99"', '"x"', "3", 'W/"3"', '"03"x'])
async def test_a_step_over_what_another_changed_is_412_and_changes_nothing(desk, tag) -> None:
    ticket = await evidenced(desk)
    refused = await step(desk, "sue", "propose", ticket, RELEASE, if_match=tag)
    assert (refused.status_code, refused.json()["type"]) == (412, "urn:gateway:problem:changed-meanwhile")
    assert (await desk.desk.tickets.ticket(ticket["id"])).version == ticket["version"]


@pytest.mark.parametrize("headers", [{}, {"if_match": "*"}])
async def test_a_step_says_what_it_saw(desk, headers) -> None:
    ticket = await evidenced(desk)
    refused = await desk.ask("sue", "POST", f"/api/v1/tickets/{ticket['id']}/propose", RELEASE, **headers)
    assert (refused.status_code, refused.json()["type"]) == (428, "urn:gateway:problem:if-match-needed")


async def test_a_hold_that_is_not_expeditable_is_shortened_by_nobody(desk) -> None:
    ticket = await evidenced(desk, expeditable=False)
    refused = await step(desk, "sue", "propose", ticket, RELEASE)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:gateway:problem:not-expeditable")
    desk.clock.at += 72 * HOUR + 1
    assert "withdraw" not in (await desk.store.read("alice")).holds


async def test_an_appeal_gives_a_wider_status_by_two_people(desk) -> None:
    tag = (await desk.ask("ed", "GET", "/api/v1/accounts/alice")).headers["etag"]
    flagged = await desk.ask(
        "ed", "PATCH", "/api/v1/accounts/alice", {"status": "flagged", "why": "three logins from Ohio"}, if_match=tag
    )
    assert flagged.json()["status"] == "flagged"
    alone = await desk.ask(
        "ed", "PATCH", "/api/v1/accounts/alice", {"status": "open", "why": WHY}, if_match=flagged.headers["etag"]
    )
    assert (alone.status_code, "for two people to decide" in alone.json()["detail"]) == (409, True)
    opened = await desk.ask("sue", "POST", "/api/v1/tickets", {"account": "alice", "kind": "appeal", "why": WHY})
    assert (opened.status_code, opened.json()["operations"]) == (201, [])
    ticket = opened.json()
    for kind in ("selfie_with_document", "signed_note"):
        url = f"/api/v1/tickets/{ticket['id']}/evidence?kind={kind}"
        ticket = (await desk.ask("sue", "POST", url, PNG, content_type="image/png")).json()
    proposed = await step(desk, "sue", "propose", ticket, RELEASE | {"to": "open"})
    done = await step(desk, "app", "approve", proposed.json(), {"why": "examined"})
    assert done.json()["state"] == "released"
    assert (await desk.store.read("alice")).status == "open"


@pytest.mark.parametrize(
    ("more", "parameter"),
    [
        ({"operations": []}, "operations"),
        ({"operations": ["fly"]}, "operations"),
        ({"operations": "withdraw"}, "operations"),
        ({"hours": 0}, "hours"),
        ({"hours": 9000}, "hours"),
        ({"hours": True}, "hours"),
        ({"hours": None, "expeditable": False}, "expeditable"),
        ({"kind": "appeal"}, "kind"),
        ({"evidence": ["a note"]}, "evidence"),
        ({"evidence": ["x" * 65]}, "evidence"),
        ({"evidence": ["note"] * 17}, "evidence"),
        ({"why": " "}, "why"),
        ({"why": None}, "why"),
        ({"account": 7}, "account"),
        ({"who": "me"}, "who"),
    ],
)
async def test_a_hold_that_cannot_be_names_what_is_wrong(desk, more, parameter) -> None:
    refused = await desk.ask("sue", "POST", "/api/v1/holds", HOLD | more)
    assert (refused.status_code, refused.json()["parameter"]) == (400, parameter)
    assert (await desk.desk.tickets.tickets()).tickets == ()


async def test_a_hold_of_nobody_is_refused(desk) -> None:
    refused = await desk.ask("sue", "POST", "/api/v1/holds", HOLD | {"account": "bob"})
    assert (refused.status_code, refused.json()["type"]) == (404, "urn:gateway:problem:no-such-account")


async def test_tickets_and_holds_are_found_by_what_they_are(desk) -> None:
    await desk.store.put("bob", who="import", why="moved in")
    first, second = await placed(desk), await placed(desk, account="bob", operations=["transfer"], hours=1)
    get = desk.ask

    async def found(query: str) -> list[str]:
        return [one["id"] for one in (await get("vera", "GET", f"/api/v1/tickets?{query}")).json()["tickets"]]

    assert set(await found("")) == {first["id"], second["id"]}
    assert await found("account=bob") == await found("operation=transfer") == [second["id"]]
    assert await found("state=released") == await found("open=0") == await found("kind=appeal") == []
    page = (await get("vera", "GET", "/api/v1/tickets?limit=1")).json()
    rest = (await get("vera", "GET", f"/api/v1/tickets?limit=1&cursor={page['cursor']}")).json()
    assert {page["tickets"][0]["id"], rest["tickets"][0]["id"]} == {first["id"], second["id"]}
    assert rest["cursor"] is None
    holds = (await get("vera", "GET", "/api/v1/holds")).json()["holds"]
    assert {one["ticket"] for one in holds} == {first["id"], second["id"]}
    of_bob = (await get("vera", "GET", "/api/v1/accounts/bob/holds")).json()
    assert (of_bob["operations"], [one["ticket"] for one in of_bob["holds"]]) == (["transfer"], [second["id"]])
    desk.clock.at = NOW + 2 * HOUR
    holds = (await get("vera", "GET", "/api/v1/holds")).json()["holds"]
    assert [one["ticket"] for one in holds] == [first["id"]]


@pytest.mark.parametrize("query", ["state=gone", "kind=x", "open=2", "operation=x", "limit=0", "cursor=x", "x=1"])
async def test_a_parameter_that_cannot_be_is_named(desk, query) -> None:
    refused = await desk.ask("vera", "GET", f"/api/v1/tickets?{query}")
    assert (refused.status_code, refused.json()["parameter"]) == (400, query.partition("=")[0])


async def test_a_ticket_that_is_not_there_is_404(desk) -> None:
    assert (await desk.ask("vera", "GET", "/api/v1/tickets/T-AAAAAAAAAA")).status_code == 404
    ticket = {"id": "T-AAAAAAAAAA", "version": 1}
    assert (await step(desk, "sue", "propose", ticket, RELEASE)).status_code == 404
