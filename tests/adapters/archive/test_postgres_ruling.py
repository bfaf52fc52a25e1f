"""How a ruling lies in PostgreSQL."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.archive.documents import read_ruling
from gateway.adapters.archive.postgres_ruling import packed_document, terms_asked, terms_of, unpacked_document
from gateway.core.search import Findable, Search
from tests.contract.stretches import ruling

NOTHING = Findable(None, None, (), (), operation="view", outcome="allow", reason=None, rules=(), bundle="")


@given(st.binary(max_size=3000))
def test_a_document_is_unpacked_to_what_was_packed(document: bytes) -> None:
    assert unpacked_document(packed_document(document)) == document


def test_a_usual_document_takes_a_third_of_its_size() -> None:
    document = ruling()
    assert len(packed_document(document)) < len(document) / 3


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (b"", "stored in way none"),
        (b"\x02{}", "stored in way 02, this gateway knows 01"),
        (b"\x01\xff\xff", "damaged"),
        (packed_document(ruling())[:-3], "damaged: it does not end"),
    ],
)
def test_what_is_damaged_or_of_another_format_is_said_to_be(stored: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        unpacked_document(stored)


def test_every_term_that_is_asked_is_one_that_a_fitting_ruling_has() -> None:
    found_by = read_ruling(ruling(country=["CA", "US"], asn=[1, 2], rules=("a/b", "c/d"))).found_by
    found_by = found_by._replace(ticket="T-7")
    asked = Search(account="alice", country="US", asn=2, rule="c/d", ticket="T-7")
    assert set(terms_asked(asked)) == {"account:alice", "ticket:T-7", "country:US", "asn:2", "rule:c/d"}
    assert set(terms_asked(asked)) < set(terms_of(found_by))
    refused = Search(outcome="deny", reason="jurisdiction-blocked")
    assert set(terms_asked(refused)) == {"outcome:deny", "reason:jurisdiction-blocked"} < set(terms_of(found_by))
    assert terms_asked(Search(outcome="allow", operation="view")) == []
    assert terms_of(NOTHING) == terms_asked(Search()) == []


@given(st.text(max_size=400), st.text(max_size=400))
def test_two_accounts_never_share_a_term(one: str, other: str) -> None:
    terms = [terms_of(NOTHING._replace(account=account))[0] for account in (one, other)]
    assert (terms[0] == terms[1]) == (one == other)
    assert all(len(term) <= 220 and term.isprintable() and term.isascii() for term in terms)
    assert terms_asked(Search(account=one)) == terms[:1]
