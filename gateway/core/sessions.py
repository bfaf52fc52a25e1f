"""Sessions that were ended, or count for less: what a credential still proves after that."""

from collections.abc import Iterable
from hashlib import sha256
from typing import NamedTuple


class Standing(NamedTuple):
    """What revocations leave of a session."""

    over: bool = False
    level: int | None = None
    """The assurance that it counts for at most; None where nothing bounds it."""


def session_digest(session: str) -> str:
    """Return what a session's name is kept as."""
    return sha256(session.encode("utf-8", "surrogatepass")).hexdigest()


def standing(revocations: Iterable[tuple[str, int, int | None]], names: Iterable[str], began: int | None) -> Standing:
    """Return what is left of a session by its names (`sid`, `jti`), from the account's revocations.

    Each is a digest of the session's name (empty: all sessions), the instant before which they began, and the level
    that is left, None where none is. `began` is None where nobody knows: then every revocation is about it. A session
    that was ended by its name stays over: renewing its token does not begin another.
    """
    digests = {"", *(session_digest(name) for name in names)}
    level: int | None = None
    for session, before, left in revocations:
        by_name = bool(session) and left is None
        if session not in digests or (not by_name and began is not None and began >= before):
            continue
        if left is None:
            return Standing(over=True)
        level = left if level is None else min(level, left)
    return Standing(level=level)
