"""What the anomaly score must reach on pretend histories: few customers held, and hardly an attacker missed.

Exchanges ask for a second factor at each withdrawal, and the pretend ones do not say which; it is added here. Customers
have their authenticator app; a phisher passes its code on; who took the number has its texts; the others have none.
"""

from collections.abc import Iterator

import orjson
import pytest

from gateway.core.login import Digests
from gateway.service.backtest import Backtest
from gateway.service.backtest_report import Report, report_of
from gateway.service.history import BadLine, Reader, events
from gateway.service.synth import Size, history, ndjson

BUDGETS = (0.015, 0.016, 0.017, 0.018, 0.019, 0.02, 0.022, 0.024)
NEW_DEVICE = (
    *("naive_bot", "vpn_country", "resi_same_city", "targeted_isp_ua", "aitm_phish", "sim_swap_2fa", "patient_resi"),
)
PROOFS = {"aitm_phish": "totp", "sim_swap_2fa": "sms"}


def proved(found: Iterator[bytes]) -> Iterator[bytes]:
    for text in found:
        if b'"type":"withdrawal"' not in text:
            yield text
            continue
        event = orjson.loads(text)
        label = event.get("label")
        proof = "totp" if label is None else PROOFS.get(label)
        yield orjson.dumps(event if proof is None else {"proved_with": proof, **event})


def refused(fault: BadLine) -> None:
    raise fault


def judged(seed: int, size: Size) -> tuple[Report, Backtest]:
    run = Backtest(BUDGETS, seed=seed)
    reader = Reader(Digests(b"only for these tests"))
    for _ in run.run(events(proved(ndjson(history(seed, size))), reader, refused)):
        pass
    return report_of(run, main=BUDGETS[0]), run


def test_few_customers_are_held_and_most_of_each_attacker_in_a_small_history() -> None:
    report, run = judged(7, Size(300, 365, 20))
    row = report.rows[0]

    assert run.fitted
    assert row.held <= 0.05
    assert min(row.caught[label] for label in NEW_DEVICE) >= 0.85
    assert row.caught["session_hijack"] >= 0.5
    assert sorted(run.shelf.sizes())[int(0.95 * 300)] <= 3_500


@pytest.mark.soak
@pytest.mark.parametrize("seed", [7, 8, 9])
def test_two_percent_of_customers_are_held_and_hardly_an_attacker_gets_away(seed: int) -> None:
    report, run = judged(seed, Size(5_000, 365, 800))
    row = max((row for row in report.rows[: len(BUDGETS)] if row.held <= 0.02), key=lambda row: row.held)

    assert row.held >= 0.015
    assert {label: share for label, share in row.caught.items() if label in NEW_DEVICE and share < 0.99} == {}
    assert row.caught["session_hijack"] >= 0.75
    assert "malware_on_device" in row.caught
    assert sorted(run.shelf.sizes())[int(0.95 * 5_000)] <= 3_000
