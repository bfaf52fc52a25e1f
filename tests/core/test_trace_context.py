"""A trace is what one header says in one valid way; anything else is no trace, and never a fault."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.decision import request_line
from gateway.core.preference import lines_of
from gateway.core.trace_context import (
    TRACEPARENT,
    TraceParent,
    recorded_trace,
    trace_parent,
    untraced,
    with_trace,
)

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
VALID = f"00-{TRACE}-{SPAN}-01".encode()
RECORD = b"GET\0/a\0h\0Fox/1"


@pytest.mark.parametrize(
    ("value", "sampled"),
    [
        (VALID, True),
        (VALID[:-2] + b"00", False),
        (VALID[:-2] + b"ff", True),
        (b"cc" + VALID[2:], True),
        (b"cc" + VALID[2:] + b"-what-the-future-says", True),
        (b"01" + VALID[2:] + b"-", True),
    ],
)
def test_what_is_valid_is_read(value: bytes, sampled: bool) -> None:
    assert trace_parent(value) == TraceParent(TRACE, SPAN, sampled)
    assert with_trace(RECORD, value) == RECORD + f"\0{TRACE}-{SPAN}".encode()


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"00",
        VALID[:-1],
        VALID + b"1",
        VALID + b"-more",
        VALID + b"\n",
        b" " + VALID,
        VALID.upper(),
        b"ff" + VALID[2:],
        b"0x" + VALID[2:],
        VALID.replace(b"-", b"_"),
        f"00-{'0' * 32}-{SPAN}-01".encode(),
        f"00-{TRACE}-{'0' * 16}-01".encode(),
        f"00-{TRACE[:-1]}g-{SPAN}-01".encode(),
        b"01" + VALID[2:] + b"x",
        b"01" + VALID[2:] + b"-" + b"x" * 300,
        b"01" + VALID[2:] + b"-\0",
        b"01" + VALID[2:] + b"-," + VALID,
    ],
)
def test_what_is_not_valid_is_no_trace(value: bytes) -> None:
    assert trace_parent(value) is None
    assert with_trace(RECORD, value) == RECORD


def test_said_twice_is_not_said() -> None:
    twice = [(TRACEPARENT, VALID), (TRACEPARENT, VALID)]
    assert trace_parent(lines_of(twice[:1], TRACEPARENT)) is not None
    assert trace_parent(lines_of(twice, TRACEPARENT)) is None


def test_a_recorded_trace_is_read_back() -> None:
    line = request_line(with_trace(RECORD, VALID))
    assert line == ("GET", "/a", "h", "Fox/1", TRACE, SPAN)
    assert request_line(RECORD) == ("GET", "/a", "h", "Fox/1", None, None)
    assert request_line(b"GET") == ("GET", "", "", "", None, None)
    assert untraced(with_trace(RECORD, VALID)) == (RECORD, TraceParent(TRACE, SPAN))


@pytest.mark.parametrize("record", [RECORD, b"", RECORD + b"\0", RECORD + b"\0\0" + VALID[3:52], VALID[3:52]])
def test_a_record_without_a_trace_stays_as_it_is(record: bytes) -> None:
    assert untraced(record) == (record, None)


@given(st.binary(max_size=80) | st.from_regex(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
def test_whatever_comes_is_a_whole_trace_or_none(value: bytes) -> None:
    line = request_line(with_trace(RECORD, value))
    found = trace_parent(value)
    assert (line.trace_id, line.parent_id) == ((None, None) if found is None else found[:2])
    assert line[:4] == request_line(RECORD)[:4]
    assert recorded_trace(value.decode("latin-1")) is None or len(value) == 49
