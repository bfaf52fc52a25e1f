from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policies.expression import AnyOf, Literals, parse
from gateway.policies.findings import Place
from gateway.policies.unparse import text_of


def read(text):
    return parse(text, lambda offset: Place("f", 1, offset + 1))


@pytest.mark.parametrize(
    "text",
    [
        'country == "US"',
        'country in ["US", "CA"] and not "tor" in network',
        "assurance >= 2 or (known(residence) and far_away in documents)",
        'not (country == "US" or residence == "US")',
        "amount_usd > -1.5",
        "account == 'a\"b'",
        "True",
    ],
)
def test_what_is_written_so_is_said_so(text):
    assert text_of(read(text)) == text


def test_a_condition_of_nothing_is_never_true():
    assert text_of(AnyOf(())) == "not True"
    assert text_of(read(text_of(AnyOf(())))) == "not True"


@given(st.integers(0, 2**32))
def test_reading_what_was_said_changes_nothing(generate, seed):
    condition = read(generate.condition(Random(seed), 3, known=True))
    assert read(text_of(condition)) == condition


def test_a_long_list_is_cut_where_it_need_not_be_whole():
    values = Literals(tuple(range(9)))
    assert text_of(values, whole=False) == "[0, 1, 2, 3, 4, 5, 6, 7, …]"
    assert text_of(values).endswith("7, 8]")
