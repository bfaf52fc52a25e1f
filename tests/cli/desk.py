"""Commands on a store with alice in it, and people with token files: for the tests of holds, tickets and messages."""

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gateway.cli import app
from tests.api.desk import PNG

Run = Callable[..., Any]
PEOPLE = {"sue": ["support"], "sam": ["support", "approver"], "app": ["approver"], "vera": ["viewer"], "ed": ["editor"]}


class Commands:
    """Runs `gateway …` on the test's own store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = f"sqlite:///{path}/gateway.db"

    def fill(self) -> None:
        """Make alice's account and everybody's token."""
        (self.path / "kept").mkdir(mode=0o700)
        (self.path / "evidence.key").write_text(f"k1 {base64.b64encode(b'm' * 32).decode()}\n")
        (self.path / "selfie.png").write_bytes(PNG)
        self("account", "set", "alice", "--create", "--documents", "PT", "--why", "moved in", "--who", "import")
        for name, roles in PEOPLE.items():
            words = [word for role in roles for word in ("--role", role)]
            self.keep(name, self("token", "create", "--person", name, *words, "--why", "T-1").stdout)
        made = self("token", "create", "--label", "bot", "--scope", "evidence:write", "--why", "T-1")
        self.keep("bot", made.stdout)

    def __call__(self, *words: str, env: dict[str, str] | None = None) -> Any:
        return CliRunner().invoke(app, [*words, "--store", self.store], env=env)

    def keep(self, name: str, token: str) -> None:
        """Keep a token in a file that its owner alone may read."""
        path = self.token(name)
        path.touch(0o600)
        path.write_text(token)

    def token(self, name: str) -> Path:
        return self.path / f"{name}.token"

    def as_(self, who: str, *words: str) -> Any:
        return self(*words, "--token-file", str(self.token(who)))

    def json(self, *words: str) -> Any:
        done = self(*words, "--json")
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)

    def hold(self, *more: str) -> str:
        """Place a hold on alice's withdrawals; its ticket's id comes back."""
        words = ("--operation", "withdraw", "--kind", "withdrawal_review", "--hours", "72", "--why", "she called us")
        found: str = self.json("hold", "place", "alice", *words, *more)["id"]
        return found

    def attach(self, who: str, ticket: str, *more: str, kind: str = "selfie_with_document") -> Any:
        """Attach the picture of the test to a ticket."""
        place = ("--files", str(self.path / "kept"), "--files-key", str(self.path / "evidence.key"))
        words = ("--file", str(self.path / "selfie.png"), "--kind", kind)
        return self.as_(who, "ticket", "attach", ticket, *words, *place, *more)
