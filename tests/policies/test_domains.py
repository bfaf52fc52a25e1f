"""Values that stand for all others."""

import pytest

from gateway.policies.atoms import Among, IsKnown, Ordered, Overlaps, Pair
from gateway.policies.domains import domains, natural, ordinary
from gateway.policies.expression import Operator
from gateway.policies.schema import FACTS


def test_a_text_has_the_values_named_and_one_that_nobody_names() -> None:
    country = domains([Among("country", frozenset({"US", "PT"}))])["country"]
    assert set(country.values) > {"US", "PT"}
    assert len(country.values) == 3
    assert list(country.of_mask(country.usual)) == [country.values[0]]
    assert country.values[0] not in {"US", "PT"}
    assert set(country.of_mask(country.mask(Among("country", frozenset({"US", "CA"}))))) == {"US"}


def test_a_fact_that_can_be_counted_has_all_its_values() -> None:
    status = domains([Among("status", frozenset({"open"}))])["status"]
    assert set(status.values) == {"none", "open", "exit_only", "flagged", "restricted", "archived"}
    assert list(status.of_mask(status.usual)) == ["open"]


def test_whole_numbers_lie_on_either_side_of_each_threshold() -> None:
    age = domains([Ordered("auth_age", Operator.AT_MOST, 300), Ordered("auth_age", Operator.LESS, 60.5)])["auth_age"]
    assert {60, 61, 299, 300, 301, None} <= set(age.values)
    assert all(value is None or value == int(value) for value in age.values)
    assert set(age.of_mask(age.mask(Ordered("auth_age", Operator.MORE, 300)))) == {301}


def test_amounts_lie_between_any_two_thresholds() -> None:
    atoms = [Ordered("amount_usd", Operator.MORE, 99.5), Ordered("amount_usd", Operator.MORE, 100)]
    amount = domains(atoms)["amount_usd"]
    assert any(value is not None and 99.5 < value < 100 for value in amount.values)
    assert None in amount.values


@pytest.mark.parametrize("number", [10**400, -(10**400), 1.7e308, 0, 2**53])
def test_no_threshold_is_too_large(number: float) -> None:
    atoms = [Ordered("amount_usd", Operator.MORE, number), Ordered("amount_usd", Operator.MORE, 10**401)]
    amount = domains([*atoms, Pair("amount_usd", Operator.LESS, "withdrawn_today_usd")])["amount_usd"]
    assert any(value is not None and value < number for value in amount.values)
    assert any(value is not None and number < value < 10**401 for value in amount.values)


def test_facts_compared_with_one_another_have_their_values_at_the_same_bits() -> None:
    atoms = [Pair("country", Operator.IN, "documents"), Among("country", frozenset({"US"}))]
    found = domains(atoms)
    country, documents = found["country"], found["documents"]
    assert country.values == documents.values
    assert country.linked
    assert len(country.values) >= 5
    assert None not in list(country.of_mask(country.everything))
    assert documents.usual == 0


def test_a_set_has_the_members_named() -> None:
    flags = domains([Overlaps("flags", frozenset({"staff", "us-ip"})), IsKnown("flags")])["flags"]
    assert flags.is_set
    assert set(flags.of_mask(flags.everything)) == {"staff", "us-ip"}


def test_the_operation_is_never_searched() -> None:
    found = domains([Among("operation", frozenset({"view"})), Pair("operation", Operator.IN, "holds")])
    assert set(found) == {"holds"}


def test_an_ordinary_customer_has_none_of_the_values_that_rules_name() -> None:
    found = domains([Among("country", frozenset({"PT", "AD"})), Among("account", frozenset({"someone"}))])
    facts = ordinary(found)
    assert facts["country"] not in {"PT", "AD"}
    assert facts["account"] != "someone"
    assert facts["subdivision"].startswith(facts["country"])


def test_a_natural_place_is_one() -> None:
    facts = natural("US")
    assert (facts["country"], facts["continent"]) == ("US", "NA")
    assert facts["subdivision"].startswith("US-")


def test_an_unremarkable_customer_has_every_fact() -> None:
    assert {*natural(), "operation"} == set(FACTS)
