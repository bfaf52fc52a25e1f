from itertools import product

import pytest

from gateway.core.facts import OneOf, Unknown
from gateway.core.terms import Status, WhyUnknown
from gateway.policies.atoms import FALSE, TRUE, UNKNOWN, Pair, atom_of, facts_in, is_known, possible
from gateway.policies.expression import Operator, parse
from gateway.policies.findings import Place
from gateway.policies.schema import FACTS

ANY = Unknown(WhyUnknown.NO_RECORD)
NAN, INF = float("nan"), float("inf")
LISTS = {"far_away": frozenset({"CU", "IR"}), "nowhere": frozenset()}


def one_of(*values, prefixes=()):
    return OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset(values), frozenset(prefixes))


def truth(text, *values):
    part = next(iter([parse(text, lambda _: Place("f", 1, 1))]))
    atom, denied = atom_of(part, LISTS)
    found = atom.truths(*values) if isinstance(atom, Pair) else atom.truth(*values)
    return TRUE - found if denied else found


@pytest.mark.parametrize(
    ("text", "value", "expected"),
    [
        ('country == "US"', "US", TRUE),
        ('country == "US"', "CA", FALSE),
        ('country == "US"', ANY, UNKNOWN),
        ('country == "US"', one_of("US", "CA"), UNKNOWN),
        ('country == "US"', one_of("US"), TRUE),
        ('country == "US"', one_of("CA", "DE"), FALSE),
        ('country != "US"', one_of("CA", "DE"), TRUE),
        ('country == "US"', one_of(), UNKNOWN),
        ("country in far_away", one_of("CU", "IR"), TRUE),
        ("country in far_away", one_of("CU", "US"), UNKNOWN),
        ("country in nowhere", ANY, FALSE),
        ("country not in nowhere", ANY, TRUE),
        ('residence == "US"', None, FALSE),
        ('residence != "US"', None, TRUE),
        ('residence in ["US"]', None, FALSE),
        ('residence not in ["US"]', None, TRUE),
        ('residence == "US"', one_of("US", None), UNKNOWN),
        ('residence == "US"', one_of("CA", None), FALSE),
        ('subdivision == "US-NY"', one_of(prefixes=["US-"]), UNKNOWN),
        ('subdivision == "US-NY"', one_of(prefixes=["DE-"]), FALSE),
        ('subdivision == "US-NY"', one_of("US-NY", prefixes=["DE-"]), UNKNOWN),
        ('subdivision != "US-NY"', one_of(prefixes=["DE-"]), TRUE),
        ('status in ["none", "open", "exit_only", "flagged", "restricted", "archived"]', ANY, TRUE),
        ('status in ["none", "open"]', ANY, UNKNOWN),
        ('status in ["exit_only", "open"]', one_of(prefixes=["o"]), TRUE),
        ('status == "open"', one_of("exit_only", prefixes=["z"]), FALSE),
        ('status == "open"', one_of(prefixes=["z"]), UNKNOWN),
        ('destination in ["known", "new"]', ANY, UNKNOWN),
        ("assurance >= 0", ANY, TRUE),
        ("assurance > 3", ANY, FALSE),
        ("assurance >= 2", ANY, UNKNOWN),
        ("2 <= assurance", 2, TRUE),
        ("2 < assurance", 2, FALSE),
        ("2 >= assurance", 3, FALSE),
        ("2 > assurance", 1, TRUE),
        ("assurance >= 2", one_of(2, 3), TRUE),
        ("assurance >= 2", one_of(1, 3), UNKNOWN),
        ("assurance >= 2", one_of(0, 1), FALSE),
        ("assurance >= 2", one_of(3, prefixes=["1"]), UNKNOWN),
        ("auth_age < 300", None, FALSE),
        ("auth_age >= 300", None, FALSE),
        ("auth_age < 300", one_of(10, None), UNKNOWN),
        ("asn >= 0", ANY, UNKNOWN),
        ("amount_usd > 5", NAN, UNKNOWN),
        ("amount_usd > 5", INF, UNKNOWN),
        ("amount_usd == 5", one_of(5, NAN), UNKNOWN),
        ("amount_usd == 5", 5.0, TRUE),
        ('"US" in documents', frozenset({"US"}), TRUE),
        ('"US" in documents', frozenset(), FALSE),
        ('"US" not in documents', frozenset(), TRUE),
        ('"US" in documents', ANY, UNKNOWN),
        ('"US" in documents', one_of(frozenset({"US"}), frozenset({"US", "CA"})), TRUE),
        ('"US" in documents', one_of(frozenset({"US"}), frozenset()), UNKNOWN),
        ('"US" in documents', one_of(frozenset(), prefixes=["U"]), UNKNOWN),
        ("far_away in documents", frozenset({"US", "IR"}), TRUE),
        ("far_away in documents", frozenset({"US"}), FALSE),
        ('["US", "CA"] in documents', frozenset({"CA"}), TRUE),
        ("nowhere in documents", ANY, FALSE),
        ("known(country)", "US", TRUE),
        ("known(residence)", None, TRUE),
        ("known(country)", ANY, FALSE),
        ("known(country)", one_of("US"), FALSE),
        ("known(amount_usd)", NAN, FALSE),
    ],
)
def test_a_comparison_is_decided_over_everything_that_its_fact_may_be(text, value, expected):
    assert truth(text, value) == expected


