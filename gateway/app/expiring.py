"""Saying in time that an exception to a rule ends: once a day, while it has a week left."""

from collections.abc import Iterable
from typing import Any, Final

import structlog

from gateway.core.decision import instant_text
from gateway.policies.excepting import DAY_US, days_left, expiring
from gateway.policies.rules import PolicyException

log: Any = structlog.get_logger("gateway")

WITHIN_DAYS: Final = 7


class Expiring:
    """What this process has said of the end of exceptions."""

    def __init__(self) -> None:
        self._said: dict[str, int] = {}
        """The day on which each was named last, counted from 1970."""

    def tell(self, some: Iterable[PolicyException], now: int) -> None:
        """Log each exception in force that ends within a week, unless that was done today (UTC)."""
        today, soon = now // DAY_US, expiring(some, now, WITHIN_DAYS * DAY_US)
        for one in soon:
            if self._said.get(one.name) != today:
                log.warning(
                    "exceptions:expiring",
                    exception=one.name,
                    owner=one.owner,
                    until=instant_text(one.end),
                    days_left=days_left(one, now),
                )
        self._said = {one.name: today for one in soon}
