import asyncio
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.adapters.postgres_address import FAULTS, PostgresAddress
from gateway.config.store_url import postgres_url
from gateway.core.errors import ConfigError
from tests.postgres_server import running, say
from tests.stores import AT, SECOND


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://gw:hunter2@db.internal:5432/gateway", "db.internal:5432/gateway"),
        ("postgresql://gw:hunter2@one:5432,two:5432/gateway", "one:5432,two:5432/gateway"),
        ("postgresql://gw:hunt%40er2@db/gateway?sslmode=verify-full", "db/gateway"),
        ("postgresql://gw:hunt@er2@db/gateway", "db/gateway"),
        ("postgresql:///gateway?host=%2Frun%2Fpostgresql&user=gw&password=hunter2", "/run/postgresql/gateway"),
    ],
)
def test_what_people_see_of_an_address_is_host_and_database(url: str, name: str) -> None:
    assert PostgresAddress.of(url).name == name


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://gw:hunt/er2@db/gateway",
        "postgresql://gw:hunt?er2@db/gateway",
        "postgresql://gw:hunt#er2@db/gateway",
        "postgresql:hunter2",
        "hunter2",
    ],
)
def test_an_address_that_could_be_read_in_two_ways_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ConfigError, match="store url") as refused:
        PostgresAddress.of(url)
    assert "hunt" not in str(refused.value)
    assert "er2" not in str(refused.value)


def test_the_file_with_the_password_is_ours_and_the_rest_is_the_drivers() -> None:
    address = PostgresAddress.of("postgresql://gw@db/gateway?sslmode=verify-full&password_file=%2Frun%2Fpw")
    assert address.password_file == Path("/run/pw")
    assert address.dsn == "postgresql://gw@db/gateway?sslmode=verify-full"
    assert PostgresAddress.of("postgresql:///gateway?host=%2Frun").dsn == "postgresql:///gateway?host=%2Frun"


@pytest.mark.parametrize("port", ["hunter2", "70000"])
async def test_what_cannot_be_an_address_is_said_without_repeating_it(port: str) -> None:
    with pytest.raises(FAULTS) as fault:
        await PostgresAddress.of(f"postgresql://gw@127.0.0.1:{port}/gateway").connect()
    assert "hunter2" not in str(fault.value).replace(f"127.0.0.1:{port}/gateway", "")


async def test_the_password_is_read_anew_for_each_connection(tmp_path: Path) -> None:
    file = tmp_path / "password"
    with running() as server:
        await say(server.url(), "CREATE ROLE guarded LOGIN PASSWORD 'first'")
        server.demand_password("guarded")
        await say(server.url(), "SELECT pg_reload_conf()")
        url = server.url().replace("postgres@", "guarded@")
        address = PostgresAddress.of(f"{url}&password_file={file}")
        for password in ("first", "second"):
            await say(server.url(), f"ALTER ROLE guarded PASSWORD '{password}'")
            file.write_text("wrong")
            with pytest.raises(FAULTS, match="password authentication failed"):
                await address.connect()
            file.write_text(f"{password}\n")
            connection = await address.connect(search_path="gateway")
            assert await connection.fetchval("SHOW search_path") == "gateway"
            await connection.close()


def certificate(folder: Path, name: str) -> None:
    """Write a key and a certificate for this machine that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    begun = datetime.fromtimestamp(AT // SECOND, UTC)
    made = (
        x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
        .not_valid_before(begun)
        .not_valid_after(begun + timedelta(days=36_500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    form = serialization.PrivateFormat.PKCS8
    (folder / f"{name}.key").write_bytes(key.private_bytes(serialization.Encoding.PEM, form, plain))
    (folder / f"{name}.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))


def pose(listener: socket.socket, folder: Path, answer: bytes) -> bytes:
    """Answer one client like a server as far as TLS; return what is said after that."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "ours.pem", folder / "ours.key")
    listener.settimeout(20)
    plain, _ = listener.accept()
    with plain:
        plain.settimeout(20)
        assert len(plain.recv(8)) == 8, "it asks whether TLS is spoken"
        plain.sendall(answer)
        try:
            with context.wrap_socket(plain, server_side=True) if answer == b"S" else plain as heard:
                return heard.recv(1000)
        except OSError:
            return b""


@pytest.mark.parametrize(
    ("host", "ca", "answer", "believed"),
    [
        ("localhost", "ours", b"S", True),
        ("localhost", "another", b"S", False),
        ("127.0.0.1", "ours", b"S", False),
        ("localhost", "ours", b"N", False),
    ],
    ids=["itself", "of-another-authority", "of-another-name", "without-tls"],
)
async def test_a_server_that_cannot_prove_who_it_is_is_told_nothing(
    tmp_path: Path, host: str, ca: str, answer: bytes, believed: bool
) -> None:
    for name in ("ours", "another"):
        certificate(tmp_path, name)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        told = asyncio.ensure_future(asyncio.to_thread(pose, listener, tmp_path, answer))
        port = listener.getsockname()[1]
        url = postgres_url(f"postgresql://gw:hunter2@{host}:{port}/gateway", None, tmp_path / f"{ca}.pem")
        with pytest.raises(FAULTS) as fault:
            await PostgresAddress.of(url).connect()
        assert "hunter2" not in str(fault.value)
        assert (b"gw" in await told) is believed
