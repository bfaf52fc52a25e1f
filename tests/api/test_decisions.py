import json

import pytest

from tests.api.conftest import ANALYST, READER, WHY

DECISIONS = "/api/v1/decisions"


async def test_a_search_answers_the_newest_first_a_page_at_a_time(world) -> None:
    first = (await world.get(f"{DECISIONS}?account=alice&limit=3")).json()
    assert [one["id"] for one in first["decisions"]] == [world.ids[n] for n in (3, 2, 1)]
    rest = (await world.get(f"{DECISIONS}?account=alice&limit=3&cursor={first['cursor']}")).json()
    assert [one["id"] for one in rest["decisions"]] == [world.ids[0]]
    assert rest["cursor"] is None


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("outcome=allow", [4]),
        ("country=es", [4]),
        ("operation=ambiguous", [5]),
        ("address=81.20.30.0/24&limit=1", [5]),
        ("rule=us-exit/us-closed&since=2h&limit=1", [3]),
        ("until=2h", []),
        ("bundle=ffffff", []),
    ],
)
async def test_every_filter_is_a_parameter(world, query, found) -> None:
    answer = (await world.get(f"{DECISIONS}?{query}")).json()
    assert [one["id"] for one in answer["decisions"]] == [world.ids[n] for n in found]


@pytest.mark.parametrize(
    ("query", "parameter", "says"),
    [
        ("outcome=denied", "outcome", "none of allow, challenge, deny"),
        ("acount=alice", "acount", "these are: account, address"),
        ("account=", "account", "1 to 256"),
        ("since=yesterday", "since", "90m, 24h, 7d"),
        ("limit=0", "limit", "1 to 1000"),
        ("limit=1001", "limit", "1 to 1000"),
        ("limit=%D9%A1", "limit", "1 to 1000"),
        ("cursor=nonsense", "cursor", "not one that a page"),
        ("account=a&account=b", "account", "send it once"),
    ],
)
async def test_a_wrong_parameter_is_named(world, query, parameter, says) -> None:
    answer = await world.get(f"{DECISIONS}?{query}")
    assert (answer.status_code, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json()["parameter"] == parameter
    assert says in answer.json()["detail"]


@pytest.mark.parametrize("path", [DECISIONS, f"{DECISIONS}/{{id}}", f"{DECISIONS}/{{id}}?explain=1"])
@pytest.mark.parametrize("token", [READER, ANALYST])
async def test_nobody_sees_addresses_or_documents_without_saying_why(world, path, token) -> None:
    text = (await world.get(path.format(id=world.ids[0]), token)).text
    assert "81.20.30.0/24" in text
    assert "81.20.30.40" not in text
    assert "Fox" not in text
    assert '"documents":{"count":1}' in text
    assert world.book.noted == []


async def test_a_reason_and_the_scope_show_a_decision_and_are_written_down(world) -> None:
    answer = await world.get(f"{DECISIONS}/{world.ids[0]}", ANALYST, gateway_reason=WHY)
    document = answer.json()["decision"]
    assert document["client_ip"]["address"] == "81.20.30.40"
    assert document["facts"]["documents"] == ["US"]
    assert "masked" not in document
    assert world.book.noted == [("token 000000000001 (desk)", WHY, world.ids[0], "alice")]


async def test_each_decision_of_an_unmasked_page_is_written_down(world) -> None:
    answer = await world.get(f"{DECISIONS}?limit=3", ANALYST, gateway_reason=WHY)
    assert [one["client_ip"]["address"] for one in answer.json()["decisions"]] == ["81.20.30.40"] * 3
    assert [(one[2], one[3]) for one in world.book.noted] == [
        (world.ids[5], None),
        (world.ids[4], "bob"),
        (world.ids[3], "alice"),
    ]


async def test_nothing_is_shown_that_could_not_be_written_down(world) -> None:
    token = await world.book.check(ANALYST, world.clock.at)

    async def believed(_text: str, _at: int) -> object:
        return token

    world.book.check, world.book.away = believed, True
    answer = await world.get(f"{DECISIONS}/{world.ids[0]}", ANALYST, gateway_reason=WHY)
    assert answer.status_code == 503
    assert "81.20.30" not in answer.text


async def test_a_reason_without_the_scope_is_refused(world) -> None:
    for path in (DECISIONS, f"{DECISIONS}/{world.ids[0]}"):
        assert (await world.get(path, READER, gateway_reason=WHY)).status_code == 403
    assert (await world.get(f"{DECISIONS}/{world.ids[0]}?role=auditor", READER)).status_code == 403


@pytest.mark.parametrize("why", ["", "curious", "x" * 501])
async def test_a_reason_that_says_nothing_is_refused(world, why) -> None:
    answer = await world.get(f"{DECISIONS}/{world.ids[0]}", ANALYST, gateway_reason=why)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "Gateway-Reason")
    assert world.book.noted == []


