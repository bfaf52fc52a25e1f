from prometheus_client import CollectorRegistry, generate_latest

from gateway.adapters.policy_metrics import PolicyMetrics, Status


def test_a_process_shows_what_it_decides_by_and_whether_it_should_not() -> None:
    status = Status("ab" * 32, 1_500_000, 3, refused=False)
    registry = CollectorRegistry()
    registry.register(PolicyMetrics(lambda: status))
    shown = generate_latest(registry).decode()
    assert f'gateway_policy_bundle{{digest="{"ab" * 32}"}} 1.0' in shown
    assert "gateway_policy_since_seconds 1.5" in shown
    assert "gateway_policy_adoptions_total 3.0" in shown
    assert "gateway_policy_refused 0.0" in shown
    status = status._replace(refused=True)
    assert "gateway_policy_refused 1.0" in generate_latest(registry).decode()
