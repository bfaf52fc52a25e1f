from gateway.adapters.metrics import CONTENT_TYPE, Metrics

SECOND = 1_000_000
NOW = 1_763_700_000 * SECOND


class At:
    def now(self) -> int:
        return NOW


def exposed(**progress: int | None) -> dict[str, float]:
    text = Metrics(progress=lambda: progress, unrecorded=lambda: 3, clock=At()).exposition().decode()
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_a_gateway_that_does_not_ship_says_what_it_did_not_record() -> None:
    assert exposed() == {"gateway_decisions_unrecorded_total": 3}


def test_shipping_is_shown_as_it_was_written_down() -> None:
    found = exposed(
        at=NOW, shipped=7, behind_bytes=80, oldest=NOW - 2 * SECOND, journal_bytes=900, faults=1, damaged=2, removed=4
    )
    assert found == {
        "gateway_decisions_unrecorded_total": 3,
        "gateway_shipping_lag_seconds": 2,
        "gateway_shipping_behind_bytes": 80,
        "gateway_shipping_decisions_total": 7,
        "gateway_shipping_faults_total": 1,
        "gateway_journal_bytes": 900,
        "gateway_journal_damaged_total": 2,
        "gateway_journal_segments_removed_total": 4,
    }


def test_what_only_the_journal_brought_about_is_shown() -> None:
    found = exposed(at=NOW, errands=3, errands_unreadable=1)
    assert (found["gateway_errands_recovered_total"], found["gateway_errands_unreadable_total"]) == (3, 1)


def test_shipping_that_has_it_all_is_not_behind() -> None:
    assert exposed(at=NOW - SECOND, oldest=None, shipped=0)["gateway_shipping_lag_seconds"] == 0


def test_shipping_that_fell_silent_falls_behind() -> None:
    assert exposed(at=NOW - 60 * SECOND, oldest=None, shipped=0)["gateway_shipping_lag_seconds"] == 60
    assert exposed(at=NOW - 60 * SECOND, oldest=NOW - 90 * SECOND, shipped=0)["gateway_shipping_lag_seconds"] == 90


def test_each_sink_is_shown_under_its_name() -> None:
    found = exposed(
        at=NOW,
        **{"sink:siem:oldest": NOW - 3 * SECOND, "sink:siem:behind_bytes": 80, "sink:siem:sent": 7},
        **{"sink:siem:failures": 2, "sink:siem:unreadable": 1, "sink:siem:missed": 4},
        **{"sink:kafka:oldest": None, "sink:kafka:sent": 9},
    )
    assert {name: value for name, value in found.items() if "sink" in name} == {
        'gateway_sink_lag_seconds{sink="siem"}': 3,
        'gateway_sink_lag_seconds{sink="kafka"}': 0,
        'gateway_sink_behind_bytes{sink="siem"}': 80,
        'gateway_sink_behind_bytes{sink="kafka"}': 0,
        'gateway_sink_decisions_total{sink="siem"}': 7,
        'gateway_sink_decisions_total{sink="kafka"}': 9,
        'gateway_sink_failures_total{sink="siem"}': 2,
        'gateway_sink_failures_total{sink="kafka"}': 0,
        'gateway_sink_unreadable_total{sink="siem"}': 1,
        'gateway_sink_unreadable_total{sink="kafka"}': 0,
        'gateway_sink_segments_missed_total{sink="siem"}': 4,
        'gateway_sink_segments_missed_total{sink="kafka"}': 0,
    }


def test_where_nothing_is_archived_nothing_is_said_of_an_archive() -> None:
    found = exposed(at=NOW, journal_bytes=900, removed=4, **{"sink:siem:oldest": None})

    assert not any(name.startswith("gateway_shipping") for name in found)
    assert (found["gateway_journal_bytes"], found["gateway_journal_segments_removed_total"]) == (900, 4)


def test_sinks_of_who_fell_silent_fall_behind() -> None:
    found = exposed(at=NOW - 60 * SECOND, **{"sink:siem:oldest": None})

    assert found['gateway_sink_lag_seconds{sink="siem"}'] == 60


def test_the_type_of_the_text_is_that_of_prometheus() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=")
