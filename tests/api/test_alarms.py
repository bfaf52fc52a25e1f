"""Alarms over the API: listed for who may read, acknowledged by who may do more, refused with the reason."""

import asyncio

import pytest

from gateway.api import bodies
from gateway.core.alarms import HOUR
from tests.api.conftest import ANALYST, METER, NOW, READER
from tests.core.test_alarms import ALARM, AT

WHY = b'{"why": "the list of November, as announced"}'
PATH = f"/api/v1/alarms/{ALARM.id}/acknowledge"


@pytest.fixture
def noted(world):
    """Three alarms, of which the first has ended."""
    hours = [AT + number * HOUR for number in range(3)]
    for hour in hours:
        world.alarms.note(hour, [ALARM._replace(hour=hour)], {}, hour + HOUR)
    world.alarms.note(hours[-1], [], {ALARM.id: hours[-1]}, NOW)
    return world


async def ids(world, query: str = "") -> list[str]:
    answer = await world.get(f"/api/v1/alarms{query}")
    assert answer.status_code == 200, answer.text
    return [one["id"][9:11] for one in answer.json()["alarms"]]


async def test_alarms_are_listed_the_newest_first(noted) -> None:
    assert await ids(noted) == ["03", "02", "01"]
    assert await ids(noted, "?open=1") == ["03", "02"]
    assert await ids(noted, "?limit=1&open=1") == ["03"]


async def test_where_nothing_was_noted_the_list_is_empty(world) -> None:
    assert await ids(world) == []


@pytest.mark.parametrize("query", ["open=yes", "limit=0", "limit=1001", "limit=\u0661", "open=1&open=1", "close=1"])
async def test_a_parameter_that_cannot_be_is_named(noted, query) -> None:
    answer = await noted.get(f"/api/v1/alarms?{query}")
    assert (answer.status_code, answer.json()["parameter"]) == (400, query.partition("=")[0])


async def test_whoever_may_acknowledge_is_on_record_with_the_reason(noted) -> None:
    answer = await noted.post(PATH, WHY)
    assert answer.status_code == 200
    seen = answer.json()["acknowledged"]
    token_id = ANALYST.split("_")[1]
    assert (seen["who"], seen["why"]) == (f"token {token_id} (desk)", "the list of November, as announced")
    noted.clock.at += 1
    assert (await noted.post(PATH, b'{"why": "I have seen it as well"}')).json()["acknowledged"] == seen
    (kept, *_) = noted.alarms.read().alarms
    assert (kept.acknowledged.at, kept.ended) == (NOW, AT + 2 * HOUR)


@pytest.mark.parametrize(("token", "status"), [(None, 401), (READER, 403), (METER, 403)])
async def test_reading_alone_acknowledges_nothing(noted, token, status) -> None:
    assert (await noted.post(PATH, WHY, token)).status_code == status
    assert {kept.acknowledged for kept in noted.alarms.read().alarms} == {None}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"why": 1}',
        b'{"why": "seen"}',
        b'{"why": "a\\nb of two lines"}',
        WHY[:-1] + b',"who": "x"}',
    ],
)
async def test_a_body_that_says_no_reason_is_refused(noted, body) -> None:
    answer = await noted.post(PATH, body)
    assert (answer.status_code, answer.json()["parameter"]) == (400, "why")
    assert {kept.acknowledged for kept in noted.alarms.read().alarms} == {None}


async def test_a_body_that_is_too_long_or_no_json_is_not_read(noted) -> None:
    assert (await noted.post(PATH, b'{"why": "' + b"x" * 9000 + b'"}')).status_code == 413
    assert (await noted.post(PATH, WHY, content_type="application/x-www-form-urlencoded")).status_code == 415
    assert (await noted.post(PATH, WHY, content_type="Application/JSON; charset=utf-8")).status_code == 200


async def test_a_body_that_does_not_arrive_is_not_waited_for(noted, monkeypatch) -> None:
    monkeypatch.setattr(bodies, "WITHIN_S", 0.05)

    async def slowly():
        yield b'{"why": '
        await asyncio.Event().wait()

    headers = {"authorization": f"Bearer {ANALYST}", "content-type": "application/json"}
    # The client would wait for the whole body itself, so the app is asked without one.
    sent: list[dict] = []
    pieces = slowly()

    async def receive() -> dict:
        return {"type": "http.request", "body": await anext(pieces), "more_body": True}

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": PATH,
        "query_string": b"",
        "headers": [(name.encode(), text.encode()) for name, text in headers.items()],
        "client": ("127.0.0.1", 1),
    }
    async with asyncio.timeout(10):
        await noted.app(scope, receive, send)
    assert sent[0]["status"] == 408


async def test_an_alarm_that_is_not_on_record_is_none(noted) -> None:
    answer = await noted.post("/api/v1/alarms/20990101T00-country-XX-rose/acknowledge", WHY)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:gateway:problem:no-such-alarm")


async def test_each_path_answers_its_own_method(noted) -> None:
    assert (await noted.get(PATH)).status_code == 405
    assert (await noted.post("/api/v1/alarms", WHY)).status_code == 405


async def test_a_file_that_cannot_be_read_is_an_outage(noted) -> None:
    noted.alarms.path.write_text("{")
    answer = await noted.get("/api/v1/alarms")
    assert answer.status_code == 503
    assert str(noted.alarms.path) not in answer.text
    assert (await noted.post(PATH, WHY)).status_code == 503
