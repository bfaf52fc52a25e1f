import pytest
from structlog.testing import capture_logs

from tests.api.conftest import ANALYST, EXPIRED, METER, READER

DECISIONS = "/api/v1/decisions"


async def test_who_sends_no_token_is_told_to(world) -> None:
    answer = await world.get(DECISIONS, None)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == 'Bearer realm="gateway-admin"'
    assert answer.json()["type"] == "urn:gateway:problem:token-required"


@pytest.mark.parametrize("text", ["gwt_nonsense", EXPIRED, READER[:-1], READER.upper(), "x" * 5000])
async def test_what_is_no_token_or_holds_no_more_is_not_believed(world, text) -> None:
    with capture_logs() as logs:
        answer = await world.get(DECISIONS, text)
    assert answer.status_code == 401
    assert 'error="invalid_token"' in answer.headers["www-authenticate"]
    assert [one["event"] for one in logs] == ["admin:refused"]
    assert text not in str(logs) + answer.text


@pytest.mark.parametrize("header", ["", "Basic YTpi", "Bearer", READER])
async def test_another_kind_of_credential_is_none(world, header) -> None:
    answer = await world.client.get(DECISIONS, headers={"authorization": header})
    assert answer.json()["type"] == "urn:gateway:problem:token-required"


async def test_two_tokens_are_none(world) -> None:
    headers = [("authorization", f"Bearer {READER}"), ("authorization", f"Bearer {ANALYST}")]
    assert (await world.client.get(DECISIONS, headers=headers)).status_code == 401


@pytest.mark.parametrize(("token", "path"), [(METER, DECISIONS), (READER, "/metrics")])
async def test_a_token_opens_its_scopes_and_no_others(world, token, path) -> None:
    answer = await world.get(path, token)
    assert answer.status_code == 403
    assert 'error="insufficient_scope", scope="' in answer.headers["www-authenticate"]
    assert "lacks the scope" in answer.json()["detail"]


async def test_failures_are_bounded_by_address_and_end_the_rest_too(world) -> None:
    for _ in range(10):
        assert (await world.get(DECISIONS, "wrong", x_forwarded_for="192.0.2.1")).status_code == 401
    with capture_logs() as logs:
        answer = await world.get(DECISIONS, READER, x_forwarded_for="192.0.2.1")
    assert (answer.status_code, answer.headers["retry-after"], logs) == (429, "6", [])
    assert (await world.get(DECISIONS, READER, x_forwarded_for="192.0.2.2")).status_code == 200
    world.clock.at += 6_000_000
    assert (await world.get(DECISIONS, READER, x_forwarded_for="192.0.2.1")).status_code == 200


async def test_asking_without_a_token_is_no_failure(world) -> None:
    for _ in range(20):
        await world.get(DECISIONS, None)
    assert (await world.get(DECISIONS)).status_code == 200


async def test_a_store_that_is_away_lets_nobody_in_and_tells_strangers_nothing(world) -> None:
    world.book.away = True
    answer = await world.get(DECISIONS)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert "secret-place" not in answer.text
