from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.facts import Facts, Unknown
from gateway.core.terms import Operation, WhyUnknown
from gateway.policies.atoms import TRUE, Pair
from gateway.policies.expression import parse
from gateway.policies.findings import Place
from gateway.policies.normal import LIMIT, conjuncts
from gateway.policies.truth import truth_of


def read(text):
    return parse(text, lambda _: Place("f", 1, 1))


def shape(text):
    form = conjuncts(read(text), {})
    return None if form is None else sorted(len(one) for one in form)


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("True", [0]),
        ("not True", []),
        ('country == "US"', [1]),
        ('country == "US" and asn == 1', [2]),
        ('country == "US" or asn == 1', [1, 1]),
        ('not (country == "US" or asn == 1)', [2]),
        ('not (country == "US" and asn == 1)', [1, 1]),
        ('country == "US" and (asn == 1 or asn == 2)', [2, 2]),
        ('country == "US" or country == "US" and asn == 1', [1]),
        ('country == "US" and country == "US"', [1]),
        ('country == "US" and country != "US"', [2]),
        ('not country != "US"', [1]),
        ('country == "US" or True', [0]),
    ],
)
def test_the_form_is_the_least_that_says_the_same(text, sizes):
    assert shape(text) == sizes


def test_what_contradicts_itself_is_kept_since_it_may_be_unknown():
    form = conjuncts(read('country == "US" and country != "US"'), {})
    assert form is not None
    assert {denied for one in form for _, denied in one} == {False, True}


@pytest.mark.parametrize(("clauses", "fits"), [(6, True), (7, False), (40, False)])
def test_a_form_that_would_explode_is_given_up(clauses, fits):
    names = [f"(asn == {2 * n} or auth_age == {2 * n + 1})" for n in range(clauses)]
    form = conjuncts(read(" and ".join(names)), {})
    assert (form is not None) is fits
    assert form is None or len(form) == 2**clauses <= LIMIT


def test_a_product_that_would_be_large_on_the_way_is_given_up():
    wide = [" or ".join(f"asn == {side + n}" for n in range(40)) for side in (0, 100)]
    assert shape(" and ".join(f"({one})" for one in wide)) is None


def test_a_disjunction_of_too_many_is_given_up():
    assert shape(" or ".join(f"asn == {n}" for n in range(65))) is None
    assert shape(" or ".join(f"asn == {n}" for n in range(64))) == [1] * 64


@given(st.randoms(use_true_random=False))
def test_the_form_has_the_truth_of_the_condition(generate, rng):
    lists = {name: one.entries for name, one in generate.lists.items()}
    condition = read(generate.condition(rng, 3, known=True))
    form = conjuncts(condition, lists)
    facts = generate.facts(rng, doubtful=0.4)
    if form is not None:
        assert max((min((literal(one, facts) for one in each), default=TRUE) for each in form), default=0) == truth_of(
            condition, lists
        )(facts)


def literal(one, facts):
    atom, denied = one
    value = getattr(facts, atom.fact)
    truth = atom.truths(value, getattr(facts, atom.other)) if isinstance(atom, Pair) else atom.truth(value)
    return TRUE - truth if denied else truth


def test_kleene_has_no_excluded_middle():
    facts = Facts(at=0, operation=Operation.VIEW, country=Unknown(WhyUnknown.NO_RECORD))
    for text, known in product(('country == "US" or country != "US"', 'country == "US" and country != "US"'), "x"):
        assert known
        assert truth_of(read(text), {})(facts) == 1
