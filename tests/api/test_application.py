import pytest
from structlog.testing import capture_logs

from gateway.core.errors import StoreUnavailable
from gateway.service.health import Check
from tests.api.conftest import METER


async def test_health_needs_no_token_and_says_when_the_archive_is_away(world, monkeypatch) -> None:
    assert (await world.get("/api/v1/health", None)).json() == {"status": "ok"}

    async def away() -> None:
        raise StoreUnavailable("archive /var/lib/secret-place: gone")

    monkeypatch.setattr(world.archive, "taken", away)
    with capture_logs() as logs:
        answer = await world.get("/api/v1/health", None)
    assert answer.status_code == 503
    assert "secret-place" not in answer.text
    assert "secret-place" in logs[0]["why"]


async def test_readiness_names_what_is_needed_and_not_well(world) -> None:
    checks = [Check("journal", ok=True, says="written"), Check("editions", ok=False, says="1 older", needed=False)]
    world.checks[:] = checks
    assert (await world.get("/livez", None)).json() == {"status": "ok"}
    assert (await world.get("/readyz", None)).json() == {"status": "ok"}
    told = (await world.get("/readyz?verbose", None)).json()["checks"]
    assert told == [check._asdict() for check in checks]
    world.checks[:] = [checks[0]._replace(ok=False), *checks[1:]]
    answer = await world.get("/readyz", None)
    assert (answer.status_code, answer.json()["detail"]) == (503, "not well: journal")
    assert (await world.get("/livez", None)).status_code == 200


async def test_metrics_are_told_to_who_may_read_them(world) -> None:
    answer = await world.get("/metrics", METER)
    assert answer.text == "up 1\n"
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 404), ("POST", "/api/v1/decisions", 405)])
async def test_what_is_not_there_is_a_problem_too(world, method, path, status) -> None:
    answer = await world.client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status


async def test_a_fault_of_ours_is_told_to_the_log_and_not_to_the_caller(world, monkeypatch) -> None:
    async def broken(*_args: object, **_named: object) -> None:
        raise ZeroDivisionError("internals")

    monkeypatch.setattr(world.archive, "search", broken)
    with capture_logs() as logs:
        answer = await world.get("/api/v1/decisions")
    assert (answer.status_code, answer.json()["type"]) == (500, "urn:gateway:problem:failed")
    assert "internals" not in answer.text
    assert logs == [
        {"event": "admin:failed", "path": "/api/v1/decisions", "what": "ZeroDivisionError", "log_level": "error"}
    ]
