import pytest

from gateway.core.facts import Facts, Unknown
from gateway.core.terms import Operation, WhyUnknown
from gateway.policies.expression import parse
from gateway.policies.findings import Place
from gateway.policies.truth import truth_of

FACTS = Facts(
    at=0,
    operation=Operation.WITHDRAW,
    country="US",
    asn=Unknown(WhyUnknown.NO_RECORD),
    documents=frozenset({"US"}),
    residence="CA",
)
T, U, F = 'country == "US"', "asn == 1", 'country == "CA"'


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        (T, 2),
        (U, 1),
        (F, 0),
        (f"not {T}", 0),
        (f"not {U}", 1),
        (f"not {F}", 2),
        (f"{T} and {U}", 1),
        (f"{F} and {U}", 0),
        (f"{T} and {T}", 2),
        (f"{T} or {U}", 2),
        (f"{F} or {U}", 1),
        (f"{F} or {F}", 0),
        ("True", 2),
        ("not True", 0),
        ('country != "US"', 0),
        ("country in documents", 2),
        ("residence not in documents", 2),
        ("known(asn)", 0),
        ("not known(asn) and known(country)", 2),
    ],
)
def test_a_condition_is_as_true_as_kleene_says(text, truth):
    assert truth_of(parse(text, lambda _: Place("f", 1, 1)), {})(FACTS) == truth
