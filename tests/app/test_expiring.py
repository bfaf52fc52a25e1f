from structlog.testing import capture_logs

from gateway.app.expiring import Expiring
from gateway.core.terms import Operation
from gateway.core.verdict import RuleRef
from gateway.policies.expression import ALWAYS
from gateway.policies.rules import PolicyException

DAY = 86_400_000_000
END = 20_000 * DAY + DAY // 2


def ending(name: str, end: int = END) -> PolicyException:
    whom = (frozenset({Operation.VIEW}), ALWAYS, "True", (RuleRef("p", "r"),), "a reason", "a basis", None)
    return PolicyException(name, "compliance", *whom, end - 30 * DAY, end)


def said(telling: Expiring, *some: PolicyException, at: int) -> list[tuple[str, str, int]]:
    with capture_logs() as logs:
        telling.tell(some, at)
    return [(one["event"], one["exception"], one["days_left"]) for one in logs]


def test_the_end_is_said_once_a_day_in_the_last_week() -> None:
    telling, one = Expiring(), ending("desk/a")
    assert said(telling, one, at=END - 7 * DAY - 1) == []
    assert said(telling, one, at=END - 7 * DAY) == [("exceptions:expiring", "desk/a", 7)]
    assert said(telling, one, at=END - 7 * DAY + 30_000_000) == []
    assert said(telling, one, at=END - 6 * DAY) == [("exceptions:expiring", "desk/a", 6)]
    assert said(telling, one, at=END - 1) == [("exceptions:expiring", "desk/a", 1)]
    assert said(telling, one, at=END) == []


def test_one_that_comes_later_is_said_the_same_day() -> None:
    telling, one, other = Expiring(), ending("desk/a"), ending("desk/b", END + DAY)
    assert len(said(telling, one, at=END - 3 * DAY)) == 1
    assert said(telling, one, other, at=END - 3 * DAY) == [("exceptions:expiring", "desk/b", 4)]


def test_what_is_gone_is_forgotten() -> None:
    telling, one = Expiring(), ending("desk/a")
    said(telling, one, at=END - 3 * DAY)
    said(telling, at=END - 3 * DAY)
    assert len(said(telling, one, at=END - 3 * DAY)) == 1
