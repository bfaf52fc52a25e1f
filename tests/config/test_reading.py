"""The file, the environment and secret files become one Settings, or one error that names them."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway.config import Settings, load, reading
from gateway.core.errors import ConfigError

Load = Callable[..., Settings]
Refusal = Callable[..., list[str]]

LEAST = "[client_ip]\ntrusted_proxies = []\n"
PROXIED = '[client_ip]\ntrusted_proxies = ["10.0.0.0/8"]\n'
HMAC = '[identity]\nalgorithms = ["HS256"]\nissuer = "i"\naudience = "a"\n'
SECRET = "0123456789abcdef0123456789abcdef"


def test_the_environment_overrides_the_file(load_text: Load) -> None:
    settings = load_text(
        PROXIED + 'header = "Forwarded"\n[server]\nport = 1000',
        {
            "GATEWAY_CLIENT_IP__TRUSTED_PROXIES": '["192.0.2.0/24"]',
            "GATEWAY_CLIENT_IP__HEADER": "X-Real-IP",
            "GATEWAY_CLIENT_IP__TRUST_UNIX_SOCKET": "true",
            "GATEWAY_SERVER__PORT": "2000",
            "GATEWAY_GEODB__MAX_AGE__REFUSE": "90d",
            "GATEWAY_GEODB__OVERRIDES": '{"10.0.0.0/8": {"country": "DE"}}',
            "GATEWAY_OPERATIONS": '[{"operation": "withdraw", "path": "/w"}]',
            "GATEWAY_CONFIG": "elsewhere.toml",
            "PATH": "/bin",
        },
    )

    assert settings.client_ip.trusted_proxies == ("192.0.2.0/24",)
    assert settings.client_ip.header == "X-Real-IP"
    assert settings.client_ip.trust_unix_socket is True
    assert settings.server.port == 2000
    assert settings.geodb.max_age_refuse_s == 7_776_000
    assert settings.geodb.overrides["10.0.0.0/8"].country == "DE"
    assert settings.operations[0].operation == "withdraw"


def test_a_key_overrides_the_table_it_stands_in(load_text: Load) -> None:
    environ = {
        "GATEWAY_UPSTREAM__URL": "http://b:2",
        "GATEWAY_UPSTREAM": '{"url": "http://a:1"}',
    }

    upstream = load_text(LEAST, environ).upstream

    assert upstream is not None
    assert upstream.url == "http://b:2"


def test_the_environment_alone_is_enough(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GATEWAY_CLIENT_IP__TRUSTED_PROXIES", "[]")

    settings = load(None)

    assert settings.client_ip.trusted_proxies == ()
    assert settings.base == tmp_path


def test_without_a_file_problems_are_the_environments() -> None:
    with pytest.raises(ConfigError, match=r"^the environment: client_ip\.trusted_proxies: must be said"):
        load(None, {})


def test_a_secret_may_stand_in_a_file_of_its_own(load_text: Load, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text(SECRET + "\n")

    by_key = load_text(LEAST + HMAC + 'secret_file = "secret"').identity
    by_variable = load_text(LEAST + HMAC, {"GATEWAY_IDENTITY__SECRET_FILE": "secret"}).identity
    any_other = load_text(LEAST, {"GATEWAY_UPSTREAM__URL_FILE": str(tmp_path / "secret")} | url(tmp_path)).upstream

    assert by_key is not None
    assert by_variable is not None
    assert by_key.secret_file == by_variable.secret_file == tmp_path / "secret"
    assert any_other is not None
    assert any_other.url == "http://app:9000"


def url(folder: Path) -> dict[str, str]:
    (folder / "url").write_text("http://app:9000\r\n")
    return {"GATEWAY_UPSTREAM__URL_FILE": str(folder / "url")}


@pytest.mark.parametrize(
    ("name", "value", "line"),
    [
        (
            "GATEWAY_CLIENT_IP__HEADR",
            "x",
            "GATEWAY_CLIENT_IP__HEADR: unknown setting: did you mean `GATEWAY_CLIENT_IP__HEADER`?",
        ),
        (
            "gateway_client_ip__header",
            "x",
            "gateway_client_ip__header: unknown setting: did you mean `GATEWAY_CLIENT_IP__HEADER`?",
        ),
        ("GATEWAY_ZZZZ", "x", "GATEWAY_ZZZZ: unknown setting"),
        ("GATEWAY_REDSI__URL", "x", "GATEWAY_REDSI__URL: unknown setting: did you mean `GATEWAY_STORE__URL`?"),
        ("GATEWAY_SERVER__PORT", "http", "GATEWAY_SERVER__PORT: should be a valid integer, unable to parse string as "),
        (
            "GATEWAY_GEODB__COUNTRY",
            "shipped",
            'GATEWAY_GEODB__COUNTRY: is not JSON; a list or table is written as `["one", "two"]` or',
        ),
        ("GATEWAY_GEODB__COUNTRY", "[" * 60_000, "GATEWAY_GEODB__COUNTRY: is not JSON; a list or table is written as"),
        (
            "GATEWAY_OPERATIONS",
            '[{"operation": "withdraw", "path": "w"}]',
            "GATEWAY_OPERATIONS: [0].path: `w` does not begin with `/`",
        ),
        ("GATEWAY_UPSTREAM__URL_FILE", "absent", "GATEWAY_UPSTREAM__URL_FILE: cannot be read: No such file or direct"),
        ("GATEWAY_UPSTREAM__URL_FILE", ".", "GATEWAY_UPSTREAM__URL_FILE: is not a file"),
        ("FORWARDED_ALLOW_IPS", "*", "FORWARDED_ALLOW_IPS: lets the server rewrite the peer's address before the gat"),
    ],
)
def test_a_variable_that_cannot_work_stops_the_start(refusal: Refusal, name: str, value: str, line: str) -> None:
    lines = refusal(LEAST, {name: value})

    assert len(lines) == 1
    assert lines[0].startswith(line)


def test_a_value_and_its_file_are_one_too_many(refusal: Refusal, tmp_path: Path) -> None:
    environ = url(tmp_path) | {"GATEWAY_UPSTREAM__URL": "http://other:1"}

    assert refusal(LEAST, environ) == [
        "GATEWAY_UPSTREAM__URL_FILE: is set beside GATEWAY_UPSTREAM__URL; keep one of them"
    ]


def test_a_variable_cannot_reach_into_what_is_no_table(refusal: Refusal) -> None:
    lines = refusal("upstream = 1\n" + LEAST, {"GATEWAY_UPSTREAM__URL": "http://a:1"})

    assert lines[0] == "GATEWAY_UPSTREAM__URL: `upstream` in the file is not a table"
    assert lines[1].startswith("gateway.toml: upstream: ")


def test_a_service_called_gateway_in_the_same_cluster_is_no_setting(load_text: Load) -> None:
    settings = load_text(
        LEAST,
        {
            "GATEWAY_SERVICE_HOST": "10.96.0.10",
            "GATEWAY_SERVICE_PORT": "80",
            "GATEWAY_SERVICE_PORT_HTTP": "80",
            "GATEWAY_PORT": "tcp://10.96.0.10:80",
            "GATEWAY_PORT_80_TCP": "tcp://10.96.0.10:80",
            "GATEWAY_PORT_80_TCP_PROTO": "tcp",
            "GATEWAY_PORT_80_TCP_PORT": "80",
            "GATEWAY_PORT_80_TCP_ADDR": "10.96.0.10",
        },
    )

    assert settings.server.port == 8080


@pytest.mark.parametrize(
    ("content", "line"),
    [
        (b"client_ip = ", "not TOML: Invalid value (at end of document)"),
        (b"[client_ip]\ntrusted_proxies = []\ntrusted_proxies = []\n", "not TOML: Cannot overwrite a value (at line 3"),
        (b"a = " + b"[" * 5000, "not TOML: nested too deeply"),
        (b"\xff\xfe", "is not UTF-8 text (byte 0)"),
        (b"#" * (reading.LARGEST_FILE + 1), "is larger than 1048576 bytes"),
    ],
    ids=["unfinished", "twice", "deep", "bytes", "large"],
)
def test_a_file_that_cannot_be_read_stops_the_start(tmp_path: Path, content: bytes, line: str) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(content)

    with pytest.raises(ConfigError) as caught:
        load(path, {})

    assert str(caught.value).startswith(f"{path}: {line}")


def test_a_file_that_is_not_there_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gateway\.toml: no such file; `--config PATH` or the variable"):
        load(tmp_path / "gateway.toml", {})
    with pytest.raises(ConfigError, match="is not a file"):
        load(tmp_path, {})


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (HMAC + 'secret_file = "absent"', "identity.secret_file: no such file `absent`"),
        (HMAC + 'secret_file = "short"', "identity.secret_file: `secret_file` has 5 bytes, HS256 needs 32 or more"),
        (
            HMAC.replace("HS256", "RS256") + 'jwks = "jkws.json"',
            "identity.jwks: no such file `jkws.json`: did you mean `jwks.json`?",
        ),
        ('[policies]\npaths = ["librry:us-exit"]', "policies.paths[0]: no such file `librry:us-exit`"),
        ('[policies]\npaths = ["polices"]', "policies.paths[0]: no such file `polices`: did you mean `policies`?"),
        ('[geodb]\ncountry = ["shiped"]', "geodb.country[0]: no such file `shiped`: did you mean `shipped`?"),
        ('[geodb]\nasn = ["policies"]', "geodb.asn[0]: `policies` is not a file"),
        ('[geodb]\nanonymizer = ["no/such.mmdb"]', "geodb.anonymizer[0]: no such file `no/such.mmdb`"),
        ('[geodb]\nnetworks = { tor = "tor.txt" }', "geodb.networks.tor: no such file `tor.txt`"),
    ],
)
def test_a_file_that_is_named_must_be_there(refusal: Refusal, tmp_path: Path, text: str, line: str) -> None:
    (tmp_path / "jwks.json").write_text("{}")
    (tmp_path / "short").write_text("short\n")
    (tmp_path / "policies").mkdir()

    lines = refusal(LEAST + text)

    assert len(lines) == 1
    assert lines[0].startswith(f"gateway.toml: {line}")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_a_file_that_may_not_be_opened_says_so(
    refusal: Refusal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    # Whoever runs the tests may be allowed everything, so the system is made to refuse.
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "policy"
    if kind == "folder":
        path.mkdir()
        monkeypatch.setattr(os, "scandir", refuse)
        text = '[policies]\npaths = ["policy"]'
    else:
        path.write_text("{}")
        text = HMAC + 'secret_file = "policy"'
        monkeypatch.setattr(Path, "read_bytes", refuse)
        real = Path.open
        monkeypatch.setattr(Path, "open", lambda self, *a, **b: refuse() if self == path else real(self, *a, **b))

    assert refusal(LEAST + text)[0].endswith("`policy` cannot be read: Permission denied")


def test_a_configuration_behind_a_link_is_seen_from_where_it_is_named(tmp_path: Path) -> None:
    # Kubernetes mounts each version of a file in a folder that vanishes with the next one.
    hidden = tmp_path / "..2026_11_21"
    hidden.mkdir()
    (hidden / "gateway.toml").write_text(LEAST)
    (tmp_path / "gateway.toml").symlink_to(hidden / "gateway.toml")

    assert load(tmp_path / "gateway.toml", {}).base == tmp_path