async def test_a_reason_may_be_in_any_script_and_stands_once(world) -> None:
    said = "Beschwerde 4711: München"
    headers = [("authorization", f"Bearer {ANALYST}"), ("gateway-reason", said.encode())]
    assert (await world.client.get(f"{DECISIONS}/{world.ids[0]}", headers=headers)).status_code == 200
    assert world.book.noted[0][1] == said
    twice = [*headers, ("gateway-reason", b"and another reason")]
    assert (await world.client.get(f"{DECISIONS}/{world.ids[0]}", headers=twice)).status_code == 400
    broken = [headers[0], ("gateway-reason", b"not UTF-8: \xff\xfe")]
    assert (await world.client.get(f"{DECISIONS}/{world.ids[0]}", headers=broken)).status_code == 400


async def test_a_decision_is_explained_for_a_role_in_a_language(world) -> None:
    path = f"{DECISIONS}/{world.ids[0]}?explain=1&language=de"
    assert (await world.get(path)).json()["explanation"]["answer"] == ["Refused."]
    assert (await world.get(f"{path}&role=analyst", ANALYST)).json()["parameter"] == "Gateway-Reason"
    await world.get(f"{path}&role=analyst", ANALYST, gateway_reason=WHY)
    await world.get(f"{path}&role=auditor", ANALYST, gateway_reason=WHY)
    assert [(str(one.role), one.language) for one in world.explained] == [
        ("support", "de"),
        ("analyst", "de"),
        ("auditor", "de"),
    ]
    support, analyst, auditor = (one.leave for one in world.explained)
    assert (support, auditor) == (None, None)
    assert (analyst.decision_id, analyst.reader) == (world.ids[0], "analyst")
    assert len(world.book.noted) == 2


@pytest.mark.parametrize(
    ("query", "parameter"),
    [("explain=yes", "explain"), ("now=maybe", "now"), ("role=boss", "role"), ("language=xx", "language")],
)
async def test_what_cannot_be_explained_so_is_named(world, query, parameter) -> None:
    answer = await world.get(f"{DECISIONS}/{world.ids[0]}?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)


@pytest.mark.parametrize("decision_id", ["01a1fe24-0781-76f5-8448-bc975e14658b", "nonsense", "%00", "a" * 3000])
async def test_what_was_never_decided_is_not_found(world, decision_id) -> None:
    answer = await world.get(f"{DECISIONS}/{decision_id}")
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:gateway:problem:no-such-decision")


async def test_decisions_are_counted_by_what_is_asked(world) -> None:
    found = (await world.get(f"{DECISIONS}/stats?by=outcome,country")).json()
    assert found["decisions"] == 6
    assert found["by"] == {"outcome": {"deny": 5, "allow": 1}, "country": {"PT": 4, "-": 2}}
    assert json.loads((await world.get(f"{DECISIONS}/stats")).text)["by"].keys() >= {"reason", "hour", "day", "bundle"}


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("by=colour", "by"),
        ("since=367d", "since"),
        ("since=1h&until=2d", "since"),
        ("until=soon", "until"),
        ("x=1", "x"),
    ],
)
async def test_counts_that_cannot_be_asked_are_named(world, query, parameter) -> None:
    answer = await world.get(f"{DECISIONS}/stats?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)
