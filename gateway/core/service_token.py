"""Service tokens: what lets a program or a colleague ask the admin API. Their form, their scopes, when they hold."""

import re
from collections.abc import Iterable
from enum import StrEnum, unique
from typing import Final, NamedTuple

PREFIX: Final = "gwt_"
"""Known to secret scanners: whoever finds a text that begins so knows what leaked."""
_FORM: Final = re.compile(r"gwt_([0-9a-f]{12})_([A-Za-z0-9_-]{43})\Z", re.ASCII)


@unique
class Scope(StrEnum):
    """What a token opens."""

    DECISIONS_READ = "decisions:read"
    DECISIONS_UNMASK = "decisions:unmask"
    """Addresses and documents as they are, where the caller says why; each is written into the audit."""
    DECISIONS_ERASE = "decisions:erase"
    """Personal data of one account or address erased from recorded decisions, for good; written into the audit."""
    METRICS_READ = "metrics:read"


class Presented(NamedTuple):
    """A token as it was sent."""

    token_id: str
    secret: str


class ServiceToken(NamedTuple):
    """What is kept of a token. Its secret is not."""

    token_id: str
    label: str
    scopes: frozenset[str]
    created_by: str
    created_at: int
    """Microseconds since the epoch, as are the others."""
    expires_at: int
    revoked_at: int | None

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
    known = set(Scope)
    return next((name for name in names if name not in known), None)
