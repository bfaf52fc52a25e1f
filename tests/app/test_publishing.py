"""From settings to what publishes: the terms as they are written, and whom they guard."""

from pathlib import Path

import pytest

from gateway.adapters.sql import AccountStore
from gateway.app.publishing import READ_ONLY, guarded_by, publishing_of
from gateway.config import load
from gateway.core.errors import ConfigError

GUARD = '[[policies.never_lock_out]]\nname = "the desk"\noperations = ["view"]\nfacts = {}\n'


def settings(tmp_path: Path, policies: str):
    file = tmp_path / "gateway.toml"
    file.write_text(f"[client_ip]\ntrusted_proxies = []\n[policies]\n{policies}\n")
    return load(file, {})


def test_policies_from_files_are_published_nowhere(tmp_path: Path) -> None:
    store = AccountStore(f"sqlite:///{tmp_path}/gateway.db")
    assert publishing_of(settings(tmp_path, ""), store).read_only == READ_ONLY
    assert publishing_of(settings(tmp_path, 'source = "store"'), store).read_only is None


def test_whom_it_guards_is_read_as_in_a_test_of_a_policy(tmp_path: Path) -> None:
    facts = '{country = "PT", status = "open", flags = ["staff"]}'
    (one,) = guarded_by(settings(tmp_path, GUARD.format(facts)))
    assert (one.name, one.facts["flags"]) == ("the desk", frozenset({"staff"}))


@pytest.mark.parametrize(
    ("facts", "said"),
    [("{contry = 'PT'}", "did you mean `country`"), ("{status = 'open'}", "say from which `country`")],
)
def test_facts_that_cannot_be_end_the_start(tmp_path: Path, facts: str, said: str) -> None:
    with pytest.raises(ConfigError, match=rf"policies.never_lock_out\[0\]: .*{said}"):
        guarded_by(settings(tmp_path, GUARD.format(facts)))
