import json

import structlog

from gateway.cli import logs


def test_events_are_json_lines_on_stderr_and_stdout_stays_clean(capsys) -> None:
    logs.to_stderr()
    structlog.get_logger("gateway").info("gateway:started", bundle="abc")
    out, err = capsys.readouterr()
    assert out == ""
    event = json.loads(err)
    assert (event["event.action"], event["gateway.bundle"], event["log.level"]) == ("gateway:started", "abc", "info")
    assert event["@timestamp"].endswith("Z")
    assert list(event)[:2] == ["@timestamp", "log.level"]


def test_a_fault_is_told_with_where_it_happened(capsys) -> None:
    logs.to_stderr()
    try:
        int("odd")
    except ValueError:
        structlog.get_logger("gateway").exception("gateway:refresh_failed")
    event = json.loads(capsys.readouterr().err)
    assert "ValueError: invalid literal" in event["error.stack_trace"]
