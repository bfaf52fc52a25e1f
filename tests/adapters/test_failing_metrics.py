from collections import Counter
from types import SimpleNamespace

from prometheus_client import CollectorRegistry, generate_latest

from gateway.adapters.failing_metrics import FailingMetrics
from gateway.core.failing import Kind


def test_what_is_in_work_refused_and_left_alone_is_counted() -> None:
    working = SimpleNamespace(in_work=3, late=0.25, shed=Counter({Kind.LOOKS: 2}))
    store = SimpleNamespace(what="store", is_open=True, opened=1, refused=4)
    registry = CollectorRegistry()
    registry.register(FailingMetrics(working, [store]))
    said = generate_latest(registry).decode()
    for line in (
        "gateway_requests_in_work 3.0",
        "gateway_loop_late_seconds 0.25",
        'gateway_requests_shed_total{kind="looks"} 2.0',
        'gateway_requests_shed_total{kind="money"} 0.0',
        'gateway_breaker_open{part="store"} 1.0',
        'gateway_breaker_opened_total{part="store"} 1.0',
        'gateway_breaker_refused_total{part="store"} 4.0',
    ):
        assert line in said.splitlines()
