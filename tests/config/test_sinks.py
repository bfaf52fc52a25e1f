"""Sinks as they are written: each kind has its keys, and no other."""

import pytest

from gateway.config.sinks import _KEYS, SinkTable

LEAST = "[client_ip]\ntrusted_proxies = []\n"
NEEDED = {
    "lines": 'file = "decisions.ndjson"',
    "stdout": "",
    "opa": 'url = "https://logs.example/logs"',
    "clickhouse": 'url = "https://clickhouse.example:8443/"',
    "object-store": 'url = "s3://bucket/decisions"',
    "kafka": 'servers = ["kafka-1.example:9093"]\ntopic = "decisions"',
}


def sink(kind: str, more: str = "") -> str:
    return f'{LEAST}[[sinks]]\nkind = "{kind}"\n{NEEDED[kind]}\n{more}'


@pytest.mark.parametrize("kind", NEEDED)
def test_each_kind_works_with_what_it_needs_and_is_called_by_its_kind(load_text, kind) -> None:
    (table,) = load_text(sink(kind)).sinks

    assert (table.kind, table.name) == (kind, kind)


def test_every_kind_is_tried_here() -> None:
    assert set(NEEDED) == set(_KEYS)


def test_every_key_belongs_to_some_kind() -> None:
    keys = {field.alias or name for name, field in SinkTable.model_fields.items()}
    of_kinds = set().union(*(one.needed | one.possible for one in _KEYS.values()))

    assert keys - of_kinds == {"kind", "name", "batch", "linger", "personal"}
    assert of_kinds <= keys


@pytest.mark.parametrize(("kind", "key"), [(kind, key) for kind, keys in _KEYS.items() for key in keys.needed])
def test_a_sink_without_what_it_needs_is_refused(refusal, kind, key) -> None:
    kept = "\n".join(line for line in NEEDED[kind].splitlines() if not line.startswith(key))

    assert refusal(f'{LEAST}[[sinks]]\nkind = "{kind}"\n{kept}') == [
        f"gateway.toml: sinks[0]: a sink of the kind `{kind}` needs `{key}`"
    ]


def test_everything_that_can_be_said_of_kafka_is_read(load_text, tmp_path) -> None:
    for name in ("ca.pem", "cert.pem", "key.pem", "password"):
        (tmp_path / name).write_text("x")
    (table,) = load_text(
        sink(
            "kafka",
            """
            name = "events"
            batch = 500
            linger = "200ms"
            timeout = "10s"
            ca_file = "ca.pem"
            cert_file = "cert.pem"
            key_file = "key.pem"
            sasl = "SCRAM-SHA-256"
            user = "gateway"
            password_file = "password"
            """,
        )
    ).sinks

    assert (table.name, table.batch, table.linger_ms, table.timeout_s) == ("events", 500, 200, 10)
    assert (table.servers, table.topic) == (("kafka-1.example:9093",), "decisions")
    assert table.password_file == tmp_path / "password"


def test_sinks_come_from_the_environment_too(load_text) -> None:
    (table,) = load_text(LEAST, {"GATEWAY_SINKS": '[{"kind": "stdout", "name": "out"}]'}).sinks

    assert table.name == "out"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("kind = 'kafak'", "sinks[0].kind: `kafak` is not one of"),
        (NEEDED["opa"], "sinks[0].kind: is missing"),
        (sink("opa", 'tokn_file = "t"'), "sinks[0].tokn_file: unknown key: did you mean `token_file`?"),
        (sink("opa", 'topic = "t"'), "sinks[0]: `topic` means nothing to a sink of the kind `opa`"),
        (sink("opa", 'name = "My sink"'), "sinks[0].name: `My sink` is not a name for a sink"),
        (sink("opa", "batch = 20_001"), "sinks[0].batch: should be less than or equal to 20000"),
        (sink("opa", 'timeout = "2m"'), "sinks[0].timeout: should be less than or equal to 110"),
        (sink("opa", 'token_file = "nowhere"'), "sinks[0].token_file: no such file `nowhere`"),
        (sink("opa", 'token_file = "empty"'), "sinks[0].token_file: `empty` is empty"),
        (sink("opa", 'ca_file = "nowhere"'), "sinks[0].ca_file: no such file `nowhere`"),
        (
            sink("object-store", 'options = { aws_secret_access_key = "hunter2" }'),
            "sinks[0].options: `aws_secret_access_key` may be a secret; put it into the file that `credentials_file`",
        ),
        (
            f'{LEAST}[[sinks]]\nkind = "kafka"\ntopic = "t"\nservers = ["kafka-1"]',
            "sinks[0].servers[0]: `kafka-1` is not a server; write host and port",
        ),
        (
            f'{LEAST}[[sinks]]\nkind = "kafka"\ntopic = "t"\nservers = []',
            "sinks[0]: a sink of the kind `kafka` needs `servers`",
        ),
        (
            f'{LEAST}[[sinks]]\nkind = "kafka"\ntopic = "a b"\nservers = ["k:1"]',
            "sinks[0].topic: `a b` is not a topic",
        ),
        (sink("kafka", 'user = "me"'), "sinks[0]: `user` and `password_file` belong together"),
        (sink("kafka", 'cert_file = "c"'), "sinks[0]: `cert_file` and `key_file` belong together"),
        (sink("kafka", 'sasl = "PLAIN"'), 'sinks[0]: `sasl = "PLAIN"` needs `user` and `password_file`'),
        (
            sink("kafka", 'tls = false\nuser = "me"\npassword_file = "p"'),
            "sinks[0]: `password_file` is for connections with TLS, and `tls = false` says that there is none",
        ),
        (sink("opa", 'personal = "digest"'), 'the whole: `personal = "digest"` of sinks[0] needs `digest_key`'),
        (sink("stdout") + "[[sinks]]\nkind = 'stdout'", "sinks: 2 are called `stdout`; give each a `name` of its own"),
        (
            sink("stdout") + "[[sinks]]\nkind = 'stdout'\nname = 'again'",
            "sinks: there is one standard output; keep one sink of the kind `stdout`",
        ),
        (
            sink("lines") + "[[sinks]]\nkind = 'lines'\nname = 'again'\nfile = 'decisions.ndjson'",
            "sinks: 2 write `decisions.ndjson`; give each a file of its own",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(refusal, tmp_path, text, line) -> None:
    (tmp_path / "empty").write_text("\n")
    text = text if text.startswith(LEAST) else f"{LEAST}[[sinks]]\n{text}"

    (said,) = refusal(text)

    assert said.startswith("gateway.toml: ")
    assert line in said
    assert "hunter2" not in said
