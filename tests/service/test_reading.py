from dataclasses import replace

import pytest

from gateway.core.client_ip import ClientIPRule
from gateway.core.credential import CredentialRule, Presented
from gateway.core.device_key import DeviceCookie, new_key
from gateway.core.errors import ConfigError
from gateway.core.headers import HeaderRule
from gateway.core.operations import OperationTable
from gateway.core.target import Ambiguous
from gateway.core.terms import Ambiguity, Operation
from gateway.service.devices import Devices
from gateway.service.reading import Reading, RequestReader


def test_a_plain_request_is_read_as_what_it_attempts(reader, asked) -> None:
    request = asked("POST", "/api/v1/withdrawals?coin=BTC")
    reading = reader.read(request)
    assert reading.route.operation is Operation.WITHDRAW
    assert reader.client_ip(request, reading.plan).address == "8.8.8.8"
    assert reading.record == b"POST\0/api/v1/withdrawals\0exchange.example\0tests/1"
    assert reader.presented(request, reading.plan) == Presented("session", b"alice-token")


def test_reading_twice_gives_the_same_answer(reader, asked) -> None:
    assert reader.read(asked()) == reader.read(asked())
    plan = reader.read(asked()).plan
    assert reader.client_ip(asked(), plan) is reader.client_ip(asked(), plan)


def test_a_credential_in_the_named_cookie_is_seen(reader, asked) -> None:
    request = asked(token=None, more=((b"cookie", b"a=b; sid=abc.def.ghi"),))
    assert reader.presented(request, reader.read(request).plan) == Presented("session", b"abc.def.ghi")


def test_nothing_presented_is_nothing(reader, asked) -> None:
    request = asked(token=None)
    assert reader.presented(request, reader.read(request).plan) is None


SOMEBODY = {"token": None, "more": ((b"cookie", b"sid=one"),)}


@pytest.mark.parametrize(
    "change",
    [
        {"address": "9.9.9.9"},
        {"token": "other"},
        {"token": None},
        SOMEBODY,
        {"more": ((b"cookie", b"sid=two"),)},
        {"method": "POST", "target": "/api/v1/withdrawals"},
        {"more": ((b"x-forwarded-for", b"8.8.4.4"),)},
    ],
)
def test_whatever_a_verdict_may_depend_on_is_in_the_key(reader, asked, change) -> None:
    keys = [reader.read(asked(**one)).key for one in ({}, change)]
    assert keys[0] != keys[1]
    assert reader.read(asked(**SOMEBODY)).key != reader.read(asked(token="sid=one")).key


def test_what_no_verdict_depends_on_is_not_in_the_key(reader, asked) -> None:
    assert reader.read(asked()).key == reader.read(asked(target="/api/v1/market", more=((b"x-trace", b"1"),))).key


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"method": "BREW"}, Ambiguity.METHOD),
        ({"target": "/api/v1/%2e%2e/withdrawals"}, None),
        ({"host": b"elsewhere.example"}, Ambiguity.HOST),
        ({"target": "/api/v1/balances?_method=POST"}, Ambiguity.METHOD_OVERRIDE),
        ({"more": ((b"gateway_account", b"root"),)}, Ambiguity.HEADER_ALIAS),
        ({"more": ((b"connection", b"authorization"),)}, Ambiguity.HEADER_NOMINATED),
    ],
)
def test_what_can_be_read_in_two_ways_is_ambiguous_every_time(reader, asked, change, why) -> None:
    for _ in range(2):
        refused = reader.read(asked(**change))
        assert isinstance(refused, Ambiguous)
        assert why is None or refused.why is why


@pytest.mark.parametrize("host", [b"exchange.example", b"EXCHANGE.example:8443"])
def test_a_served_host_is_served_whatever_its_port_and_case(reader, asked, host) -> None:
    assert not isinstance(reader.read(asked(host=host)), Ambiguous)


def test_an_absolute_target_is_held_against_host_each_time(reader, asked) -> None:
    target = "http://exchange.example/api/v1/withdrawals"
    assert reader.read(asked("POST", target)).route.operation is Operation.WITHDRAW
    refused = reader.read(asked("POST", target, host=b"exchange.example:9"))
    assert isinstance(refused, Ambiguous)
    assert refused.why is Ambiguity.TARGET_AUTHORITY


def test_what_senders_vary_at_will_takes_no_place_in_memory(reader, asked) -> None:
    for number in range(50):
        reader.read(asked(more=((f"gateway_x{number}".encode(), b""),)))
        reader.read(asked(more=tuple((f"{'n' * 90}{number}-{index}".encode(), b"") for index in range(40))))
        reader.read(asked(target=f"/%2e%2e/{number}"))
    assert all(len(names) <= 2048 for names in reader._plans)
    assert len(reader._plans) <= 2
    assert list(reader._routes) == [("GET", b"/api/v1/balances")]


