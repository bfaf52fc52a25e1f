import json

import structlog

from gateway.cli import logs


def test_events_are_json_lines_on_stderr_and_stdout_stays_clean(capsys) -> None:
    logs.to_stderr()
    structlog.get_logger("gateway").info("gateway:started", bundle="abc")
    out, err = capsys.readouterr()
    assert out == ""
    event = json.loads(err)
    assert (event["event"], event["bundle"], event["level"]) == ("gateway:started", "abc", "info")
    assert event["at"].endswith("Z")
