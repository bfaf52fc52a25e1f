"""The plan reaches another process as it was made."""

from gateway.app.plan import Plan

LEAST = Plan("journal", None, 3600, None, 60)


def test_a_plan_is_read_as_it_was_written() -> None:
    plan = LEAST._replace(
        url="sqlite:///decisions.db",
        keep_money_s=5,
        personal="digest",
        digest_key="digest.key",
        compress=False,
        sinks=[{"kind": "kafka", "name": "kafka", "servers": ["k:1"]}],
    )

    assert Plan.of_line(plan.line()) == plan
    assert plan.line().count(b"\n") == 1


def test_a_plan_knows_whether_standard_output_is_written_to() -> None:
    assert not LEAST._replace(sinks=[{"kind": "lines"}]).to_stdout
    assert LEAST._replace(sinks=[{"kind": "lines"}, {"kind": "stdout"}]).to_stdout
