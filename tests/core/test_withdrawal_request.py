"""What a withdrawal says of itself: read where the operator says, and Unknown wherever two readers may differ."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import ConfigError
from gateway.core.facts import Unknown
from gateway.core.terms import WhyUnknown
from gateway.core.withdrawal_request import MOST_BODY, Asked, WithdrawalRule

RULE = WithdrawalRule(amount_usd="/value/usd", balance_share="header:X-Balance-Share", destination="/to")
JSON = (b"content-type", b"application/json; charset=utf-8")
SHARE = (b"x-balance-share", b"0.25")
NOT_SUPPLIED = Unknown(WhyUnknown.NOT_SUPPLIED)
NOT_CONFIGURED = Unknown(WhyUnknown.NOT_CONFIGURED)


def body(usd: object = 120, to: object = "bc1qxy") -> bytes:
    return json.dumps({"value": {"usd": usd, "asset": "BTC"}, "to": to}).encode()


def test_a_withdrawal_is_read_where_the_operator_says() -> None:
    assert RULE.read([JSON, SHARE], body()) == Asked(120.0, 0.25, "bc1qxy")
    assert RULE.reads_body
    assert RULE.headers == {b"x-balance-share"}


def test_what_nobody_configured_is_not_read() -> None:
    assert WithdrawalRule().read([JSON, SHARE], body()) == Asked(NOT_CONFIGURED, NOT_CONFIGURED, NOT_CONFIGURED)
    assert not WithdrawalRule(destination="header:X-To").reads_body


@pytest.mark.parametrize(
    ("headers", "sent"),
    [
        ([JSON], None),
        ([JSON], b""),
        ([JSON], b"{"),
        ([JSON], b"[1]"),
        ([JSON], b"\xff\xfe"),
        ([JSON], b"[" * 30_000),
        ([], body()),
        ([(b"content-type", b"text/plain")], body()),
        ([(b"content-type", b"application/jsonx")], body()),
        ([JSON, JSON], body()),
        ([JSON, (b"content-encoding", b"gzip")], body()),
        ([JSON], b'{"value":{"usd":1},"value":{"usd":2},"to":"a","to":"b"}'),
        ([JSON], b'{"value":{"usd":1,"usd":2},"to":"a"}'),
        ([JSON], b'{"value":{"usd":NaN},"to":"a"}'),
        ([JSON], b" " * MOST_BODY + body()),
    ],
)
def test_a_body_that_may_be_read_in_two_ways_says_nothing(headers: list[tuple[bytes, bytes]], sent: bytes) -> None:
    asked = RULE.read(headers, sent)

    assert (asked.amount_usd, asked.destination) == (NOT_SUPPLIED, NOT_SUPPLIED)


@pytest.mark.parametrize("usd", [-1, "-1", "1e9", "", " 1", "0x10", True, None, [], {}, 1e19, "1" * 19, "\u0661"])
def test_what_is_no_amount_is_unknown(usd: object) -> None:
    assert RULE.read([JSON], body(usd=usd)).amount_usd == NOT_SUPPLIED


@pytest.mark.parametrize(("usd", "read"), [(0, 0.0), ("0.50", 0.5), (1e6, 1e6), ("1000000.25", 1_000_000.25)])
def test_an_amount_is_a_number_or_a_decimal_text(usd: object, read: float) -> None:
    assert RULE.read([JSON], body(usd=usd)).amount_usd == read


@pytest.mark.parametrize("to", ["", " a", "a\n", "x" * 513, 7, None, ["a"]])
def test_what_is_no_destination_is_unknown(to: object) -> None:
    assert RULE.read([JSON], body(to=to)).destination == NOT_SUPPLIED


@pytest.mark.parametrize("lines", [[], [SHARE, SHARE], [(b"x-balance-share", b"1.5")], [(b"x-balance-share", b"half")]])
def test_a_header_counts_once_and_within_its_bounds(lines: list[tuple[bytes, bytes]]) -> None:
    assert RULE.read([JSON, *lines], body()).balance_share == NOT_SUPPLIED


@given(st.binary(max_size=200))
def test_no_body_whatever_stops_the_reader(sent: bytes) -> None:
    asked = RULE.read([JSON, SHARE], sent)

    assert asked.balance_share == 0.25
    assert isinstance(asked.amount_usd, float | Unknown)


@pytest.mark.parametrize(
    "place", ["", "/", "amount", "/a//b", "/a~2", "header:", "header:a b", "/a" * 9, "/" + "a" * 600]
)
def test_a_place_that_is_none_is_said_when_built(place: str) -> None:
    with pytest.raises(ConfigError, match=r"withdrawals\.amount_usd: "):
        WithdrawalRule(amount_usd=place)


def test_a_pointer_may_name_members_with_slashes_in_them() -> None:
    rule = WithdrawalRule(destination="/a~1b/~0c")

    assert rule.read([JSON], b'{"a/b": {"~c": "there"}}').destination == "there"
