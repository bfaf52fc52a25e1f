"""A new master key opens every file, and the old one may go."""

import base64
import json
from pathlib import Path

from tests.api.desk import png
from tests.cli.desk import Commands

NEW = f"k2 {base64.b64encode(b'n' * 32).decode()}\n"


def place(run: Commands) -> tuple[str, ...]:
    return ("--files", str(run.path / "kept"), "--files-key", str(run.path / "evidence.key"))


def kept(run: Commands) -> list[Path]:
    return sorted(path for path in (run.path / "kept").rglob("*") if path.is_file())


def two_files(run: Commands) -> str:
    ticket = run.hold()
    assert run.attach("sue", ticket).exit_code == 0
    (run.path / "selfie.png").write_bytes(png(7))
    assert run.attach("sue", ticket, kind="signed_note").exit_code == 0
    return ticket


def test_after_a_rewrap_the_old_key_may_go(run: Commands) -> None:
    two_files(run)
    keys = run.path / "evidence.key"
    keys.write_text(NEW + keys.read_text())
    tried = run("evidence", "rewrap", "--dry-run", *place(run))
    assert (tried.exit_code, tried.stdout) == (1, "2 to rewrap, 0 opened by the newest key already, 0 faults\n")
    before = [path.read_bytes() for path in kept(run)]
    done = run("evidence", "rewrap", *place(run))
    assert (done.exit_code, done.stdout) == (0, "2 rewrapped, 0 opened by the newest key already, 0 faults\n")
    for old, path in zip(before, kept(run), strict=True):
        assert path.read_bytes()[:7] != old[:7]
        assert path.read_bytes()[67:] == old[67:], "the pieces are as they were"
        assert path.stat().st_mode & 0o777 == 0o600
    keys.write_text(NEW)
    again = run("evidence", "rewrap", *place(run), "--json")
    assert json.loads(again.stdout) == {"rewrapped": 0, "as_they_were": 2, "faults": [], "dry_run": False}


def test_a_file_whose_key_is_gone_is_named_and_the_others_are_done(run: Commands) -> None:
    two_files(run)
    keys = run.path / "evidence.key"
    keys.write_text(NEW + keys.read_text())
    lost = kept(run)[0]
    lost.write_bytes(lost.read_bytes().replace(b"k1", b"k9", 1))
    done = run("evidence", "rewrap", *place(run))
    assert (done.exit_code, done.stdout) == (1, "1 rewrapped, 0 opened by the newest key already, 1 faults\n")
    assert f"{lost.parent.name}/{lost.name}" in done.stderr
    assert "master key `k9` is not among those configured" in done.stderr


def test_where_no_evidence_is_kept_the_command_says_what_to_give(run: Commands) -> None:
    refused = run("evidence", "rewrap")
    assert (refused.exit_code, "--files and --files-key" in refused.stderr) == (2, True)
