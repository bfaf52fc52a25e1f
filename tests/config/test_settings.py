"""Settings that can work are taken, with their defaults; settings that cannot are refused with the reason."""

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.config import Settings
from gateway.config.settings import ASYMMETRIC, SYMMETRIC, ClientIP, Identity

Load = Callable[..., Settings]
Refusal = Callable[..., list[str]]

LEAST = "[client_ip]\ntrusted_proxies = []\n"
PROXIED = '[client_ip]\ntrusted_proxies = ["10.0.0.0/8"]\n'
TOKENS = '[identity]\nissuer = "https://auth.example"\naudience = "exchange-api"\n'
KEYS = 'jwks = "https://auth.example/jwks.json"\n'
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


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[client_ip]\ntrusted_proxies = []\nheader = "Forwarded"',
            (
                "client_ip: `header` is given, yet `trusted_proxies = []` says that nobody may speak for another "
                "address; name the proxies, or leave `header` out"
            ),
        ),
        (
            "[client_ip]\ntrusted_proxies = []\ntrusted_hops = 1",
            (
                "client_ip: `trusted_hops` is given, yet `trusted_proxies = []` says that nobody may speak for another "
                "address; name the proxies, or leave `trusted_hops` out"
            ),
        ),
        (
            '[client_ip]\ntrusted_proxies = []\nuntrusted_peer = "reject"',
            'client_ip: `untrusted_peer = "reject"` with `trusted_proxies = []` leaves no address for anyone',
        ),
        (PROXIED + "trusted_hops = 0", "client_ip.trusted_hops: should be greater than or equal to 1"),
        (PROXIED + "trusted_hops = true", "client_ip.trusted_hops: must be a whole number"),
        (
            '[client_ip]\ntrusted_proxies = ["0.0.0.0/0"]',
            "client_ip.trusted_proxies[0]: `0.0.0.0/0` is every address there is; name the networks that are meant",
        ),
        (
            LEAST + TOKENS + KEYS + 'algorithms = ["none"]',
            (
                "identity.algorithms[0]: `none` accepts tokens that nobody signed; name the algorithm that your issuer "
                "signs with"
            ),
        ),
        (
            LEAST + TOKENS + KEYS + 'algorithms = ["RS255"]',
            "identity.algorithms[0]: unknown algorithm `RS255`: did you mean `RS256`?",
        ),
        (
            LEAST + TOKENS + KEYS + 'algorithms = ["RS256", "HS256"]',
            "identity: `algorithms` mixes signatures (public keys) with HMAC (a secret); keep one kind",
        ),
        (
            LEAST + TOKENS + 'algorithms = ["RS256"]',
            "identity: `algorithms` are checked with public keys: `jwks` and nothing else; nothing is given",
        ),
        (
            LEAST + TOKENS + KEYS + f'algorithms = ["RS256"]\nsecret = "{SECRET}"',
            (
                "identity: `algorithms` are checked with public keys: `jwks` and nothing else; `jwks` and `secret` is "
                "given"
            ),
        ),
        (
            LEAST + TOKENS + 'algorithms = ["HS256"]',
            "identity: HMAC algorithms need `secret_file` (or `secret`) and nothing else; neither is given",
        ),
        (
            LEAST + TOKENS + KEYS + f'algorithms = ["HS256"]\nsecret = "{SECRET}"',
            "identity: HMAC algorithms need `secret_file` (or `secret`) and nothing else; `jwks` and `secret` is given",
        ),
        (
            LEAST + TOKENS + 'algorithms = ["HS256"]\nsecret = "hunter2"',
            (
                "identity: `secret` has 7 bytes, HS256 needs 32 or more of randomness; `openssl rand -hex 32 > FILE` "
                "makes 64"
            ),
        ),
        (
            LEAST + TOKENS + f'algorithms = ["HS256", "HS512"]\nsecret = "{SECRET}"',
            (
                "identity: `secret` has 33 bytes, HS256 and HS512 needs 64 or more of randomness; "
                "`openssl rand -hex 32 > FILE` makes 64"
            ),
        ),
        (
            LEAST + TOKENS + KEYS + 'algorithms = ["RS256"]\napi_key_header = "Authorization"',
            (
                "identity.api_key_header: `Authorization` already has a meaning; choose a name of its own, such as "
                "`X-API-Key`"
            ),
        ),
        (
            LEAST + TOKENS + 'algorithms = ["RS256"]\njwks = "http://auth.example/jwks"',
            "identity.jwks: keys fetched over http can be replaced on the way: did you mean `https://`?",
        ),
        (
            LEAST + '[[operations]]\noperation = "withdrawal"\npath = "/w"',
            "operations[0].operation: unknown operation `withdrawal`: did you mean `withdraw`?",
        ),
        (
            LEAST + '[[operations]]\noperation = "withdraw"\npath = "w"',
            "operations[0].path: `w` does not begin with `/`: did you mean `/w`?",
        ),
        (
            LEAST + '[[operations]]\noperation = "withdraw"\npath = "/w"\nmethods = ["post"]',
            "operations[0].methods[0]: unknown method `post`: did you mean `POST`?",
        ),
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
            "store.url: must be `sqlite:///PATH`: the embedded store is the only one that this version has",
        ),
        (
            LEAST + '[store]\nredis = "redis://cache"',
            "store.redis: this version keeps no shared state; leave `redis` empty",
        ),
        (
            LEAST + '[upstream]\nurl = "http://app/api"',
            "upstream.url: must be scheme, host and port alone: the path of each request is passed on as it came",
        ),
        (LEAST + "[server]\nport = 65536", "server.port: should be less than or equal to 65535"),
        (
            LEAST + '[admin]\nhost = "0.0.0.0"',
            (
                "admin: `host` is `0.0.0.0`, which others reach, and the API itself speaks plain HTTP; end TLS in "
                "front of it and say `tls_in_front = true`, or listen on `127.0.0.1`"
            ),
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(refusal: Refusal, text: str, line: str) -> None:
    assert refusal(text) == [f"gateway.toml: {line}"]


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_every_signature_is_checked_with_public_keys(load_text: Load, algorithm: str) -> None:
    identity = load_text(LEAST + TOKENS + KEYS + f'algorithms = ["{algorithm}"]').identity

    assert identity is not None
    assert identity.least_secret_bytes == 0


@pytest.mark.parametrize(("algorithm", "length"), SYMMETRIC.items())
def test_a_secret_is_at_least_as_long_as_the_hash(
    load_text: Load, refusal: Refusal, algorithm: str, length: int
) -> None:
    text = LEAST + TOKENS + f'algorithms = ["{algorithm}"]\nsecret = '

    assert load_text(text + f'"{"x" * length}"').identity is not None
    assert f"`secret` has {length - 1} bytes" in refusal(text + f'"{"x" * (length - 1)}"')[0]


def test_the_admin_api_is_off_and_on_this_machine_until_somebody_says_otherwise(load_text: Load) -> None:
    admin = load_text(LEAST).admin
    assert (admin.host, admin.port, admin.tls_in_front) == ("127.0.0.1", None, False)
    admin = load_text(LEAST + '[admin]\nhost = "10.0.0.5"\nport = 8081\ntls_in_front = true').admin
    assert (admin.host, admin.port) == ("10.0.0.5", 8081)


def test_a_unix_socket_is_a_proxy_too(load_text: Load) -> None:
    settings = load_text('[client_ip]\ntrusted_proxies = []\ntrust_unix_socket = true\nheader = "X-Real-IP"')

    assert settings.client_ip.header == "X-Real-IP"


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
