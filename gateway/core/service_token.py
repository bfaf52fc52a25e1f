"""Tokens of the admin API: what lets a program or a person ask it. Their form, whose they are, when they hold."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from gateway.core.permissions import PEOPLE_ONLY, Identity, Permission, Person, Program, Role

PREFIX: Final = "gwt_"
"""Known to secret scanners: whoever finds a text that begins so knows what leaked."""
_FORM: Final = re.compile(r"gwt_([0-9a-f]{12})_([A-Za-z0-9_-]{43})\Z", re.ASCII)

SCOPES: Final = tuple(one for one in Permission if one not in PEOPLE_ONLY)
"""What a service token may open."""


class Presented(NamedTuple):
    """A token as it was sent."""

    token_id: str
    secret: str


class ServiceToken(NamedTuple):
    """What is kept of a token. Its secret is not."""

    token_id: str
    label: str
    scopes: frozenset[str]
    """What it opens for a program; empty for a person, whose roles say it."""
    created_by: str
    created_at: int
    """Microseconds since the epoch, as are the others."""
    expires_at: int
    revoked_at: int | None
    person: str | None = None
    """Whose personal token it is; None: a program's."""
    roles: frozenset[Role] = frozenset()

    @property
    def identity(self) -> Identity:
        """Who acts by it."""
        if self.person is not None:
            return Person(self.person, self.roles)
        return Program(f"token {self.token_id} ({self.label})", self.scopes)

    def holds(self, at: int) -> bool:
        """Return whether the token opens anything at `at`."""
        return self.revoked_at is None and at < self.expires_at

    def state(self, at: int) -> str:
        """Return `valid`, `expired` or `revoked`."""
        if self.revoked_at is not None:
            return "revoked"
        return "valid" if at < self.expires_at else "expired"


def token_text(token_id: str, secret: str) -> str:
    """Return the token as its owner keeps it."""
    return f"{PREFIX}{token_id}_{secret}"


def read_token(text: str) -> Presented | None:
    """Return the parts of a token; None where the text is none."""
    found = _FORM.match(text)
    return None if found is None else Presented(found[1], found[2])


def unknown_scope(names: Iterable[str]) -> str | None:
    """Return the first of the names that is no scope; None where all are."""
    known = set(SCOPES)
    return next((name for name in names if name not in known), None)
