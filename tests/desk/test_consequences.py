import pytest

from gateway.core.account import Account, Refused, new_account
from gateway.core.terms import Status
from gateway.desk.consequences import (
    BecomesFamiliar,
    Consequence,
    HoldEnds,
    LetBack,
    Restricted,
    SessionsRevoked,
    account_step,
)


@pytest.mark.parametrize(
    ("stands", "status"),
    [("open", "restricted"), ("flagged", "restricted"), ("restricted", "restricted"), ("archived", "archived")],
)
def test_to_be_restricted_lifts_nobody_out_of_the_archive(stands: str, status: str) -> None:
    step = account_step(Restricted("alice", "T-1"))
    assert step is not None
    after = step(new_account("alice")._replace(status=stands))
    assert isinstance(after, Account)
    assert after.status == status


def test_to_be_let_back_follows_the_table() -> None:
    restricted = new_account("alice")._replace(status="restricted")
    for status, expected in ((Status.FLAGGED, Account), (Status.OPEN, Refused)):
        step = account_step(LetBack("alice", "T-1", status))
        assert step is not None
        assert isinstance(step(restricted), expected)


@pytest.mark.parametrize(
    "consequence", [HoldEnds("alice", "T-1"), BecomesFamiliar("alice", "device=d"), SessionsRevoked("alice")]
)
def test_the_rest_leaves_the_record_of_the_account_alone(consequence: Consequence) -> None:
    assert account_step(consequence) is None
