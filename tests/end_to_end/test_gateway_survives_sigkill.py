"""The gateway is killed under load, again and again: every answer that a client got is in the journal afterwards."""

import pytest

from tests.under_load import Storm

KILLS = 6


@pytest.mark.timeout(280)
def test_every_answered_request_is_in_the_journal_after_sigkill(site) -> None:
    tally = Storm(site, kills=KILLS, seed=20230215, ships=["off"]).run()
    assert tally.answered > 20 * KILLS
    assert tally.fine, tally.text()
