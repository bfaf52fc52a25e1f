"""Commands on a store with alice in it, and people with token files: for the tests of holds, tickets and messages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from gateway.cli import app

Run = Callable[..., Any]
PEOPLE = {"sue": ["support"], "sam": ["support", "approver"], "app": ["approver"], "vera": ["viewer"], "ed": ["editor"]}


class Commands:
    """Runs `gateway …` on the test's own store."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = f"sqlite:///{path}/gateway.db"

    def fill(self) -> None:
        """Make alice's account and everybody's token."""
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

    def result(self, **more: object) -> Path:
        """Write what an identity provider found into a file."""
        path = self.path / f"result-{sum(1 for _ in self.path.iterdir())}.json"
        found = {"document": True, "liveness": True, "face_match": 0.97, "reference": "idp-1"}
        path.write_text(json.dumps(found | more))
        return path
