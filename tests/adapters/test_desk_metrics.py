from prometheus_client import CollectorRegistry, generate_latest

from gateway.adapters.desk_metrics import Delivered, DeskCounts, DeskMetrics, Observed
from gateway.desk.carried import Outcome


def exposed(counts: DeskCounts) -> dict[str, float]:
    registry = CollectorRegistry()
    registry.register(DeskMetrics(lambda: counts))
    lines = [line.rsplit(" ", 1) for line in generate_latest(registry).decode().splitlines() if line[0] != "#"]
    return {name: float(value) for name, value in lines}


def test_every_outcome_of_an_errand_is_there_from_the_start() -> None:
    found = exposed(DeskCounts({Outcome.DONE: 3, Outcome.REFUSED: 1}, 2))
    assert found == {
        **{f'gateway_errands_total{{outcome="{outcome}"}}': 0 for outcome in Outcome},
        'gateway_errands_total{outcome="done"}': 3,
        'gateway_errands_total{outcome="refused"}': 1,
        "gateway_errands_put_off_total": 2,
        "gateway_evidence_removed_total": 0,
    }


def test_messages_and_logins_are_counted_where_there_are_any_to_count() -> None:
    found = exposed(DeskCounts({}, 0, 6, Delivered(7, 2, 1), Observed(4, 5)))
    assert {name: value for name, value in found.items() if "errands" not in name} == {
        "gateway_evidence_removed_total": 6,
        "gateway_outbox_delivered_total": 7,
        "gateway_outbox_failed_tries_total": 2,
        "gateway_outbox_parked_total": 1,
        "gateway_logins_lost_total": 4,
        "gateway_logins_unnamed_total": 5,
    }
