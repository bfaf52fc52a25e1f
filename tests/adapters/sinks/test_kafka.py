import asyncio
import datetime as dt
import ipaddress
import ssl
from pathlib import Path

import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks.kafka import Kafka, Login
from gateway.core.decision import parse_instant
from gateway.core.errors import ConfigError
from tests.adapters.sinks.broker import TOPIC_FORBIDDEN, broker, crc32c
from tests.adapters.sinks.rig import document

BATCH = [document(n) for n in range(250)]


def kafka(port: int, *, tls: ssl.SSLContext | None = None, login: Login | None = None, timeout_s: float = 10) -> Kafka:
    return Kafka([f"127.0.0.1:{port}"], topic="decisions", tls=tls, login=login, timeout_s=timeout_s)


def test_the_checksum_is_that_of_the_standard() -> None:
    assert crc32c(b"123456789") == 0xE3069283


async def test_each_decision_is_a_record_with_its_id_for_a_key_and_its_time() -> None:
    async with broker() as kept:
        sink = kafka(kept.port)
        await sink.send(BATCH)
        await sink.close()

    found = {record.key.decode(): record for record in kept.kept}
    assert len(kept.kept) == len(found) == len(BATCH)
    for one in BATCH:
        assert orjson.loads(found[one["id"]].value) == one
        assert found[one["id"]].at_ms == parse_instant(one["at"]) // 1000
    assert {record.partition for record in kept.kept} == {0, 1, 2}
    assert kept.acks == {-1}


async def test_one_decision_is_always_in_the_same_partition_and_in_order_within_it() -> None:
    async with broker() as kept:
        for _ in range(2):
            sink = kafka(kept.port)
            await sink.send(BATCH)
            await sink.close()

    assert kept.producers == 2
    halves = kept.kept[: len(BATCH)], kept.kept[len(BATCH) :]
    for partition in range(3):
        first, second = ([record.key for record in half if record.partition == partition] for half in halves)
        assert first == second == sorted(first)


async def test_what_a_broker_refuses_is_unavailable_and_comes_again() -> None:
    async with broker(partitions=1) as kept:
        kept.refuse = [TOPIC_FORBIDDEN]
        sink = kafka(kept.port)
        with pytest.raises(SinkUnavailable, match=r"sink decisions at 127\.0\.0\.1:\d+: .*TopicAuthorizationFailed"):
            await sink.send(BATCH)
        await sink.send(BATCH)
        await sink.close()

    assert [record.key.decode() for record in kept.kept] == [one["id"] for one in BATCH]


async def test_an_answer_that_does_not_come_is_not_waited_for_without_end() -> None:
    async with broker(partitions=1) as kept:
        kept.silent = True
        sink = kafka(kept.port, timeout_s=0.5)
        began = asyncio.get_running_loop().time()
        with pytest.raises(SinkUnavailable, match=r"not acknowledged within 0\.5 s"):
            await sink.send(BATCH[:10])
        kept.silent = False
        await sink.send(BATCH[:10])
        await sink.close()
        assert asyncio.get_running_loop().time() - began < 10

    # What was not acknowledged may be there nevertheless; what was sent again is.
    assert {record.key.decode() for record in kept.kept} == {one["id"] for one in BATCH[:10]}


async def test_a_connection_that_is_cut_under_way_loses_nothing() -> None:
    async with broker() as kept:
        sink = kafka(kept.port, timeout_s=1)
        await sink.send(BATCH[:10])
        kept.away = True
        with pytest.raises(SinkUnavailable):
            await sink.send(BATCH[10:20])
        kept.away = False
        await sink.send(BATCH[10:20])
        await sink.close()

    assert {record.key.decode() for record in kept.kept} == {one["id"] for one in BATCH[:20]}


async def test_where_nobody_listens_it_says_so() -> None:
    async with broker() as kept:
        port = kept.port
    sink = kafka(port, timeout_s=5)

    with pytest.raises(SinkUnavailable, match="Unable to bootstrap"):
        await sink.send(BATCH[:1])

    await sink.close()


async def test_a_sink_that_was_never_used_can_be_closed() -> None:
    await kafka(9).close()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A file with a certificate for this machine, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "broker")])
    begin = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(begin)
        .not_valid_after(begin + dt.timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path / "broker.pem"
    file.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return file


async def test_a_password_is_read_anew_and_shown_over_tls(certificate: Path, tmp_path: Path) -> None:
    (tmp_path / "password").write_text("wrong\n")
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    trusted = ssl.create_default_context(cafile=str(certificate))
    async with broker(tls=server) as kept:
        kept.password = b"right"
        sink = kafka(kept.port, tls=trusted, login=Login("me", tmp_path / "password", "PLAIN"), timeout_s=5)
        with pytest.raises(SinkUnavailable) as caught:
            await sink.send(BATCH[:5])
        assert "wrong" not in str(caught.value)
        (tmp_path / "password").write_text("right\n")
        await sink.send(BATCH[:5])
        await sink.close()

    assert kept.logins[0].split(b"\0")[1:] == [b"me", b"wrong"]
    assert {tuple(login.split(b"\0")[1:]) for login in kept.logins[1:]} == {(b"me", b"right")}
    assert len(kept.kept) == 5


async def test_a_broker_that_nobody_vouches_for_is_sent_nothing(certificate: Path) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(certificate)
    async with broker(tls=server) as kept:
        sink = kafka(kept.port, tls=ssl.create_default_context(), timeout_s=5)
        with pytest.raises(SinkUnavailable):
            await sink.send(BATCH[:5])
        await sink.close()

    assert kept.kept == []


def test_what_cannot_work_is_refused_when_it_is_built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text("x")
    login = Login("me", tmp_path / "password")
    with pytest.raises(ConfigError, match="without TLS everybody on the way reads the password"):
        kafka(9, login=login)
    with pytest.raises(ConfigError, match="sasl `GSSAPI`; there are SCRAM-SHA-512"):
        kafka(9, tls=ssl.create_default_context(), login=login._replace(mechanism="GSSAPI"))
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        kafka(9, tls=ssl.create_default_context(), login=login._replace(password_file=tmp_path / "nowhere"))
    monkeypatch.setattr("gateway.adapters.sinks.kafka.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'geofence-gateway\[kafka\]'"):
        kafka(9)
