"""A dictionary that forgets everything when it is full."""

from collections.abc import Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Memo(dict[K, V], Generic[K, V]):
    """What was worked out once, at most `limit` entries.

    Dropping all of it is cheaper than keeping an order of use on every hit, and cannot be steered by whoever sends
    the requests: a flood of new keys costs everybody one cold answer, not a scan.
    """

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def keep(self, key: K, value: V) -> V:
        """Return `value` after remembering it."""
        if len(self) >= self._limit:
            self.clear()
        self[key] = value
        return value
