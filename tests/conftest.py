"""What every test may rely on: nothing of the caller's environment, and no network beyond this machine."""

import os
import shutil
import signal
import sys
from collections.abc import Callable, Generator
from ipaddress import ip_address
from pathlib import Path
from typing import Any, NoReturn

import pytest
from hypothesis import settings

import hatch_build

ROOT = Path(__file__).resolve().parent.parent
PURE = ("core", "policies", "desk")
"""The packages that coverage measures: `[tool.coverage.run]` in pyproject.toml."""

# How long one example takes says nothing on a machine that runs other tests beside it.
settings.register_profile("project", deadline=None)
settings.load_profile("project")

# Servers that somebody else runs, for the tests alone; under these names they are no settings (see
# tests/postgres_server.py and tests/redis_server.py).
for _name in ("TEST_POSTGRES_URL", "TEST_REDIS_URL"):
    if _server := os.environ.get(f"GATEWAY_{_name}"):
        os.environ[_name] = _server

for _name in [name for name in os.environ if name.startswith(("GATEWAY_", "FORWARDED_ALLOW_IPS"))]:
    del os.environ[_name]

# A shell that starts the tests in the background has Ctrl-C ignored in all that they start.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


class NetworkForbiddenError(BaseException):
    """A test reached for another machine. Not an Exception, so that no code under test can take it for an outage."""


def _stay_on_this_machine(event: str, arguments: tuple[Any, ...]) -> None:
    if event in {"socket.connect", "socket.sendto"}:
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event == "socket.getaddrinfo":
        host = arguments[0]
    else:
        return
    name = host.decode() if isinstance(host, bytes) else host
    if not _is_here(name):
        raise NetworkForbiddenError(f"{event} to {name!r}: tests stay on the loopback interface")


def _is_here(host: str | None) -> bool:
    if not host or host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


sys.addaudithook(_stay_on_this_machine)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what compiles first: it takes a minute, in which no worker shall wait at the end for another one."""
    items.sort(key=lambda item: item.path.name != "test_compiled.py")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Let coverage trace the tests of the pure packages alone, which it measures.

    To be traced makes pure code take three times as long, in all tests that come past it. So the gate asks more, too: a
    branch counts as tested where a test of its own package reaches it.
    """
    coverage = getattr(item.config.pluginmanager.getplugin("_cov"), "cov_controller", None)
    if coverage is not None and coverage.started != (wanted := is_traced(item)):
        if wanted:
            coverage.resume()
        else:
            coverage.pause()
    return (yield)


def is_traced(item: pytest.Item) -> bool:
    """Return whether coverage looks on while a test runs."""
    own = any(item.path.is_relative_to(ROOT / "tests" / package) for package in PURE)
    return own and item.get_closest_marker("untraced") is None


@pytest.fixture(scope="session")
def root() -> Path:
    """Return the folder of the checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Return what finds a folder of test data that others publish; it lies beside the checkout, not in it.

    Whoever has cloned the project alone has no such data, and everything else can still be tried: there the test is
    skipped, and the summary says why. Where `CI` is set, a green run shall mean that everything ran, so it fails.
    """

    def find(name: str) -> Path:
        folder = ROOT.parent / "shared" / "data" / name
        if not folder.is_dir():
            _leave_out(f"no test data of others at {folder}; CONTRIBUTING.md says what belongs there", unless="CI")
        return folder

    return find


@pytest.fixture(scope="session")
def can_compile() -> None:
    """Return where this machine can compile the hot path.

    The gateway runs without a compiler, and so do its tests: there the test is skipped, and the summary says why.
    Where `TEST_COMPILED` is set it fails, so that who ships compiled wheels knows that they were tested.
    """
    lacking = hatch_build.lacking()
    if lacking is not None:
        _leave_out(f"the compiled hot path is not tested: {lacking}", unless="TEST_COMPILED")


@pytest.fixture(scope="session")
def has_haproxy() -> None:
    """Return where HAProxy is installed: no package of Python brings it, as one brings every other proxy.

    Elsewhere the test is skipped, and the summary says why; where `TEST_HAPROXY` is set, it fails.
    """
    if shutil.which("haproxy", path=f"{os.defpath}:/usr/local/sbin:/usr/sbin") is None:
        _leave_out("HAProxy is not tried: it is not installed (Debian: apt-get install haproxy)", unless="TEST_HAPROXY")


@pytest.fixture(scope="session")
def systemd_analyze() -> str:
    """Return the program that reads a unit as systemd does. Without systemd the test is skipped; see `has_haproxy`."""
    found = shutil.which("systemd-analyze")
    if found is None:
        _leave_out("the unit is not read by systemd: `systemd-analyze` is not here", unless="TEST_SYSTEMD")
    return found


def _leave_out(missing: str, *, unless: str) -> NoReturn:
    if os.environ.get(unless, "").lower() in {"", "0", "false"}:
        pytest.skip(missing)
    pytest.fail(f"{missing}. {unless} is set, so nothing may be skipped", pytrace=False)
