"""What an account withdrew in the last 24 hours: the fact `withdrawn_today_usd`, from what the exchange tells."""

from typing import Any, Final, Protocol

import structlog

from gateway.core.errors import StoreUnavailable
from gateway.core.facts import Fact, Unknown
from gateway.core.forgetting import DAY
from gateway.core.terms import MONEY_MOVING, Operation, WhyUnknown
from gateway.ports import MICROSECONDS

log: Any = structlog.get_logger("gateway")

AHEAD: Final = 300 * MICROSECONDS
"""How far the exchange's clock may be ahead of ours: what it says was just withdrawn was."""


class Withdrawals(Protocol):
    """What was withdrawn."""

    async def amount_usd(self, uid: str, after: int, until: int) -> float | None:
        """Return the sum of the account's withdrawals in `(after, until]`; None where one does not say its amount.

        Raise StoreUnavailable within a bounded time.
        """


class WithdrawnToday:
    """Adds up. Asked of each request that moves money: no answer of it is remembered."""

    def __init__(self, withdrawals: Withdrawals) -> None:
        self._withdrawals = withdrawals

    async def __call__(self, at: int, operation: Operation, uid: Fact[str | None]) -> Fact[float | None]:
        """Return US dollars; None for what moves no money, and for nobody. Never raises."""
        if operation not in MONEY_MOVING or uid is None:
            return None
        if not isinstance(uid, str):
            return Unknown(uid.why)
        try:
            found = await self._withdrawals.amount_usd(uid, at - DAY, at + AHEAD)
        except StoreUnavailable:
            return Unknown(WhyUnknown.STORE_UNAVAILABLE)
        except Exception:
            # Whatever else a store can do: the request is decided and recorded, without the amount.
            log.exception("withdrawn:failed")
            return Unknown(WhyUnknown.STORE_UNAVAILABLE)
        return Unknown(WhyUnknown.NOT_SUPPLIED) if found is None else found
