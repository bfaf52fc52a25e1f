"""Whether a gateway can do its work, part by part."""

from collections.abc import Iterable
from typing import NamedTuple


class Check(NamedTuple):
    """One part that was looked at."""

    name: str
    ok: bool
    says: str
    """What it is, or what is wrong with it, in a few words. It names no path and no address."""
    needed: bool = True
    """Whether nobody should be sent here without it. Where false, the gateway answers on, and narrows."""


def failing(checks: Iterable[Check]) -> tuple[str, ...]:
    """Return the names of what is needed and not well; none where the gateway is ready."""
    return tuple(check.name for check in checks if check.needed and not check.ok)
