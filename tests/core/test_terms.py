"""The words: what the levels promise, and the orders that others rely on."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import terms
from gateway.core.terms import (
    EVERYTHING,
    LEVELS,
    MONEY_MOVING,
    OUTAGES,
    Access,
    Operation,
    Operations,
    Proof,
    Reason,
    WhyUnknown,
    level_of,
)

access = st.frozensets(st.sampled_from(Operation))


def test_each_level_contains_the_next() -> None:
    levels = [LEVELS[level] for level in Access]
    assert list(LEVELS) == list(Access)
    assert levels[0] == EVERYTHING
    assert levels[-1] == frozenset()
    for wider, narrower in pairwise(levels):
        assert narrower < wider


@pytest.mark.parametrize("level", Access)
def test_the_level_of_a_levels_operations_is_that_level(level: Access) -> None:
    assert level_of(LEVELS[level]) is level


@given(access)
def test_a_level_never_promises_more_than_is_open(operations: Operations) -> None:
    assert LEVELS[level_of(operations)] <= operations


@given(access)
def test_no_wider_level_would_have_been_true(operations: Operations) -> None:
    wider = list(Access)[: list(Access).index(level_of(operations))]
    assert not any(LEVELS[level] <= operations for level in wider)


@given(access, access)
def test_more_operations_never_make_a_narrower_level(some: Operations, more: Operations) -> None:
    order = list(Access)
    assert order.index(level_of(some | more)) <= order.index(level_of(some))


def test_only_full_access_opens_what_no_route_names() -> None:
    assert [level for level in Access if Operation.UNCLASSIFIED in LEVELS[level]] == [Access.FULL]


def test_every_level_but_none_reaches_support() -> None:
    assert [level for level in Access if Operation.SUPPORT not in LEVELS[level]] == [Access.NONE]


def test_a_stronger_proof_asks_for_more_assurance() -> None:
    assert [proof.assurance for proof in Proof] == [1, 2, 3]


def test_money_moves_by_withdrawal_and_by_transfer() -> None:
    assert {Operation.WITHDRAW, Operation.TRANSFER} == MONEY_MOVING


def test_a_sanction_is_named_before_any_other_reason() -> None:
    assert list(Reason)[:2] == [Reason.SANCTIONED_REGION, Reason.SANCTIONED_PERSON]


def test_what_passes_by_itself_is_an_outage_and_a_missing_record_is_not() -> None:
    assert {WhyUnknown.KEYS_UNAVAILABLE, WhyUnknown.STORE_UNAVAILABLE, WhyUnknown.OVERLOADED} == OUTAGES


@pytest.mark.parametrize("name", ["Operation", "Access", "Status", "Reason", "Ambiguity", "WhyUnknown", "Outcome"])
def test_codes_are_plain_words_that_need_no_escaping(name: str) -> None:
    for code in getattr(terms, name):
        assert code.isascii()
        assert code.replace("-", "").replace("_", "").replace(".", "").isalnum()
        assert code == code.lower()
