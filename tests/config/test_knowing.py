"""Policies, location data and accounts: what cannot work is refused with the reason."""

from collections.abc import Callable

import pytest

Refusal = Callable[..., list[str]]

LEAST = "[client_ip]\ntrusted_proxies = []\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            LEAST + "[policies]\npaths = []",
            "policies.paths: is empty; name at least one",
        ),
        (
            LEAST + '[geodb]\nmax_age = { warn = "9d", refuse = "8d" }',
            "geodb.max_age: `refuse` comes before `warn`; nobody would have been warned",
        ),
        (
            LEAST + '[geodb]\nsubdivision = ["shipped"]',
            "geodb.subdivision: `shipped` has no subdivision data; give the path of a database",
        ),
        (LEAST + '[geodb]\nasn = ["rir"]', "geodb.asn: `rir` has no asn data; give the path of a database"),
        (
            LEAST + '[geodb.overrides]\n"10.0.0.0/8" = { country = "UK" }',
            'geodb.overrides."10.0.0.0/8": `UK` is not a country code of ISO 3166-1, such as `DE`',
        ),
        (
            LEAST + '[geodb.overrides]\n"10.0.0.0/8" = { subdivision = "NY" }',
            'geodb.overrides."10.0.0.0/8": `NY` is not a subdivision code of ISO 3166-2, such as `US-NY`',
        ),
        (
            LEAST + '[geodb.overrides]\n"10.0.0.0/8" = { country = "CA", subdivision = "US-NY" }',
            'geodb.overrides."10.0.0.0/8": subdivision `US-NY` does not lie in country `CA`',
        ),
        (
            LEAST + '[geodb.overrides]\n"10.0.0.0/8" = {}',
            'geodb.overrides."10.0.0.0/8": says nothing: give country, subdivision, asn or network',
        ),
        (
            LEAST + '[geodb.overrides]\n"10.0.0.1/8" = { country = "DE" }',
            (
                'geodb.overrides."10.0.0.1/8": `10.0.0.1/8` goes on after its 8 bits: did you mean `10.0.0.0/8`, the '
                "network, or `10.0.0.1`, the one address?"
            ),
        ),
        (
            LEAST + '[store]\nurl = "postgresql://db/gateway"',
            (
                "store.url: goes over a network: say by `?sslmode=` whether the server must prove who it is: "
                "`verify-full` with `ca_file`, or `disable` where nobody else is on the way"
            ),
        ),
        (
            LEAST + '[store]\nurl = "mysql://gw:hunter2@db/gateway"',
            "store.url: must be `sqlite:///PATH` or `postgresql://USER@HOST/DATABASE`",
        ),
        (
            LEAST + '[store]\npassword_file = "password"',
            "store.url: is a file, which takes no `password_file`: that is for PostgreSQL",
        ),
        (
            LEAST + '[store]\nredis = "http://cache"',
            "store.redis.url: write `redis://HOST:6379`, `redis+sentinel://…` or `redis+cluster://…`",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(refusal: Refusal, text: str, line: str) -> None:
    assert refusal(text) == [f"gateway.toml: {line}"]
