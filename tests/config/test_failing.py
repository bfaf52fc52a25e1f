"""What an operator may choose of failure, and what nobody may."""

import pytest

START = "[client_ip]\ntrusted_proxies = []\n"


def test_streams_go_on_for_ten_seconds_unless_it_is_said(load_text) -> None:
    streams = load_text(START).failure.streams
    assert (streams.go_on_s, streams.end_within_s, streams.strict) == (10, 5, ())


def test_nothing_is_decided_by_memory_unless_it_is_said(load_text) -> None:
    failure = load_text(START).failure
    assert (failure.remembered.looks_s, failure.remembered.changes_s) == (0, 0)
    assert (failure.in_work, failure.late_ms, failure.store_faults, failure.store_rest_ms) == (1024, 250, 5, 1000)


def test_what_may_be_chosen_is_read(load_text) -> None:
    text = '[failure.streams]\ngo_on = "0s"\nend_within = "30s"\nstrict = ["trade.spot"]\n'
    streams = load_text(START + text).failure.streams
    assert (streams.go_on_s, streams.end_within_s, streams.strict) == (0, 30, ("trade.spot",))
    failure = load_text(START + '[failure]\nin_work = 16\nlate = "1s"\n[failure.remembered]\nlooks = "30s"\n').failure
    assert (failure.in_work, failure.late_ms, failure.remembered.looks_s) == (16, 1000, 30)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            '[failure.remembered]\nmoney = "1s"\n',
            "failure.remembered: `money`: what moves money is decided by the store",
        ),
        ('[failure.remembered]\nlooks = "31s"\n', "failure.remembered.looks: should be less than or equal to 30"),
        ('[failure.remembered]\nchanges = "1s"\n', "failure.remembered: `changes` is longer than `looks`"),
        ("[failure]\nin_work = 1\n", "failure.in_work: should be greater than or equal to 16"),
        ('[failure]\nlate = "1ms"\n', "failure.late: should be greater than or equal to 50"),
        ('[failure]\nstore_rest = "1h"\n', "failure.store_rest: should be less than or equal to 10000"),
        ("[failure]\nstore_faults = 0\n", "failure.store_faults: should be greater than or equal to 1"),
        ('[failure.streams]\ngo_on = "2m"\n', "failure.streams.go_on: should be less than or equal to 60"),
        ('[failure.streams]\nend_within = "2m"\n', "failure.streams.end_within: should be less than or equal to 60"),
        ('[failure.streams]\nstrict = ["withdrawal"]\n', "unknown operation `withdrawal`: did you mean `withdraw`?"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(refusal, text, said) -> None:
    (line,) = refusal(START + text)
    assert said in line
