from prometheus_client import CollectorRegistry, generate_latest

from gateway.adapters.redis.link import Latency
from gateway.adapters.redis.metrics import RedisCounts, RedisMetrics


def test_each_number_is_told_under_its_name() -> None:
    latency = Latency()
    latency.observe(0.0004)
    registry = CollectorRegistry()
    counts = RedisCounts(True, 2, {"used": 5, "away": 1}, 3, 4, latency.buckets(), latency.sum_s)
    registry.register(RedisMetrics(lambda: counts))
    told = generate_latest(registry).decode()
    for line in (
        "gateway_redis_up 1.0",
        "gateway_redis_faults_total 2.0",
        'gateway_redis_reads_total{result="used"} 5.0',
        'gateway_redis_reads_total{result="refused"} 0.0',
        'gateway_redis_rings_total{direction="sent"} 3.0',
        'gateway_redis_rings_total{direction="heard"} 4.0',
        'gateway_redis_command_seconds_bucket{le="0.0005"} 1.0',
        "gateway_redis_command_seconds_count 1.0",
    ):
        assert line in told.splitlines()
