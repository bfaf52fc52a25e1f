"""From settings to what publishes: the terms as they are written, and whom they guard."""

from pathlib import Path

from gateway.adapters.sql import AccountStore
from gateway.app.publishing import READ_ONLY, publishing_of
from gateway.config import load


def settings(tmp_path: Path, policies: str):
    file = tmp_path / "gateway.toml"
    file.write_text(f"[client_ip]\ntrusted_proxies = []\n[policies]\n{policies}\n")
    return load(file, {})


def test_policies_from_files_are_published_nowhere(tmp_path: Path) -> None:
    store = AccountStore(f"sqlite:///{tmp_path}/gateway.db")
    assert publishing_of(settings(tmp_path, ""), store).read_only == READ_ONLY
    assert publishing_of(settings(tmp_path, 'source = "store"'), store).read_only is None
