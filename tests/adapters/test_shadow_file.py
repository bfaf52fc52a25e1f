from prometheus_client import CollectorRegistry, generate_latest

from gateway.adapters.shadow_file import ShadowFile, ShadowMetrics

FOUND = {"decisions": 7, "divergences": [{"from": "allow", "to": "deny", "rule": "p/r", "decisions": 2}]}


def exposed(found) -> str:
    registry = CollectorRegistry()
    registry.register(ShadowMetrics(lambda: found))
    return generate_latest(registry).decode()


def test_what_was_written_is_read_and_nobody_else_may(tmp_path) -> None:
    file = ShadowFile(tmp_path)
    assert file.read() == {}
    file.write(FOUND)
    assert file.read() == FOUND
    assert file.path.stat().st_mode & 0o077 == 0
    assert [path.name for path in tmp_path.iterdir()] == ["shadow.json"]


def test_what_cannot_be_read_is_nothing(tmp_path) -> None:
    for text in (b"no JSON", b"[]"):
        (tmp_path / "shadow.json").write_bytes(text)
        assert ShadowFile(tmp_path).read() == {}


def test_decisions_and_divergences_are_metrics() -> None:
    text = exposed(FOUND)
    assert "gateway_shadow_decisions_total 7.0" in text
    assert 'gateway_shadow_divergences_total{from="allow",rule="p/r",to="deny"} 2.0' in text
    assert "gateway_shadow_refused 0.0" in text
    assert "gateway_shadow_refused 1.0" in exposed({**FOUND, "refused": "why"})


def test_where_no_candidate_is_followed_there_are_no_metrics() -> None:
    assert "shadow" not in exposed({})
