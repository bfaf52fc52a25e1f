"""Headers: what two readers would read in two ways is refused, and everything else has its place."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote_from_bytes

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import ConfigError
from gateway.core.headers import HeaderPlan, HeaderRule, check_query
from gateway.core.target import Ambiguous
from gateway.core.terms import Ambiguity

CORPUS = Path(__file__).parents[1] / "corpus/headers"
ROWS = json.loads((CORPUS / "headers.json").read_text("utf-8"))
QUERIES = json.loads((CORPUS / "queries.json").read_text("utf-8"))
HOST = (b"host", b"api.exchange.example")
Lines = list[tuple[bytes, bytes]]

RULE = HeaderRule(client_header=b"X-Forwarded-For", api_key_header=b"X-API-Key")


def read(headers: Lines, *, rule: HeaderRule = RULE, websocket: bool = False) -> HeaderPlan | Ambiguous:
    """The plan of these lines, or why they are refused."""
    plan = rule.plan(tuple(name for name, _ in headers), websocket)
    if isinstance(plan, Ambiguous):
        return plan
    return rule.check(plan, headers, [value for _, value in headers]) or plan


def refusal(headers: Lines, *, rule: HeaderRule = RULE, websocket: bool = False) -> str | None:
    found = read(headers, rule=rule, websocket=websocket)
    return found.why if isinstance(found, Ambiguous) else None


@pytest.mark.parametrize("row", ROWS, ids=[f"{number} {row['lesson']}" for number, row in enumerate(ROWS)])
def test_every_header_list_of_the_corpus_reads_as_its_lesson_says(row: dict[str, Any]) -> None:
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in row["headers"]]
    found = read(headers, websocket=row.get("websocket", False))
    if row["why"] is None:
        assert isinstance(found, HeaderPlan)
        assert list(found.strip) == row.get("strip", [])
    else:
        assert isinstance(found, Ambiguous)
        assert found.why == row["why"]


@pytest.mark.parametrize("row", QUERIES, ids=[row["lesson"] for row in QUERIES])
def test_every_query_of_the_corpus_reads_as_its_lesson_says(row: dict[str, Any]) -> None:
    refused = check_query(row["query"].encode("latin-1"))
    assert (None if refused is None else refused.why) == row["why"]


@given(st.sampled_from([b"_method", b".method", b"[method"]), st.binary(max_size=12))
def test_whatever_stands_behind_a_bracket_the_name_before_it_is_what_counts(name: bytes, rest: bytes) -> None:
    for bracket in (b"[", b"%5B", b"%5b"):
        refused = check_query(name + bracket + quote_from_bytes(rest).encode("ascii") + b"=PUT")
        assert refused is not None
        assert refused.why is Ambiguity.METHOD_OVERRIDE


def test_a_query_is_as_long_as_it_may_be_and_no_longer() -> None:
    assert check_query(b"a" * 8192) is None
    refused = check_query(b"a" * 8193)
    assert refused is not None
    assert refused.why is Ambiguity.TARGET_LENGTH


def test_the_plan_says_where_everything_stands() -> None:
    headers: Lines = [
        (b"accept", b"*/*"),
        (b"x-forwarded-for", b"1.1.1.1"),
        HOST,
        (b"cookie", b"a=1"),
        (b"gateway-account", b"alice"),
        (b"user-agent", b"curl"),
        (b"x-forwarded-for", b"8.8.4.4"),
        (b"authorization", b"Bearer x"),
        (b"connection", b"close"),
        (b"x-api-key", b"k"),
        (b"cookie", b"b=2"),
        (b"gateway-access", b"full"),
        (b"content-length", b"3"),
        (b"connection", b"te"),
        (b"user-agent", b"second"),
    ]
    assert read(headers) == HeaderPlan(
        host=2,
        client=(1, 6),
        authorization=7,
        cookie=(3, 10),
        api_key=9,
        connection=(8, 13),
        user_agent=5,
        accept=0,
        strip=(4, 11),
        content_length=12,
        transfer_encoding=None,
        keyed=(1, 6, 7, 9),
        count=15,
        size=sum(len(name) + 4 for name, _ in headers),
    )


def test_where_nothing_is_configured_nothing_is_read() -> None:
    rule = HeaderRule(client_header=None, api_key_header=None)
    found = read([HOST, (b"x-forwarded-for", b"1.1.1.1"), (b"x-api-key", b"k"), (b"x-api-key", b"l")], rule=rule)
    assert isinstance(found, HeaderPlan)
    assert (found.client, found.api_key, found.authorization, found.accept) == ((), None, None, None)


def test_a_header_that_holds_one_address_stands_there_once() -> None:
    rule = HeaderRule(client_header=b"cf-connecting-ip", api_key_header=None)
    once = (b"cf-connecting-ip", b"8.8.4.4")
    assert refusal([HOST, once], rule=rule) is None
    assert refusal([HOST, once, once], rule=rule) == Ambiguity.HEADER_REPEATED
    assert refusal([HOST, (b"cf_connecting_ip", b"1.1.1.1")], rule=rule) == Ambiguity.HEADER_ALIAS
    assert refusal([HOST, once, (b"connection", b"CF-Connecting-IP")], rule=rule) == Ambiguity.HEADER_NOMINATED
    # Nobody reads it here, so nobody can be misled.
    assert refusal([HOST, once, once]) is None


@given(
    name=st.sampled_from(
        [
            "authorization",
            "host",
            "cookie",
            "x-forwarded-for",
            "x-api-key",
            "gateway-account",
            "content-length",
            "origin",
        ]
    ),
    data=st.data(),
)
def test_a_name_that_folds_to_one_of_ours_is_refused_or_is_it(name: str, data: st.DataObject) -> None:
    """CGI, WSGI, PHP and FastCGI fold every sign to one; nothing else may look like ours to them."""
    written = "".join(
        data.draw(st.sampled_from("-_.!#$%&'*+^`|~"))
        if sign == "-"
        else data.draw(st.sampled_from([sign, sign.upper()]))
        for sign in name
    )
    headers: Lines = [HOST, (written.encode(), b"1")]
    if written != name:
        assert refusal(headers) == Ambiguity.HEADER_ALIAS


@given(before=st.binary(max_size=20), byte=st.integers(0, 255), after=st.binary(max_size=20))
def test_a_value_holds_no_control_byte(before: bytes, byte: int, after: bytes) -> None:
    value = before + bytes([byte]) + after
    forbidden = any(one != 9 and (one < 32 or one == 127) for one in value)
    found = read([HOST, (b"x-secret", value)])
    if forbidden:
        assert isinstance(found, Ambiguous)
        assert found.why is Ambiguity.HEADER_BYTES
        assert "`x-secret`" in found.detail
        assert len(found.detail) < 60
    else:
        assert isinstance(found, HeaderPlan)


@given(
    headers=st.lists(
        st.tuples(
            st.one_of(st.binary(max_size=12), st.sampled_from([b"host", b"connection", b"cookie", b"content-length"])),
            st.one_of(st.binary(max_size=12), st.sampled_from([b"close", b"4", b"a.example"])),
        ),
        max_size=8,
    ),
    websocket=st.booleans(),
)
def test_reading_never_raises_and_what_it_says_may_be_recorded(headers: Lines, *, websocket: bool) -> None:
    found = read(headers, websocket=websocket)
    if isinstance(found, Ambiguous):
        assert found.detail.isprintable()
        assert found.detail.replace("…", "").isascii()
        assert len(found.detail) < 300
    else:
        assert [name for name, _ in headers].count(b"host") == 1
        assert headers[found.host][0] == b"host"


def test_sizes_are_counted_as_they_came_over_the_wire() -> None:
    rule = HeaderRule(client_header=None, api_key_header=None, max_bytes=100, max_count=3)
    line = len("host: api.exchange.example\r\n")
    room = 100 - line - len("x: \r\n")
    assert refusal([HOST, (b"x", b"a" * room)], rule=rule) is None
    assert refusal([HOST, (b"x", b"a" * (room + 1))], rule=rule) == Ambiguity.HEADER_SIZE
    assert refusal([HOST, (b"a" * 100, b"")], rule=rule) == Ambiguity.HEADER_SIZE
    assert refusal([HOST, (b"x", b""), (b"y", b"")], rule=rule) is None
    assert refusal([HOST, (b"x", b""), (b"y", b""), (b"z", b"")], rule=rule) == Ambiguity.HEADER_SIZE


def test_the_defaults_are_32_kib_and_100_lines() -> None:
    assert refusal([HOST, (b"x", b"a" * 32_000)]) is None
    assert refusal([HOST, (b"x", b"a" * 33_000)]) == Ambiguity.HEADER_SIZE
    assert refusal([HOST, *[(b"x", b"")] * 99]) is None
    assert refusal([HOST, *[(b"x", b"")] * 100]) == Ambiguity.HEADER_SIZE


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"api_key_header": b"authorization"}, "identity.api_key_header: `authorization` means something else already"),
        ({"api_key_header": b"Cookie"}, "means something else already"),
        ({"api_key_header": b"Gateway-Key"}, "means something else already"),
        ({"api_key_header": b"X-Forwarded-For"}, "means something else already"),
        ({"api_key_header": b"X-Real-IP", "client_header": b"X-Real-IP"}, "means something else already"),
        ({"api_key_header": b"upgrade"}, "means something else already"),
        ({"api_key_header": b"X_API_Key"}, "`x_api_key` is not a header name of letters, digits and hyphens"),
        ({"api_key_header": b""}, "is not a header name"),
        ({"client_header": b"x forwarded"}, "client_ip.header: `x forwarded` is not a header name"),
        ({"max_bytes": 0}, "server.max_header_bytes: 0 bytes"),
        ({"max_count": 0}, "in 0 lines"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_when_it_is_built(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        HeaderRule(**{"client_header": b"x-forwarded-for", "api_key_header": None, **settings})
    assert message in str(refused.value)
