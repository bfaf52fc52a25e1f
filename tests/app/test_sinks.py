"""A table of the configuration becomes the sink that it describes, and what cannot work is said with its name."""

import ssl
from pathlib import Path

import pytest

from gateway.adapters.sinks.clickhouse import ClickHouse
from gateway.adapters.sinks.fan import PACE
from gateway.adapters.sinks.jsonl import LinesFile, LinesOut
from gateway.adapters.sinks.kafka import Kafka, Login
from gateway.adapters.sinks.object_store import ObjectStore
from gateway.adapters.sinks.opa import OpaLog
from gateway.app.plan import Plan
from gateway.app.sinks import pace_of, sink_of, spec_of
from gateway.config.sinks import SinkTable
from gateway.core.errors import ConfigError


def spec(**keys):
    """Return a spec as another process reads it."""
    plan = Plan("journal", None, 60, None, 60, sinks=[spec_of(SinkTable.model_validate(keys))])
    return Plan.of_line(plan.line()).sinks[0]


def test_every_kind_becomes_a_sink(tmp_path: Path) -> None:
    assert isinstance(sink_of(spec(kind="lines", file="decisions.ndjson")), LinesFile)
    assert isinstance(sink_of(spec(kind="stdout")), LinesOut)
    assert isinstance(sink_of(spec(kind="opa", url="https://logs.example/logs")), OpaLog)
    assert isinstance(sink_of(spec(kind="clickhouse", url="https://clickhouse.example:8443/")), ClickHouse)
    assert isinstance(sink_of(spec(kind="object-store", url=tmp_path.as_uri())), ObjectStore)
    assert isinstance(sink_of(spec(kind="kafka", servers=["k:9093"], topic="decisions")), Kafka)


def test_what_was_said_reaches_the_sink(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s3cret")
    secret = tmp_path / "secret"
    lines = sink_of(spec(kind="lines", file="d.ndjson", rotate_bytes="1MiB", keep_files=3))
    assert (lines._rotate_bytes, lines._keep) == (1 << 20, 3)
    opa = sink_of(spec(kind="opa", url="https://l.example", labels={"id": "gw-1"}, token_file=secret, timeout="5s"))
    assert opa._labels == {"app": "gateway", "id": "gw-1"}
    assert (opa._poster._secret_file, opa._poster._timeout.total) == (secret, 5)
    house = sink_of(
        spec(kind="clickhouse", url="https://c.example", database="gw", table="d", user="w", password_file=secret)
    )
    assert (house._table, house._user) == ("gw.d", {"X-ClickHouse-User": "w"})
    kafka = sink_of(spec(kind="kafka", servers=["k:9093"], topic="t", user="me", password_file=secret, timeout="9s"))
    assert (kafka._login, kafka._timeout_s) == (Login("me", secret, "SCRAM-SHA-512"), 9)


def test_kafka_is_spoken_to_over_tls_unless_somebody_says_otherwise() -> None:
    usual = sink_of(spec(kind="kafka", servers=["k:9093"], topic="t"))
    assert usual._tls.verify_mode is ssl.CERT_REQUIRED
    assert usual._tls.check_hostname
    assert sink_of(spec(kind="kafka", servers=["k:9092"], topic="t", tls=False))._tls is None


def test_a_gateway_is_told_from_others_without_a_label() -> None:
    assert sink_of(spec(kind="opa", url="https://logs.example"))._labels["id"]


def test_secret_options_come_from_their_file_and_are_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "credentials.toml"
    keys = {"kind": "object-store", "url": "s3://bucket/decisions", "options": {"aws_region": "eu-central-1"}}
    file.write_text('aws_access_key_id = "AKIA"\naws_secret_access_key = "hunter2"\n')
    assert isinstance(sink_of(spec(**keys, credentials_file=str(file))), ObjectStore)
    assert b"hunter2" not in Plan("j", None, 60, None, 60, sinks=[spec(**keys, credentials_file=str(file))]).line()

    for content in ('aws_secret_access_key = "hunter2', "aws_secret_access_key = 2"):
        file.write_text(content)
        with pytest.raises(ConfigError, match=r"\[\[sinks\]\] `object-store`: .*credentials.toml") as caught:
            sink_of(spec(**keys, credentials_file=str(file)))
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ({"kind": "opa", "url": "logs.example"}, r"`opa`: sink logs\.example: .* is not an address"),
        (
            {"kind": "opa", "url": "https://l.example", "name": "siem", "ca_file": "no"},
            "`siem`: no: cannot be used for",
        ),
        ({"kind": "clickhouse", "url": "https://c.example", "table": "a b"}, "table `a b`"),
        ({"kind": "object-store", "url": "ftp://host"}, "`ftp` is no object store"),
        ({"kind": "object-store", "url": "s3://b", "credentials_file": "no"}, "no cannot be read: No such file"),
    ],
)
def test_what_cannot_work_is_said_with_its_name(keys, says) -> None:
    with pytest.raises(ConfigError, match=says):
        sink_of(spec(**keys))


def test_a_certificate_that_is_none_is_refused_without_asking_anybody(tmp_path: Path) -> None:
    (tmp_path / "key.pem").write_text(
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAA==\n-----END ENCRYPTED PRIVATE KEY-----\n"
    )
    keys = {"cert_file": str(tmp_path / "key.pem"), "key_file": str(tmp_path / "key.pem")}

    with pytest.raises(ConfigError, match="cannot be used for TLS"):
        sink_of(spec(kind="kafka", servers=["k:9093"], topic="t", **keys))


def test_objects_are_large_and_everything_else_is_quick() -> None:
    objects = pace_of(spec(kind="object-store", url="s3://b"))
    assert (objects.batch, objects.linger_s) == (10_000, 300)
    assert pace_of(spec(kind="stdout")) == PACE
    own = pace_of(spec(kind="stdout", batch=7, linger="20ms"))
    assert (own.batch, own.linger_s) == (7, 0.02)
