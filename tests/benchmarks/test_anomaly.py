from benchmarks.anomaly import measure


def test_the_figures_of_the_anomaly_score_are_measured() -> None:
    found = measure(20, 120)

    assert found["events"] > 300
    assert min(found.values()) > 0
    assert found["bytes_p50"] <= found["bytes_p95"] <= found["bytes_most"]
