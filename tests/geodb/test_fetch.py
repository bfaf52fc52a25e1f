"""Fetching: whole and as expected, or not at all."""

import datetime as dt
import gzip
import hashlib
import ssl
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from geodb.edition import BadEdition
from geodb.fetch import fetch, is_address

CONTENT = bytes(range(256)) * 500
DIGEST = hashlib.sha256(CONTENT).hexdigest()


class _Pages(BaseHTTPRequestHandler):
    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/moved":
            self._answer(302, b"", Location="/file")
        elif self.path == "/downgraded":
            self._answer(302, b"", Location="http://127.0.0.1:1/file")
        elif self.path == "/file.gz?edition=1":
            self._answer(200, gzip.compress(CONTENT))
        elif self.path == "/file":
            self._answer(200, CONTENT)
        elif self.path == "/cut":
            self._answer(200, CONTENT[:-1], **{"Content-Length": str(len(CONTENT))})
        elif self.path == "/trickle":
            self._answer(200, b"", **{"Content-Length": "1000000"})
            for _ in range(200):
                try:
                    self.wfile.write(b"x" * 5000)
                    self.wfile.flush()
                except OSError:
                    return
                time.sleep(0.01)
        else:
            self._answer(404, b"not here")

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's own name
        pass


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is what these tests are about."""


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for localhost and its key, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    day = dt.timedelta(days=1)
    now = dt.datetime.now(dt.UTC)  # noqa: TID251 - a certificate is valid by the real clock
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now - day, now + day)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


@pytest.fixture
def site(certificate: Path) -> Iterator[str]:
    server = _Quiet(("127.0.0.1", 0), _Pages)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"https://localhost:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certificate)


def test_a_path_is_copied_and_its_digest_said(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    assert fetch(str(tmp_path / "a"), tmp_path / "b", sha256=DIGEST.upper()) == DIGEST
    assert (tmp_path / "b").read_bytes() == CONTENT


def test_a_packed_file_is_unpacked_and_its_digest_is_of_the_packed_one(tmp_path: Path) -> None:
    packed = gzip.compress(CONTENT)
    (tmp_path / "a.gz").write_bytes(packed)
    assert fetch(str(tmp_path / "a.gz"), tmp_path / "b") == hashlib.sha256(packed).hexdigest()
    assert (tmp_path / "b").read_bytes() == CONTENT


@pytest.mark.parametrize("page", ["/file", "/moved", "/file.gz?edition=1"])
def test_an_https_address_is_fetched(site: str, context: ssl.SSLContext, tmp_path: Path, page: str) -> None:
    told: list[tuple[str, int]] = []
    fetch(site + page, tmp_path / "b", context=context, progress=lambda *step: told.append(step))
    assert (tmp_path / "b").read_bytes() == CONTENT
    assert told[-1][0] == "fetching"


@pytest.mark.parametrize(
    ("page", "why"),
    [
        ("/none", "cannot be had: the server answers 404 Not Found"),
        ("/downgraded", "http://127.0.0.1:1/file: only https addresses and paths"),
        ("/cut", "127999 bytes came of the 128000 that were announced"),
    ],
)
def test_what_does_not_arrive_whole_is_not_kept(
    site: str, context: ssl.SSLContext, tmp_path: Path, page: str, why: str
) -> None:
    with pytest.raises(BadEdition, match=why):
        fetch(site + page, tmp_path / "b", context=context)
    assert not list(tmp_path.iterdir())


def test_a_server_that_trickles_does_not_hold_us(site: str, context: ssl.SSLContext, tmp_path: Path) -> None:
    with pytest.raises(BadEdition, match="did not arrive in time"):
        fetch(f"{site}/trickle", tmp_path / "b", context=context, patience_s=0.05)
    assert not list(tmp_path.iterdir())


def test_a_server_that_nobody_vouches_for_is_not_believed(site: str, tmp_path: Path) -> None:
    with pytest.raises(BadEdition, match=r"cannot be had: .*certificate verify failed"):
        fetch(f"{site}/file", tmp_path / "b")


@pytest.mark.parametrize("source", ["http://localhost/x", "ftp://localhost/x", "file:///etc/passwd"])
def test_only_https_is_fetched_from(tmp_path: Path, source: str) -> None:
    assert is_address(source)
    with pytest.raises(BadEdition, match="only https addresses and paths are fetched from"):
        fetch(source, tmp_path / "b")


def test_another_digest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(CONTENT)
    with pytest.raises(BadEdition, match=f"its SHA-256 is {DIGEST}, not the expected {'0' * 64}"):
        fetch(str(tmp_path / "a"), tmp_path / "b", sha256="0" * 64)
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("packed", [False, True])
def test_a_file_beyond_the_limit_is_refused_packed_or_unpacked(tmp_path: Path, *, packed: bool) -> None:
    name = "bomb.gz" if packed else "large"
    content = bytes(3 << 20)
    (tmp_path / name).write_bytes(gzip.compress(content) if packed else content)
    with pytest.raises(BadEdition, match="larger than 1000000 bytes" + (" when unpacked" if packed else "")):
        fetch(str(tmp_path / name), tmp_path / "b", limit=1_000_000)
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.parametrize("harm", ["not gzip", "cut", "flipped"])
def test_a_packed_file_that_does_not_unpack_is_refused(tmp_path: Path, harm: str) -> None:
    packed = bytearray(gzip.compress(CONTENT))
    if harm == "cut":
        del packed[-20:]
    elif harm == "flipped":
        packed[40] ^= 0xFF
    else:
        packed = bytearray(CONTENT)
    (tmp_path / "a.gz").write_bytes(packed)
    with pytest.raises(BadEdition, match=r"a\.gz: cannot be had"):
        fetch(str(tmp_path / "a.gz"), tmp_path / "b")
    assert [path.name for path in tmp_path.iterdir()] == ["a.gz"]


def test_a_path_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(BadEdition, match=r"none: cannot be had: .*No such file"):
        fetch(str(tmp_path / "none"), tmp_path / "b")
