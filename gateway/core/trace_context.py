"""Which trace a request is a part of (W3C Trace Context), where it says so in one valid way.

Whoever sends a request writes this header; it is a name to find the request by and never a reason for anything.
"""

import re
from typing import Final, NamedTuple

TRACEPARENT: Final = b"traceparent"

# https://www.w3.org/TR/trace-context/#traceparent-header: lower case alone, no id of zeros, no version ff. What a later
# version appends stands behind a further hyphen; version 00 has nothing there. No comma: two headers are not one.
_VALID: Final = re.compile(
    rb"(?:00(?=.{53}\Z)|(?!00|ff)[0-9a-f]{2})-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
    rb"(?:-[\x21-\x2b\x2d-\x7e]{0,256})?"
).fullmatch
_RECORDED: Final = re.compile(r"([0-9a-f]{32})-([0-9a-f]{16})")
_IDS: Final = slice(3, 52)
"""Where trace id, hyphen and parent id stand in a value."""
_SAMPLED: Final = 1
_FIELDS: Final = 4
"""Of a request in the journal, but for the trace."""


class TraceParent(NamedTuple):
    """The trace and the span that a request comes from."""

    trace_id: str
    """32 hexadecimal digits."""
    parent_id: str
    """16 of them."""
    sampled: bool = False
    """Whether whoever sent it records the trace."""


def with_trace(record: bytes, value: bytes) -> bytes:
    """Return a request as the journal keeps it with its trace behind it; as it is where `value` is not valid."""
    return b"%b\0%b" % (record, value[_IDS]) if _VALID(value) else record


def recorded_trace(field: str) -> TraceParent | None:
    """Return what `with_trace` wrote; None where the field is nothing of the kind."""
    found = _RECORDED.fullmatch(field)
    return None if found is None else TraceParent(found[1], found[2])


def untraced(record: bytes) -> tuple[bytes, TraceParent | None]:
    """Return a request as the journal has it without its trace, and the trace; None where it has none."""
    rest, _, field = record.rpartition(b"\0")
    trace = recorded_trace(field.decode("latin-1")) if rest.count(b"\0") == _FIELDS - 1 else None
    return (record, None) if trace is None else (rest, trace)


def trace_parent(value: bytes) -> TraceParent | None:
    """Return where a request comes from, by all values of its header as one list; None where that is not valid."""
    if not _VALID(value):
        return None
    _, trace_id, parent_id, flags = value.decode("ascii").split("-")[:4]
    return TraceParent(trace_id, parent_id, bool(int(flags, 16) & _SAMPLED))
