"""Everything that would stop a start is said at once, and looking changes nothing."""

import pytest

from gateway.app.checking import examined
from gateway.config import load
from gateway.core.errors import ConfigError


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_what_would_start_is_said_with_what_it_would_decide_by_and_nothing_is_made(site) -> None:
    settings = load(site.config)
    before = files(site.folder)
    found = examined(settings)
    assert found.problems == ()
    assert found.bundle is not None
    assert any("[upstream]" in warning for warning in found.warnings)
    assert files(site.folder) == before


def test_all_problems_are_said_at_once(site) -> None:
    text = site.config.read_text()
    (site.folder / "key").write_text("no key")
    site.config.write_text(
        text.replace("[journal]", '[journal]\nsigning_key = "key"')
        + '\n[[policies.never_lock_out]]\nname = "ops"\nfacts = {contry = "PT"}\noperations = ["view"]\n'
    )
    settings = load(site.config)
    (site.folder / "policies" / "closed.yaml").write_text("policy: [")
    (site.folder / "jwks.json").write_text("{}")
    found = examined(settings)
    said = "\n".join(found.problems)
    for word in ("closed.yaml", "jwks", "contry", "key"):
        assert word in said, said
    assert found.bundle is None


def test_what_only_the_whole_can_know_is_said_too(site, monkeypatch) -> None:
    def whole(_settings: object) -> None:
        raise ConfigError("one line\nand another")

    monkeypatch.setattr("gateway.app.checking.Gateway", whole)
    assert examined(load(site.config)).problems == ("one line", "and another")


@pytest.mark.parametrize("line", ["[admin]\nport = 0\n"])
def test_the_admin_api_is_built_too(site, line: str) -> None:
    text = site.config.read_text().replace('ship = "off"', 'ship = "off"\nurl = "none"')
    site.config.write_text(text + line)
    (said,) = examined(load(site.config)).problems
    assert "archive" in said
