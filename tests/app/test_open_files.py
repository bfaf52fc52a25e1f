"""As many files may be open as the machine allows, and too few are said."""

import resource

import pytest
from structlog.testing import capture_logs

from gateway.app import open_files
from gateway.config import load

START = "[client_ip]\ntrusted_proxies = []\n"
UPSTREAM = '[upstream]\nurl = "http://127.0.0.1:9000"\nconnections = 10\nwebsockets = 100\n'
MORE = '[[upstreams]]\nurl = "http://127.0.0.1:9001"\npath = "/x"\nconnections = 1\nwebsockets = 0\n'


@pytest.fixture
def settings(tmp_path):
    def of(text):
        (tmp_path / "gateway.toml").write_text(START + text)
        return load(tmp_path / "gateway.toml", {})

    return of


@pytest.fixture
def limits(monkeypatch):
    """What the machine allows, in place of the real thing: a test that lowers that cannot raise it again."""
    found = {"limits": (64, 476), "set": []}
    monkeypatch.setattr(resource, "getrlimit", lambda what: found["limits"] if what == resource.RLIMIT_NOFILE else None)
    monkeypatch.setattr(resource, "setrlimit", lambda *said: found["set"].append(said))
    return found


def test_two_files_for_each_connection_to_an_upstream_and_some_besides(settings) -> None:
    none, one, two = (open_files.needed_files(settings(text)) for text in ("", UPSTREAM, UPSTREAM + MORE))
    assert (one - none, two - one) == (220, 2)


def test_the_limit_is_raised_to_what_is_allowed(settings, limits) -> None:
    with capture_logs() as logs:
        assert open_files.allow_open_files(settings(UPSTREAM)) == 476
    assert limits["set"] == [(resource.RLIMIT_NOFILE, (476, 476))]
    assert logs == []


def test_too_few_are_said(settings, limits) -> None:
    with capture_logs() as logs:
        open_files.allow_open_files(settings(UPSTREAM + MORE))
    assert [(one["event"], one["allowed"], one["needed"]) for one in logs] == [("files:too_few", 476, 478)]


def test_what_is_allowed_already_is_left_alone_and_infinity_is_enough(settings, limits) -> None:
    limits["limits"] = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    with capture_logs() as logs:
        open_files.allow_open_files(settings(UPSTREAM + MORE))
    assert (limits["set"], logs) == ([], [])
