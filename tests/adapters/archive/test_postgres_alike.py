"""The archive in PostgreSQL, read through: beyond what every archive does alike."""

import pytest

from gateway.adapters.archive.postgres_alike import _account, _asn
from gateway.adapters.archive.postgres_ruling import terms_of
from gateway.core.search import findable


@pytest.mark.parametrize("account", ["alice", "älice", "a\\b", "a\0b", "\ud800", "a:b"])
def test_an_account_is_read_as_it_was(account: str) -> None:
    ruling = {
        "client_ip": {"address": None},
        "operation": "view",
        "facts": {"account": account, "asn": 64500},
        "unknown": {},
        "verdict": {"outcome": "allow", "by": [], "reason": None},
        "bundle": "b",
        "reply": {"reason": None},
    }
    terms = terms_of(findable(ruling))
    assert _account(terms[0].removeprefix("account:")) == account
    assert _asn(terms[-1]) == (64500).to_bytes(4, "big")


def test_where_there_is_none_there_is_none() -> None:
    assert (_account(None), _asn(None)) == (None, None)
