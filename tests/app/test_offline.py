import asyncio
import json

import pytest

from gateway.adapters.clock import SystemClock
from gateway.adapters.sql import AccountStore
from gateway.app.offline import WhatIf, decide_offline, read_request
from gateway.config import load
from gateway.core.errors import ConfigError

CLOCK = SystemClock()


def decide(site, *requests, what_if=None):
    settings = load(site.config)
    told: list[bytes] = []

    async def run():
        store = AccountStore(settings.store.url)
        await store.start()
        await site.fill(store)
        await store.close()
        read = [read_request(json.dumps(request).encode(), CLOCK) for request in requests]
        await decide_offline(settings, read, told.append, what_if or WhatIf())

    asyncio.run(run())
    return [json.loads(line) for line in told]


def request(site, who="alice", address="2.80.10.20", method="POST", target="/api/v1/orders", **more):
    headers = [[name, value] for name, value in site.headers(who, address).items()]
    return {"peer": "10.0.0.1", "method": method, "target": target, "headers": headers, **more}


def test_requests_pass_the_whole_line_in_order_and_nothing_is_recorded(site) -> None:
    told = decide(site, request(site), request(site, "bob"), request(site, None), request(site, target="/%2e"))
    assert [one["verdict"] and one["verdict"]["outcome"] for one in told] == ["allow", "deny", "deny", None]
    assert [one["reply"]["status"] for one in told] == [200, 403, 401, 400]
    assert told[1]["verdict"]["by"][0]["rule"] == "us-closed"
    assert told[0]["request"] == {
        "method": "POST",
        "path": "/api/v1/orders",
        "host": "exchange.example",
        "user_agent": "",
    }
    assert not (site.folder / "journal").exists()


def test_a_decision_has_the_members_that_others_rely_on(site) -> None:
    (decision,) = decide(site, request(site))
    assert list(decision) == [
        "id",
        "at",
        "request",
        "client_ip",
        "operation",
        "facts",
        "unknown",
        "bundle",
        "editions",
        "verdict",
        "reply",
        "took_us",
    ]


def test_what_if_the_country_were_another(site) -> None:
    (decision,) = decide(site, request(site), what_if=WhatIf(country="US"))
    assert decision["reply"]["reason"] == "jurisdiction-blocked"
    assert "supposed: US" in decision["editions"]
    with pytest.raises(ConfigError, match="`UK` is not a country"):
        decide(site, request(site), what_if=WhatIf(country="UK"))


def test_what_if_another_account_were_signed_in(site) -> None:
    (decision,) = decide(site, request(site, None), what_if=WhatIf(account="carol"))
    assert decision["facts"]["account"] == "carol"
    assert decision["reply"]["reason"] == "account-flagged"


def test_what_if_the_policies_were_others(site) -> None:
    (decision,) = decide(site, request(site, "bob"), what_if=WhatIf(bundle=("library:account-status",)))
    assert decision["verdict"]["outcome"] == "allow"


def test_what_if_it_were_another_time(site) -> None:
    line = json.dumps({"peer": "8.8.8.8"}).encode()
    assert read_request(line, CLOCK, "2023-03-01T00:00:00Z").at == 1_677_628_800_000_000


def test_a_request_needs_no_more_than_it_says() -> None:
    plain = read_request(b"{}", CLOCK)
    assert (plain.method, plain.target, plain.query, plain.peer) == ("GET", b"/", b"", None)
    assert plain.headers == [(b"host", b"localhost")]
    full = read_request(b'{"target": "/a?b=c", "at": 7, "headers": [["Host", "x"]], "websocket": true}', CLOCK)
    assert (full.at, full.target, full.query, full.headers, full.websocket) == (
        7,
        b"/a",
        b"b=c",
        [(b"host", b"x")],
        True,
    )


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (b"[]", "a request is an object"),
        (b"{", "unexpected end"),
        (b'{"pear": "8.8.8.8"}', "unknown key `pear`"),
        (b'{"peer": 8}', "`peer` is 8"),
        (b'{"headers": [["a"]]}', "each header is"),
        (b'{"headers": [["a", 1]]}', "each header is"),
        (b'{"headers": null}', "`headers` is None; it must be a list"),
        (b'{"headers": 5}', "`headers` is 5; it must be a list"),
        (b'{"headers": "a: b"}', "`headers` is 'a: b'; it must be a list"),
        (b'{"headers": {"a": "b"}}', "`headers` is .*; it must be a list"),
        (b'{"headers": [null]}', "`headers` holds None; each header is"),
        ('{"headers": [["x", "\u20ac"]]}'.encode(), "`headers` holds .*; .* Latin-1"),
        ('{"headers": [["\u20ac", "x"]]}'.encode(), "`headers` holds .*; .* Latin-1"),
        (b'{"target": null}', "`target` is None; it must be text"),
        (b'{"method": null}', "`method` is None; it must be text"),
        (b'{"target": "\\ud800"}', "surrogate in string"),
        (b'{"peer": "\\udc80"}', "surrogate"),
        (b'{"headers": [["x", "\\ud800"]]}', "surrogate in string"),
        (b'{"\\ud800": 1}', "surrogate in string"),
        (b'{"target": "\xed\xa0\x80"}', "not valid UTF-8"),
        (b'{"at": true}', "RFC 3339"),
        (b'{"at": 1.5}', "RFC 3339"),
        (b'{"at": 9223372036854775807}', "`at` is 9223372036854775807; .* 9999"),
        (b'{"at": -9223372036854775808}', "`at` is -9223372036854775808; .* 9999"),
        (b'{"at": "2026-01-01T00:00:00"}', "names no time zone"),
    ],
)
def test_a_request_that_cannot_be_read_says_what_is_wrong(line, message) -> None:
    with pytest.raises(ValueError, match=message):
        read_request(line, CLOCK)
