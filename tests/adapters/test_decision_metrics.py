"""What was decided is counted by operation, outcome and reason, and how long it took by powers of two."""

from prometheus_client import CollectorRegistry

from gateway.adapters.decision_metrics import DecisionMetrics
from gateway.core.tallies import TOOK, Way
from tests.world import FakeClock


def registry(*counted, ages=()) -> CollectorRegistry:
    found = CollectorRegistry()
    found.register(DecisionMetrics(lambda: counted, lambda _: ages, FakeClock()))
    return found


def tally(*took_us: int) -> list[int]:
    found = [0] * (TOOK + 1)
    for one in took_us:
        found[one.bit_length()] += 1
        found[TOOK] += one
    return found


def test_decisions_are_counted_by_the_way_they_were_answered() -> None:
    found = registry((Way("view", "allow", ""), tally(10, 20)), (Way("withdraw", "deny", "hold"), tally(5000)))
    said = {"operation": "withdraw", "outcome": "deny", "reason": "hold"}
    assert found.get_sample_value("gateway_decisions_total", said) == 1
    assert (
        found.get_sample_value("gateway_decisions_total", {"operation": "view", "outcome": "allow", "reason": ""}) == 2
    )


def test_how_long_it_took_is_a_histogram_with_a_sum() -> None:
    found = registry(
        (Way("view", "allow", ""), tally(0, 31, 32)), (Way("deposit", "allow", ""), tally(900_000, 40_000_000))
    )
    name = "gateway_decision_duration_seconds"

    def bucket(le: str) -> float | None:
        return found.get_sample_value(f"{name}_bucket", {"outcome": "allow", "le": le})

    assert (bucket("3.2e-05"), bucket("6.4e-05"), bucket("1.048576"), bucket("+Inf")) == (2, 3, 4, 5)
    assert found.get_sample_value(f"{name}_count", {"outcome": "allow"}) == 5
    assert found.get_sample_value(f"{name}_sum", {"outcome": "allow"}) == 40.900063


def test_databases_are_as_old_as_they_say() -> None:
    found = registry(ages=(("country", 86_400), ("undated", None)))
    assert found.get_sample_value("gateway_geo_database_age_seconds", {"database": "country"}) == 86_400
    assert found.get_sample_value("gateway_geo_database_age_seconds", {"database": "undated"}) is None