@pytest.mark.parametrize(
    ("text", "left", "right", "expected"),
    [
        ("country == residence", "US", "US", TRUE),
        ("country == residence", "US", "CA", FALSE),
        ("country != residence", "US", "CA", TRUE),
        ("residence == nationality", None, None, FALSE),
        ("residence != nationality", None, None, TRUE),
        ("country == residence", ANY, "US", UNKNOWN),
        ("country == residence", "US", ANY, UNKNOWN),
        ("country == residence", ANY, None, FALSE),
        ("country == residence", None, ANY, FALSE),
        ("country == residence", ANY, ANY, UNKNOWN),
        ("country == residence", one_of("US"), "US", TRUE),
        ("country == residence", one_of("US", "CA"), one_of("US", "CA"), UNKNOWN),
        ("country == residence", one_of("US", "CA"), one_of("DE"), FALSE),
        ("country == residence", one_of(prefixes=["U"]), "US", UNKNOWN),
        ("country == residence", one_of(prefixes=["U"]), "CA", FALSE),
        ("country == residence", "US", one_of(prefixes=["U"]), UNKNOWN),
        ("country == residence", one_of(prefixes=["U"]), one_of(prefixes=["US"]), UNKNOWN),
        ("country == residence", one_of(prefixes=["U"]), one_of(prefixes=["C"]), FALSE),
        ("country == residence", one_of(prefixes=["U"]), one_of(None), FALSE),
        ("residence in documents", "US", frozenset({"US"}), TRUE),
        ("residence in documents", "US", frozenset({"CA"}), FALSE),
        ("residence not in documents", "US", frozenset({"CA"}), TRUE),
        ("residence in documents", None, frozenset({"US"}), FALSE),
        ("residence in documents", None, ANY, FALSE),
        ("residence in documents", "US", ANY, UNKNOWN),
        ("residence in documents", ANY, frozenset({"US"}), UNKNOWN),
        ("residence in documents", ANY, frozenset(), FALSE),
        ("residence in documents", one_of("US", "CA"), frozenset({"US", "CA"}), TRUE),
        ("residence in documents", one_of("US", "DE"), frozenset({"US", "CA"}), UNKNOWN),
        ("residence in documents", "US", one_of(frozenset({"US"}), frozenset({"US", "CA"})), TRUE),
        ("residence in documents", "US", one_of(frozenset({"US"}), frozenset()), UNKNOWN),
        ("residence in documents", one_of(prefixes=["U"]), frozenset({"US"}), UNKNOWN),
        ("residence in documents", one_of(prefixes=["U"]), frozenset({"CA"}), FALSE),
        ("withdrawn_today_usd > amount_usd", 5, 4.5, TRUE),
        ("withdrawn_today_usd > amount_usd", 5, 5, FALSE),
        ("withdrawn_today_usd > amount_usd", None, 5, FALSE),
        ("withdrawn_today_usd > amount_usd", ANY, 5, UNKNOWN),
        ("withdrawn_today_usd > amount_usd", ANY, None, FALSE),
        ("withdrawn_today_usd > amount_usd", INF, 5, UNKNOWN),
        ("withdrawn_today_usd > amount_usd", one_of(5, 6), one_of(3, 4), TRUE),
        ("withdrawn_today_usd > amount_usd", one_of(5, 6), one_of(3, 5), UNKNOWN),
    ],
)
def test_a_comparison_of_two_facts_is_decided_over_every_combination(text, left, right, expected):
    assert truth(text, left, right) == expected


@pytest.mark.parametrize("operator", ["==", "!=", "<", "<=", ">", ">="])
def test_a_mirrored_comparison_says_the_same(operator):
    mirrored = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}.get(operator, operator)
    for value, threshold in product((None, 0, 1, 2, ANY, one_of(0, 2), NAN), (0, 1, 2)):
        assert truth(f"auth_age {operator} {threshold}", value) == truth(f"{threshold} {mirrored} auth_age", value)


def test_the_facts_of_an_atom_are_those_it_compares():
    assert facts_in(Pair("residence", Operator.IN, "documents")) == ("residence", "documents")
    assert facts_in(atom_of(parse('country == "US"', lambda _: Place("f", 1, 1)), {})[0]) == ("country",)


def test_a_comparison_without_a_fact_never_gets_this_far():
    with pytest.raises(AssertionError):
        atom_of(parse('"US" == "CA"', lambda _: Place("f", 1, 1)), {})


def test_what_may_be_is_described_not_enumerated():
    assert possible(FACTS["country"], "US").something
    assert not possible(FACTS["residence"], None).something
    assert possible(FACTS["country"], ANY).endless
    assert possible(FACTS["status"], one_of(prefixes=["o"])).values == {Status.OPEN}
    assert is_known(0)
    assert not is_known(NAN)
