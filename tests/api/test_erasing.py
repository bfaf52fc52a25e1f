import orjson
import pytest

from gateway.ports import Erasing
from tests.api.conftest import ANALYST, ERASER, READER

PATH = "/api/v1/decisions/erase"
WHY = "TICKET-4711: asked to be forgotten"


@pytest.mark.parametrize(
    ("body", "erasing"),
    [
        ({"account": "bob"}, Erasing(account="bob")),
        ({"address": "::ffff:81.20.30.40"}, Erasing(address="81.20.30.40")),
    ],
)
async def test_whose_and_why_reach_whoever_erases(world, body, erasing) -> None:
    answer = await world.post(PATH, orjson.dumps({**body, "why": WHY}), ERASER)
    assert answer.status_code == 200
    assert answer.json() == {"decisions": 4, "waiting": 0, "journal_keeps_s": 604_800}
    assert world.erased == [(erasing, "token 000000000004 (desk)", WHY)]


@pytest.mark.parametrize(("token", "status"), [(None, 401), (READER, 403), (ANALYST, 403)])
async def test_reading_and_unmasking_open_no_erasing(world, token, status) -> None:
    answer = await world.post(PATH, orjson.dumps({"account": "bob", "why": WHY}), token)
    assert answer.status_code == status
    assert world.erased == []


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        (b"", "why"),
        (b"[]", "why"),
        (b'{"account": "bob"}', "why"),
        (b'{"account": "bob", "why": 1}', "why"),
        (b'{"account": "bob", "why": " "}', "why"),
        (b'{"why": "because"}', "account"),
        (b'{"account": "bob", "address": "9.9.9.9", "why": "because"}', "account"),
        (b'{"account": "", "why": "because"}', "account"),
        (b'{"account": "bob", "before": "7d", "why": "because"}', "account"),
        (b'{"address": "9.9.9.0/24", "why": "because"}', "address"),
    ],
)
async def test_what_is_not_one_customer_and_a_reason_is_refused_by_name(world, body, parameter) -> None:
    answer = await world.post(PATH, body, ERASER)
    assert (answer.status_code, answer.json()["parameter"]) == (400, parameter)
    assert world.erased == []


async def test_a_body_is_json_and_bounded(world) -> None:
    assert (await world.post(PATH, b"{}", ERASER, content_type="text/plain")).status_code == 415
    assert (await world.post(PATH, b" " * 9000, ERASER)).status_code == 413
