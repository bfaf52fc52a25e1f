"""Settings that can work are taken, with their defaults; settings that cannot are refused with the reason."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config import Settings
from gateway.config.requests import ClientIP, Identity

Load = Callable[..., Settings]

LEAST = "[client_ip]\ntrusted_proxies = []\n"
PROXIED = '[client_ip]\ntrusted_proxies = ["10.0.0.0/8"]\n'
TOKENS = '[identity]\nissuer = "https://auth.example"\naudience = "exchange-api"\n'
SECRET = "correct horse battery staple, 32+"


def test_only_who_may_speak_for_others_must_be_said(load_text: Load, tmp_path: Path) -> None:
    settings = load_text(LEAST)

    assert settings.client_ip.trusted_proxies == ()
    assert settings.client_ip.header == "X-Forwarded-For"
    assert settings.client_ip.untrusted_peer == "use_peer"
    assert settings.identity is None
    assert settings.upstream is None
    assert settings.operations == ()
    assert settings.policies.paths == ("library:account-status", "library:credentials", "library:holds")
    assert settings.geodb.country == settings.geodb.asn == ("shipped",)
    assert (settings.geodb.max_age_warn_s, settings.geodb.max_age_refuse_s) == (35 * 86_400, None)
    assert settings.store.url == f"sqlite:///{tmp_path}/var/gateway.db"
    assert settings.journal.directory == tmp_path / "var/journal"
    assert settings.server.host == "127.0.0.1"
    assert settings.base == tmp_path


def test_everything_that_can_be_said_is_read(load_text: Load, tmp_path: Path) -> None:
    for name in ("jwks.json", "dc.txt", "city.mmdb"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "policies").mkdir()

    settings = load_text("""
        [client_ip]
        trusted_proxies = ["10.0.0.0/8", "fd00::/8"]
        header = "Forwarded"
        trusted_hops = 2
        untrusted_peer = "reject"
        private_clients = ["192.168.0.0/16"]
        trust_unix_socket = true
        nat64_prefixes = ["2001:db8:64::/96"]
        [identity]
        algorithms = ["RS256", "EdDSA"]
        issuer = "https://auth.example"
        audience = "exchange-api"
        account_claim = "uid"
        jwks = "jwks.json"
        leeway = "10s"
        cookie = "__Host-session"
        api_key_header = "X-API-Key"
        max_lifetime = "12h"
        remember = "1m"
        assurance = { "urn:example:mfa" = 2, hwk = 3 }
        [[operations]]
        operation = "withdraw"
        methods = ["POST", "PUT"]
        path = "/api/v1/withdrawals"
        [[operations]]
        operation = "support"
        path = "/api/v1/support/{rest:path}"
        [policies]
        paths = ["policies", "library:us-exit"]
        [geodb]
        country = ["shipped", "rir", "city.mmdb"]
        subdivision = ["city.mmdb"]
        asn = ["shipped"]
        networks = { hosting = "dc.txt" }
        combine = "first"
        max_age = { warn = "10d", refuse = "90d" }
        overrides = { "10.9.0.0/16" = { country = "US", subdivision = "US-NY", asn = 64500, network = ["office"] } }
        check_every = "1m"
        [store]
        url = "sqlite:////srv/gateway.db"
        redis = ""
        [journal]
        directory = "/srv/journal"
        segment_bytes = "1MiB"
        sync_every = "5ms"
        [upstream]
        url = "http://127.0.0.1:9000/"
        [server]
        port = 8443
        allowed_hosts = ["API.example"]
        max_header_bytes = "16KiB"
        support_url = "https://help.example/"
    """)

    assert settings.client_ip.model_dump() == {
        "trusted_proxies": ("10.0.0.0/8", "fd00::/8"),
        "header": "Forwarded",
        "trusted_hops": 2,
        "untrusted_peer": "reject",
        "private_clients": ("192.168.0.0/16",),
        "trust_unix_socket": True,
        "nat64_prefixes": ("2001:db8:64::/96",),
    }
    identity = settings.identity
    assert identity is not None
    assert identity.jwks == str(tmp_path / "jwks.json")
    assert (identity.leeway_s, identity.max_lifetime_s, identity.remember_s) == (10, 43_200, 60)
    assert identity.assurance == {"urn:example:mfa": 2, "hwk": 3}
    assert [(route.operation, route.methods, route.path) for route in settings.operations] == [
        ("withdraw", ("POST", "PUT"), "/api/v1/withdrawals"),
        ("support", (), "/api/v1/support/{rest:path}"),
    ]
    assert settings.policies.paths == (str(tmp_path / "policies"), "library:us-exit")
    assert settings.geodb.country == ("shipped", "rir", str(tmp_path / "city.mmdb"))
    assert settings.geodb.networks == {"hosting": tmp_path / "dc.txt"}
    assert (settings.geodb.max_age_warn_s, settings.geodb.max_age_refuse_s) == (864_000, 7_776_000)
    assert settings.geodb.overrides["10.9.0.0/16"].subdivision == "US-NY"
    assert settings.store.url == "sqlite:////srv/gateway.db"
    assert settings.journal.directory == Path("/srv/journal")
    assert (settings.journal.segment_bytes, settings.journal.sync_every_ms) == (1024**2, 5)
    assert settings.upstream is not None
    assert settings.upstream.url == "http://127.0.0.1:9000"
    assert settings.server.allowed_hosts == ("api.example",)


def test_no_secret_appears_in_what_settings_show(load_text: Load) -> None:
    settings = load_text(LEAST + TOKENS + f'algorithms = ["HS256"]\nsecret = "{SECRET}"')

    for shown in (repr(settings), str(settings), repr(settings.model_dump()), settings.model_dump_json()):
        assert SECRET not in shown


def test_settings_do_not_change(load_text: Load) -> None:
    settings = load_text(LEAST)

    with pytest.raises(ValidationError, match="frozen"):
        settings.client_ip.header = "X-Real-IP"


def test_settings_can_be_handed_to_another_process(load_text: Load) -> None:
    settings = load_text(PROXIED)

    assert pickle.loads(pickle.dumps(settings)) == settings


def test_settings_built_in_code_look_at_nothing_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEWAY_CLIENT_IP__HEADER", "Forwarded")

    settings = Settings(client_ip=ClientIP(trusted_proxies=("10.0.0.0/8",)))

    assert settings.client_ip.header == "X-Forwarded-For"
    assert settings.base == Path()
    assert settings.journal.directory == Path("var/journal")


def test_settings_built_in_code_are_checked_like_the_file() -> None:
    with pytest.raises(ValidationError, match="one kind"):
        Identity(algorithms=("RS256", "HS256"), issuer="i", audience="a", jwks="keys.json")
    with pytest.raises(ValidationError):
        Settings.model_validate("not a table")
