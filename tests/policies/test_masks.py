import pytest

from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.terms import Operation, WhyUnknown
from gateway.policies import masks
from gateway.policies.atoms import Among, Ordered, Pair
from gateway.policies.expression import Operator
from gateway.policies.masks import Column, Group, Masks, MeasuredColumn, fact_bits, is_measured

EVERY = 0b111
LOST = Unknown(WhyUnknown.STORE_UNAVAILABLE)
NO_RECORD = Unknown(WhyUnknown.NO_RECORD)


def country():
    column = Column("country", EVERY)
    column.add(Among("country", frozenset({"US"})), False, 0b001)
    column.add(Among("country", frozenset({"US"})), True, 0b010)
    return column


BIT = fact_bits(frozenset({"country"}))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("US", Masks(0b101, 0b101, 0, 0)),
        ("CA", Masks(0b110, 0b110, 0, 0)),
        (NO_RECORD, Masks(0b111, 0b100, BIT, 0)),
        (LOST, Masks(0b111, 0b100, 0, BIT)),
        (OneOf(WhyUnknown.STORE_UNAVAILABLE, frozenset({"US", "CA"})), Masks(0b111, 0b100, BIT, 0)),
        (OneOf(WhyUnknown.NO_RECORD, frozenset({"US"})), Masks(0b101, 0b101, BIT, 0)),
    ],
)
def test_a_value_leaves_what_it_satisfies_possibly_and_certainly(value, expected):
    column = country()
    assert column.masks(value) == expected
    assert column.masks(value) is column.masks(value)


def measured():
    column = MeasuredColumn("amount_usd", EVERY)
    column.add(Ordered("amount_usd", Operator.MORE, 10), False, 0b001)
    column.add(Among("amount_usd", frozenset({20, 30})), False, 0b010)
    column.settle()
    return column


@pytest.mark.parametrize(
    ("value", "certain"),
    [(9, 0b100), (10, 0b100), (10.5, 0b101), (20, 0b111), (20.0, 0b111), (25, 0b101), (30, 0b111), (1e300, 0b101)],
)
def test_a_number_is_weighed_by_its_order_against_the_thresholds(value, certain):
    column = measured()
    assert column.thresholds == [10, 20, 30]
    assert column.measured(value) == Masks(certain, certain, 0, 0)
    assert column.measured(value) is column.measured(value)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), NO_RECORD])
def test_a_number_of_no_kind_is_in_doubt(value):
    found = measured().measured(value)
    assert found.doubtful == fact_bits(frozenset({"amount_usd"}))
    assert (found.possible, found.certain) == (0b111, 0b100)


def test_there_is_none_is_no_doubt():
    assert measured().measured(None) == Masks(0b100, 0b100, 0, 0)


def test_a_group_says_what_all_its_facts_leave():
    column = country()
    pair = (Pair("residence", Operator.IN, "documents"), False, 0b011)
    documents, residence = Column("documents", EVERY), Column("residence", EVERY)
    group = Group([column, documents, residence], [pair])
    facts = Facts(at=0, operation=Operation.VIEW, country="US", residence="CA", documents=frozenset({"CA"}))
    key = group.key(facts)
    assert key == ("US", frozenset({"CA"}), "CA")
    assert group.learn(key, facts, EVERY) == Masks(0b101, 0b101, 0, 0)
    assert key in group.remembered
    away = facts._replace(residence=LOST)
    assert group.learn(group.key(away), away, EVERY) == Masks(0b101, 0b001, 0, fact_bits(frozenset({"residence"})))


def test_a_pair_of_facts_that_do_not_repeat_together_is_a_group_of_its_own():
    group = Group((), [(Pair("country", Operator.EQUAL, "residence"), True, 0b110)])
    facts = Facts(at=0, operation=Operation.VIEW, country="US", residence="US")
    assert group.learn(group.key(facts), facts, EVERY) == Masks(0b110, 0b110, 0, 0)


def test_a_full_memory_is_emptied(monkeypatch):
    monkeypatch.setattr(masks, "REMEMBERED", 2)
    column = country()
    for code in ("US", "CA", "DE", "FR", "PT"):
        column.masks(OneOf(WhyUnknown.NO_RECORD, frozenset({code})))
        assert len(column._remembered) <= 2


def test_texts_that_nothing_names_are_alike_and_take_one_place():
    column = country()
    assert column.masks("CA") is column.masks("DE")
    assert column.masks("US") is not column.masks("DE")
    assert len(column._remembered) == 2
    assert column.masks(None) == column.masks("DE")
    assert len(column._remembered) == 3


def test_only_amounts_and_ages_are_measured():
    assert is_measured("amount_usd")
    assert is_measured("auth_age")
    assert not is_measured("asn")
