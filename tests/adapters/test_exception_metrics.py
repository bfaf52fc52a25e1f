from prometheus_client import CollectorRegistry, generate_latest

from gateway.adapters.exception_metrics import ExceptionMetrics
from gateway.core.terms import Operation
from gateway.core.verdict import RuleRef
from gateway.policies.expression import ALWAYS
from gateway.policies.rules import PolicyException

DAY = 86_400_000_000
NOW = 20_000 * DAY


class At:
    def now(self) -> int:
        return NOW


def lasting(start: int, end: int) -> PolicyException:
    whom = (frozenset({Operation.VIEW}), ALWAYS, "True", (RuleRef("p", "r"),), "a reason", "a basis", None)
    return PolicyException(f"some/{start}-{end}", "tests", *whom, NOW + start * DAY, NOW + end * DAY)


def exposed(*some: PolicyException) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(ExceptionMetrics(lambda: some, At()))
    lines = [line.rsplit(" ", 1) for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in lines}


def test_exceptions_are_counted_by_where_they_stand() -> None:
    some = (lasting(-9, -1), lasting(-9, 0), lasting(-9, 14), lasting(-9, 15), lasting(0, 1), lasting(1, 2))
    assert exposed(*some) == {
        'gateway_policy_exceptions{state="coming"}': 1,
        'gateway_policy_exceptions{state="in_force"}': 3,
        'gateway_policy_exceptions{state="expired"}': 2,
        "gateway_policy_exceptions_expiring": 2,
    }


def test_without_any_each_state_is_there_and_zero() -> None:
    assert set(exposed().values()) == {0}
    assert len(exposed()) == 4
