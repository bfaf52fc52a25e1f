"""Facts keep everything when they are written down, and take nothing that is not theirs."""

import json
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.facts import (
    ACCOUNT_FACTS,
    CONNECTION_FACTS,
    CREDENTIAL_FACTS,
    Facts,
    OneOf,
    Uncertain,
    Unknown,
    from_json,
    is_certain,
    to_json,
)
from gateway.core.terms import Credential, Operation, Status, TokenState, Verification, WhyUnknown

SETS = ("network", "flags", "documents", "holds", "signals")
NUMBERS = ("asn", "assurance", "auth_age")
AMOUNTS = ("amount_usd", "withdrawn_today_usd")
TEXTS = tuple(name for name in Facts._fields[2:] if name not in {*SETS, *NUMBERS, *AMOUNTS})

texts = st.text(max_size=6)


def _values(name: str) -> st.SearchStrategy[Any]:
    if name in SETS:
        return st.frozensets(texts, max_size=3)
    if name in NUMBERS:
        return st.integers(0, 2**32)
    if name in AMOUNTS:
        return st.none() | st.floats(0, 1e12)
    return st.none() | texts


def _fact(name: str) -> st.SearchStrategy[Any]:
    values = _values(name)
    why = st.sampled_from(WhyUnknown)
    prefixes = st.frozensets(texts, max_size=2)
    return values | st.builds(Unknown, why) | st.builds(OneOf, why, st.frozensets(values, max_size=3), prefixes)


facts = st.builds(
    Facts,
    at=st.integers(0, 2**53),
    operation=st.sampled_from(Operation),
    **{name: _fact(name) for name in Facts._fields[2:]},
)


@given(facts)
def test_facts_written_down_and_read_again_are_the_same(some: Facts) -> None:
    known, uncertain = json.loads(json.dumps(to_json(some)))
    assert from_json(some.at, known, uncertain) == some


@given(facts)
def test_every_fact_is_written_once_and_the_instant_never(some: Facts) -> None:
    known, uncertain = to_json(some)
    assert sorted([*known, *uncertain]) == sorted(Facts._fields[1:])


@given(facts)
def test_equal_facts_are_written_equally(some: Facts) -> None:
    again = Facts(*(frozenset(sorted(value)) if isinstance(value, frozenset) else value for value in some))
    assert json.dumps(to_json(again)) == json.dumps(to_json(some))


def test_facts_by_default_are_those_of_nobody_at_an_unexamined_address() -> None:
    some = Facts(0, Operation.VIEW)
    assert {name for name in CONNECTION_FACTS if not is_certain(getattr(some, name))} == set(CONNECTION_FACTS)
    assert [getattr(some, name) for name in CREDENTIAL_FACTS] == [Credential.NONE, TokenState.ABSENT, 0, None]
    assert [getattr(some, name) for name in ACCOUNT_FACTS] == [
        None, Status.NONE, frozenset(), Verification.NONE, frozenset(), None, None, frozenset(),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("fact", "certain"),
    [
        ("PT", True),
        (None, True),
        (0, True),
        (frozenset(), True),
        (Unknown(WhyUnknown.NO_RECORD), False),
        (OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"US", "CA"})), False),
        (OneOf(WhyUnknown.NO_RECORD, frozenset(), frozenset({"US-"})), False),
    ],
)
def test_empty_is_certain_and_unknown_is_not(fact: Any, certain: bool) -> None:
    assert is_certain(fact) is certain


def test_an_uncertain_fact_says_why_and_what_it_may_be() -> None:
    some = Facts(
        7,
        Operation.WITHDRAW,
        country=OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"US", "CA"})),
        subdivision=OneOf(WhyUnknown.NO_RECORD, frozenset({"US-NY"}), frozenset({"CA-"})),
        continent="NA",
        account=OneOf(WhyUnknown.NOT_SUPPLIED, frozenset({"alice", None})),
    )
    known, uncertain = to_json(some)
    assert known["continent"] == "NA"
    assert uncertain["country"] == {"why": "sources-disagree", "one_of": ["CA", "US"], "prefixes": []}
    assert uncertain["subdivision"] == {"why": "no-record", "one_of": ["US-NY"], "prefixes": ["CA-"]}
    assert uncertain["account"]["one_of"] == [None, "alice"]
    assert uncertain["asn"] == {"why": "not-supplied"}


@pytest.mark.parametrize(
    ("known", "uncertain", "error"),
    [
        ({"operation": "view", "contry": "PT"}, {}, KeyError),
        ({"operation": "view", "at": 7}, {}, KeyError),
        ({"operation": "view"}, {"at": {"why": "no-record"}}, KeyError),
        ({"operation": "view"}, {"weather": {"why": "no-record"}}, KeyError),
        ({"operation": "view"}, {"country": {"why": "bored"}}, ValueError),
        ({"operation": "view"}, {"country": {}}, KeyError),
        ({"operation": "dance"}, {}, ValueError),
        ({}, {}, KeyError),
    ],
)
def test_what_is_no_fact_is_not_read(known: dict[str, Any], uncertain: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        from_json(0, known, uncertain)


def test_a_fact_is_a_value_or_uncertain() -> None:
    assert get_args(Uncertain) == (Unknown, OneOf)
