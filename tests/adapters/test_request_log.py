"""Lines of single requests: in the words of ECS, whole, and never waited for."""

import json

from structlog.testing import capture_logs

from gateway.adapters.request_log import Line, RequestLog
from gateway.service.told import Told

TOLD = Told(
    decision_id="01970000-0000-7000-8000-000000000000", method="POST", path="/w", operation="withdraw",
    outcome="deny", reason="jurisdiction-blocked", access="support_only", rules=("us/closed", "holds/held"), status=403,
    address="8.8.8.0/24", country="US", account=None, user_agent=None, trace_id="4b" * 16, parent_id="00" * 8,
)  # fmt: skip
AT = 1_763_700_000_000_000


def said(*lines: Line) -> list[dict[str, object]]:
    written: list[str] = []
    log = RequestLog(written.append)
    for line in lines:
        log.put(lambda line=line: line)
    log.start()
    log.close()
    text = "".join(written)
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def test_a_refusal_is_said_under_the_names_of_the_schema() -> None:
    assert said(Line(AT, 250, TOLD, 403)) == [
        {
            "@timestamp": "2025-11-21T04:40:00.000000Z",
            "log.level": "info",
            "ecs.version": "9.4.0",
            "event.action": "access:denied",
            "event.outcome": "failure",
            "event.duration": 250_000,
            "event.reason": "jurisdiction-blocked",
            "source.address": "8.8.8.0/24",
            "source.geo.country_iso_code": "US",
            "http.request.method": "POST",
            "http.response.status_code": 403,
            "url.path": "/w",
            "rule.id": "us/closed",
            "trace.id": "4b" * 16,
            "gateway.decision.id": TOLD.decision_id,
            "gateway.operation": "withdraw",
            "gateway.access": "support_only",
            "gateway.rules": ["us/closed", "holds/held"],
        }
    ]


def test_what_was_let_through_and_what_failed_are_told_apart() -> None:
    clear = TOLD._replace(outcome="allow", address="8.8.8.8", account="alice", rules=(), reason=None)
    allowed, failed, broken = said(Line(AT, 1, clear, 200), Line(AT, 1, None, 500), Line(AT, 1, clear, 502))
    assert (allowed["event.action"], allowed["event.outcome"]) == ("access:allowed", "success")
    assert (allowed["source.ip"], allowed["user.id"]) == ("8.8.8.8", "alice")
    assert "rule.id" not in allowed
    assert (failed["event.action"], failed["log.level"]) == ("access:failed", "error")
    assert (broken["event.action"], broken["log.level"]) == ("access:allowed", "error")


def test_a_log_that_nobody_reads_any_more_is_counted() -> None:
    def closed(_text: str) -> None:
        raise BrokenPipeError

    log = RequestLog(closed)
    log.put(lambda: Line(AT, 1, TOLD, 403))
    log.start()
    log.close()
    (counted,) = log.collect()
    assert counted.samples[0].value == 1


def test_a_line_that_cannot_be_written_is_counted_and_not_the_last() -> None:
    written: list[str] = []
    log = RequestLog(written.append)
    log.put(lambda: Line(AT, 1, TOLD._replace(account="\ud800"), 403))
    log.put(lambda: Line(AT, 1, TOLD, 403))
    with capture_logs() as logs:
        log.start()
        log.close()
    assert [one["event"] for one in logs] == ["log:line_failed"]
    assert (len("".join(written).splitlines()), log.dropped) == (1, 1)
