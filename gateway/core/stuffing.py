"""Whether one network tries many accounts: attempts of the last hour by network, in bounded memory."""

from typing import Final, NamedTuple

from gateway.core.forgetting import SECOND

WINDOW: Final = 3600 * SECOND
LEAST_ATTEMPTS: Final = 25
LEAST_ACCOUNTS: Final = 15
LEAST_FAILED: Final = 0.5
"""Above these it is no shared gateway on a busy hour: there, most know their passwords."""

_MOST_NETWORKS: Final = 10_000
_MOST_ACCOUNTS: Final = 64
"""Accounts that are told apart; more of them are many."""


class Attempts(NamedTuple):
    """What one network did in an hour."""

    attempts: int
    failed: int
    accounts: int

    @property
    def stuffing(self) -> bool:
        """Whether this is somebody who tries stolen passwords."""
        return (
            self.attempts >= LEAST_ATTEMPTS
            and self.accounts >= LEAST_ACCOUNTS
            and self.failed >= LEAST_FAILED * self.attempts
        )


class _Hour:
    __slots__ = ("accounts", "attempts", "before", "began", "failed")

    def __init__(self, began: int, before: Attempts) -> None:
        self.began = began
        self.before = before
        self.attempts = self.failed = 0
        self.accounts: set[int] = set()

    def so_far(self) -> Attempts:
        return Attempts(self.attempts, self.failed, len(self.accounts))


_NONE: Final = Attempts(0, 0, 0)


class Networks:
    """The attempts of the networks that tried last. An hour is the current one, or the whole one before it."""

    __slots__ = ("_hours",)

    def __init__(self) -> None:
        self._hours: dict[int, _Hour] = {}

    def observe(self, network: int | None, account: int, at: int, *, failed: bool) -> None:
        """Take in an attempt to log in, from a network by its digest; None is left out, since it is no network."""
        if network is None:
            return
        hour = self._hours.pop(network, None)
        if hour is None or at - hour.began >= WINDOW:
            hour = _Hour(at, hour.so_far() if hour and at - hour.began < 2 * WINDOW else _NONE)
        self._hours[network] = hour
        if len(self._hours) > _MOST_NETWORKS:
            del self._hours[next(iter(self._hours))]
        hour.attempts += 1
        hour.failed += failed
        if len(hour.accounts) < _MOST_ACCOUNTS:
            hour.accounts.add(account)

    def attempts(self, network: int | None, at: int) -> Attempts:
        """Return what a network did lately: the more telling of the hour that runs and the one before it."""
        hour = None if network is None else self._hours.get(network)
        if hour is None or at - hour.began >= 2 * WINDOW:
            return _NONE
        now = hour.so_far()
        if at - hour.began >= WINDOW:
            return now
        return max(now, hour.before, key=lambda one: (one.stuffing, one.failed))
