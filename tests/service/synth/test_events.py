"""An event becomes one line, with what is known and nothing else."""

from datetime import UTC, datetime, timedelta, timezone

import orjson

from gateway.service.synth.events import CHANGE, LOGIN, WITHDRAWAL, Client, Event, line
from gateway.service.synth.networks import Internet

INTERNET = Internet(7)
ALICE = Client(
    INTERNET.v4(INTERNET.fixed["PT"][0], 3, 9), "ExchangeApp/5.8.0 (Linux; Android 14; Pixel 8)", "d" * 32, "s" * 24
)
START = datetime(2025, 1, 1, tzinfo=UTC)


def test_a_line_says_who_when_and_from_where() -> None:
    said = orjson.loads(line(Event(3_600_123, LOGIN, "a000001", ALICE), 42, START))

    assert said["type"] == "login"
    assert said["id"] == "e00000042"
    assert said["at"] == "2025-01-01T01:00:00.123Z"
    assert (said["session"], said["session_kind"]) == ("s" * 24, "app")
    assert said["geo"]["country"] == "PT"
    assert said["outcome"] == "succeeded"
    assert "label" not in said


def test_instants_are_written_by_utc_whatever_the_start_was_written_in() -> None:
    start = datetime(2025, 1, 1, 2, tzinfo=timezone(timedelta(hours=2)))

    assert orjson.loads(line(Event(0, LOGIN, "a000001", ALICE), 0, start))["at"] == "2025-01-01T00:00:00.000Z"


def test_what_is_not_known_is_left_out() -> None:
    nobody = ALICE._replace(session=None, user_agent="Mozilla/5.0 …")
    said = orjson.loads(line(Event(0, CHANGE, "a000001", nobody, {"method": "totp"}, "failed", "naive_bot"), 0, START))

    assert "session" not in said
    assert "session_kind" not in said
    assert "destination" not in said
    assert (said["method"], said["outcome"], said["label"]) == ("totp", "failed", "naive_bot")


def test_a_browser_and_an_app_keep_their_sessions_apart() -> None:
    assert ALICE.session_kind == "app"
    assert ALICE._replace(user_agent="Mozilla/5.0 (X11)").session_kind == "browser"


def test_types_are_those_of_the_events_interface() -> None:
    assert (LOGIN, WITHDRAWAL, CHANGE) == ("login", "withdrawal", "verification.changed")
