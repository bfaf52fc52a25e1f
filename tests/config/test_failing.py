"""What an operator may choose of failure, and what nobody may."""

import pytest

START = "[client_ip]\ntrusted_proxies = []\n"


def test_streams_go_on_for_ten_seconds_unless_it_is_said(load_text) -> None:
    streams = load_text(START).failure.streams
    assert (streams.go_on_s, streams.end_within_s, streams.strict) == (10, 5, ())


def test_what_may_be_chosen_is_read(load_text) -> None:
    text = '[failure.streams]\ngo_on = "0s"\nend_within = "30s"\nstrict = ["trade.spot"]\n'
    streams = load_text(START + text).failure.streams
    assert (streams.go_on_s, streams.end_within_s, streams.strict) == (0, 30, ("trade.spot",))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[failure.streams]\ngo_on = "2m"\n', "failure.streams.go_on: should be less than or equal to 60"),
        ('[failure.streams]\nend_within = "2m"\n', "failure.streams.end_within: should be less than or equal to 60"),
        ('[failure.streams]\nstrict = ["withdrawal"]\n', "unknown operation `withdrawal`: did you mean `withdraw`?"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(refusal, text, said) -> None:
    (line,) = refusal(START + text)
    assert said in line
