"""What is not configured says so, to whoever may ask and to nobody else."""

import httpx2
import pytest

from gateway.api.application import create_api
from tests.api.desk import REASON
from tests.api.test_tickets import placed


async def ask(services, token: str, path: str, **headers: str) -> httpx2.Response:
    transport = httpx2.ASGITransport(create_api(services), raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as client:
        sent = {"authorization": f"Bearer {token}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        return await client.get(path, headers=sent)


async def test_a_process_without_a_desk_says_so_to_whoever_may_ask(desk) -> None:
    without = desk.services._replace(desk=None)
    answer = await ask(without, desk.held["vera"], "/api/v1/tickets")
    assert (answer.status_code, answer.json()["type"]) == (501, "urn:gateway:problem:not-configured")
    assert (await ask(without, desk.held["vera"], "/api/v1/outbox")).status_code == 403


async def test_files_that_are_not_configured_are_not_read(desk) -> None:
    ticket = await placed(desk)
    url = f"/api/v1/tickets/{ticket['id']}/evidence?kind=signed_note"
    await desk.ask("sue", "POST", url, b"x", content_type="image/png")
    without = desk.services._replace(desk=desk.desk._replace(evidence=None))
    answer = await ask(without, desk.held["app"], f"/api/v1/tickets/{ticket['id']}/evidence/E-X", gateway_reason=REASON)
    assert answer.status_code == 404


@pytest.mark.parametrize("part", ["events", "security_events", "identity_results"])
async def test_what_takes_in_nothing_is_not_configured(desk, part) -> None:
    without = desk.services._replace(desk=desk.desk._replace(**{part: None}))
    transport = httpx2.ASGITransport(create_api(without), raise_app_exceptions=False)
    path = {"events": "/v1/events", "security_events": "/v1/security-events"}.get(part, "/api/v1/identity-results")
    async with httpx2.AsyncClient(transport=transport, base_url="http://admin") as client:
        headers = {"authorization": f"Bearer {desk.held['bot']}"}
        assert (await client.post(path, json={"events": []}, headers=headers)).status_code == 501
