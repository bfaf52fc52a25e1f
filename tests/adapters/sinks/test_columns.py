import orjson

from gateway.adapters.sinks.columns import Row, row_of
from tests.adapters.sinks.rig import AMBIGUOUS, AT, document


def test_a_decision_is_one_row_with_the_whole_document_beside_it() -> None:
    row = row_of(document(1))
    assert row == Row(
        id=document(1)["id"],
        at=AT + 1000,
        operation="withdraw",
        outcome="deny",
        reason="jurisdiction-blocked",
        rules=("us-exit/us-closed",),
        country="US",
        account="alice",
        address="81.20.30.40",
        asn=64500,
        bundle="ab" * 32,
        status=403,
        method="POST",
        host="api.example",
        path="/api/v1/withdraw",
        took_us=250,
        document=row.document,
    )
    assert orjson.loads(row.document) == document(1)


def test_what_is_not_known_is_none() -> None:
    row = row_of(document(1, AMBIGUOUS))
    assert (row.operation, row.outcome, row.reason) == ("ambiguous", "deny", "request-ambiguous")
    assert (row.country, row.account, row.address, row.asn, row.rules) == (None, None, None, None, ())