KEYED = ({"token": "a\x07b"}, {"address": "8.8.8.8\r\nx: y"})
ELSEWHERE = (
    {"more": ((b"accept", b"a\rb"),)},
    {"more": ((b"x-filler", b"n" * 40_000),)},
    {"more": ((b"connection", b"authorization"),)},
    {"target": "/%2e%2e/"},
    {"token": "t" * 40_000},
)


def test_a_glance_finds_what_reading_finds(reader, asked) -> None:
    for change in ({}, {"token": None}, SOMEBODY, {"more": ((b"x-forwarded-for", b"8.8.4.4"),)}, *ELSEWHERE):
        assert reader.glance(asked(**change)) == reader.read(asked(**change))


@pytest.mark.parametrize("change", KEYED)
def test_what_a_glance_does_not_look_at_stands_in_the_key(reader, asked, change) -> None:
    seen = reader.glance(asked(**change))
    assert isinstance(seen, Reading)
    assert seen.key != reader.glance(asked()).key
    assert reader.read(asked(**change)).why is Ambiguity.HEADER_BYTES


@pytest.mark.parametrize("change", ELSEWHERE)
def test_a_glance_lets_nothing_else_through(reader, asked, change) -> None:
    assert isinstance(reader.glance(asked(**change)), Ambiguous)


COOKIE = DeviceCookie("__Host-gwd", (b"k" * 32,))


def knowing(**more) -> RequestReader:
    """A reader without sessions in cookies."""
    return RequestReader(
        headers=HeaderRule(client_header=b"x-forwarded-for", api_key_header=None),
        client_ip=ClientIPRule(
            trusted_proxies=("10.0.0.0/8",), header="X-Forwarded-For", trusted_hops=None, untrusted_peer="use_peer",
            private_clients=(), trust_unix_socket=False, nat64_prefixes=(),
        ),
        credentials=CredentialRule(cookie=None, api_key_header=None),
        operations=OperationTable([]),
        **more,
    )  # fmt: skip


def pair(device: bytes) -> bytes:
    return COOKIE.header(new_key(device), 1_700_000_000_000_000).partition(b";")[0]


def key_of(reader, asked, *more):
    return reader.read(asked(more=more)).key


def test_another_device_is_another_key_and_any_other_cookie_is_not(asked) -> None:
    reader = knowing(devices=Devices(cookie=COOKIE))
    one, other = pair(b"0" * 16), pair(b"1" * 16)
    assert key_of(reader, asked, (b"cookie", one)) != key_of(reader, asked, (b"cookie", other))
    assert key_of(reader, asked, (b"cookie", one)) != key_of(reader, asked)
    assert key_of(reader, asked, (b"cookie", one)) == key_of(reader, asked, (b"cookie", b"theme=dark; " + one))


def test_where_requests_are_measured_another_user_agent_is_another_key(asked) -> None:
    def key(reader, agent: bytes):
        request = asked()
        headers = [(name, agent if name == b"user-agent" else value) for name, value in request.headers]
        return reader.read(replace(request, headers=headers)).key

    assert key(knowing(measured=True), b"Fox/1") != key(knowing(measured=True), b"Fox/2")
    assert key(knowing(), b"Fox/1") == key(knowing(), b"Fox/2")


def test_headers_that_are_believed_stand_once_and_in_one_spelling(asked) -> None:
    reader = knowing(devices=Devices(header="X-Device-Key"), singles=frozenset({b"x-amount"}))
    for name in (b"x-device-key", b"x-amount"):
        assert reader.read(asked(more=((name, b"1"), (name, b"1")))).why is Ambiguity.HEADER_REPEATED
        assert reader.read(asked(more=((name.replace(b"-", b"_"), b"1"),))).why is Ambiguity.HEADER_ALIAS
        assert not isinstance(reader.read(asked(more=((name, b"1"),))), Ambiguous)


@pytest.mark.parametrize("header", ["X-Forwarded-For", "User-Agent", "X-Amount"])
def test_a_header_has_one_meaning(header) -> None:
    with pytest.raises(ConfigError, match="has a meaning already"):
        knowing(devices=Devices(header=header), singles=frozenset({b"x-amount"}))


def test_a_trace_is_recorded_and_is_no_part_of_the_key(reader, asked) -> None:
    value = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    plain = reader.read(asked())
    traced = reader.glance(asked(more=((b"traceparent", value),)))
    assert traced.key == plain.key
    assert traced.record == plain.record + b"\0" + value[3:52]
    for more in (((b"traceparent", value),) * 2, ((b"traceparent", value[:-1]),)):
        assert reader.read(asked(more=more)).record == plain.record
