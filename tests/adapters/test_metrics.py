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


def test_shipping_that_has_it_all_is_not_behind() -> None:
    assert exposed(at=NOW - SECOND, oldest=None)["gateway_shipping_lag_seconds"] == 0


def test_shipping_that_fell_silent_falls_behind() -> None:
    assert exposed(at=NOW - 60 * SECOND, oldest=None)["gateway_shipping_lag_seconds"] == 60
    assert exposed(at=NOW - 60 * SECOND, oldest=NOW - 90 * SECOND)["gateway_shipping_lag_seconds"] == 90


def test_the_type_of_the_text_is_that_of_prometheus() -> None:
    assert CONTENT_TYPE.startswith("text/plain; version=")
