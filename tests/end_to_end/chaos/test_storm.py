"""Whatever is ended or paused under load: nothing is let through that the truth forbids, and it recovers by itself."""

import pytest

from tests.end_to_end.chaos.storm import Storm

FAULTS = 6
SOAK_FAULTS = 200


@pytest.mark.timeout(280)
def test_no_fault_lets_a_restricted_customer_withdraw_and_all_that_was_answered_is_on_record(site) -> None:
    report = Storm(site, faults=FAULTS, seed=1755).run()
    assert report.fine, report.text()
    assert report.statuses["withdraw", 200]
    assert report.restricted >= FAULTS // 2


@pytest.mark.soak
@pytest.mark.timeout(7200)
def test_and_after_two_hundred_faults(site) -> None:
    report = Storm(site, faults=SOAK_FAULTS, seed=1783).run()
    assert report.fine, report.text()
