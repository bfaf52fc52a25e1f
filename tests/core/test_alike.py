import pytest

from gateway.core.alike import ALONE, matter_of
from gateway.core.facts import Facts


def ruling(**facts):
    known = {"operation": "view", "country": "PT", **dict.fromkeys(ALONE), **facts}
    return {"facts": known, "unknown": {}, "bundle": "b", "verdict": {"outcome": "allow"}, "client_ip": {}}


def test_facts_that_stand_alone_are_facts() -> None:
    assert set(ALONE) <= set(Facts._fields)


@pytest.mark.parametrize("name", ALONE)
def test_a_matter_says_whether_there_is_such_a_fact_and_not_which(name) -> None:
    some, other, none = (matter_of(ruling(**{name: value})) for value in (1, 2, None))
    assert some == other != none


@pytest.mark.parametrize("change", [{"bundle": "c"}, {"unknown": {"asn": {"why": "x"}}}, {"verdict": None}])
def test_bundle_doubts_and_verdict_make_another_matter(change) -> None:
    assert matter_of(ruling()) != matter_of({**ruling(), **change})


def test_an_erased_account_makes_another_matter_and_an_address_does_not() -> None:
    assert matter_of({**ruling(account="x"), "erased": ["account"]}) != matter_of(ruling(account="x"))
    assert matter_of({**ruling(), "erased": ["address"], "client_ip": {"address": "x"}}) == matter_of(ruling())


def test_the_ruling_stays_as_it_is() -> None:
    document = ruling(account="alice")
    matter_of(document)
    assert document["facts"]["account"] == "alice"


def test_what_has_no_facts_has_a_matter() -> None:
    assert matter_of({**ruling(), "facts": None})[0] is None
