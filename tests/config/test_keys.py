"""Every key is known by its path and its variable, and an unknown one is led to the right place."""

import pytest

from gateway.config.keys import EACH, Key, all_keys, correction, variables


@pytest.mark.parametrize(
    "key",
    [
        Key(("client_ip",), structured=True),
        Key(("client_ip", "trusted_proxies"), structured=True),
        Key(("client_ip", "header"), structured=False),
        Key(("client_ip", "trusted_hops"), structured=False),
        Key(("identity",), structured=True),
        Key(("identity", "leeway"), structured=False),
        Key(("identity", "secret_file"), structured=False),
        Key(("identity", "assurance"), structured=True),
        Key(("operations",), structured=True),
        Key(("operations", EACH, "methods"), structured=True),
        Key(("geodb", "networks"), structured=True),
        Key(("geodb", "max_age", "refuse"), structured=False),
        Key(("geodb", "overrides", EACH, "asn"), structured=False),
        Key(("upstream", "url"), structured=False),
        Key(("archive", "keep"), structured=True, also_text=True),
        Key(("archive", "keep", "money"), structured=False),
        Key(("journal", "publish"), structured=True, also_text=True),
        Key(("journal", "publish", EACH, "file"), structured=False),
        Key(("sinks", EACH, "servers"), structured=True),
    ],
)
def test_the_keys_are_the_fields_of_the_models(key: Key) -> None:
    assert key in all_keys()


def test_no_key_is_listed_twice() -> None:
    assert len({key.path for key in all_keys()}) == len(all_keys())


def test_every_variable_leads_to_one_key() -> None:
    single = [key for key in all_keys() if EACH not in key.path]

    assert set(variables().values()) == set(single)
    assert variables()["GATEWAY_GEODB__MAX_AGE__WARN"].path == ("geodb", "max_age", "warn")
    assert not any(EACH in name for name in variables())


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (("client_ip", "headr"), ": did you mean `header`?"),
        (("operations", 3, "pth"), ": did you mean `path`?"),
        (("geodb", "overrides", "10.0.0.0/8", "contry"), ": did you mean `country`?"),
        (("server", "jwks"), ": did you mean `identity.jwks`?"),
        (("leeway",), ": did you mean `identity.leeway`?"),
        (("identity", "leeway_s"), ": did you mean `leeway`?"),
        (("identity_results", "zebra"), "; known here are `provider`, `secret_file`"),
    ],
)
def test_an_unknown_key_is_led_to_what_was_meant(location: tuple[str | int, ...], text: str) -> None:
    assert correction(location) == text
