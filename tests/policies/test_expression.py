import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import PolicyError
from gateway.policies.expression import (
    ALWAYS,
    AllOf,
    AnyOf,
    Comparison,
    FactName,
    Known,
    ListName,
    Literal,
    Literals,
    Not,
    Operator,
    comparisons,
    facts_of,
    parse,
)
from gateway.policies.findings import Place

NOWHERE = Place("f", 1, 1)


def at(offset):
    return Place("f", 1, offset + 1)


def compare(left, operator, right):
    return Comparison(left, Operator(operator), right, NOWHERE)


COUNTRY = FactName("country")
US = Literal("US")
IS_US = compare(COUNTRY, "==", US)


@pytest.mark.parametrize(
    ("text", "condition"),
    [
        ('country == "US"', IS_US),
        ("country == 'US'", IS_US),
        ('"US" == country', compare(US, "==", COUNTRY)),
        ('country != "US"', compare(COUNTRY, "!=", US)),
        ('(country\n == "US")', IS_US),
        ('country ==\n"US"', IS_US),
        ("assurance >= 2", compare(FactName("assurance"), ">=", Literal(2))),
        ("amount_usd > -1.5", compare(FactName("amount_usd"), ">", Literal(-1.5))),
        ('"US" in documents', compare(US, "in", FactName("documents"))),
        ('"US" not in documents', compare(US, "not in", FactName("documents"))),
        ("country in embargoed", compare(COUNTRY, "in", ListName("embargoed"))),
        ('country in ["US", "CA"]', compare(COUNTRY, "in", Literals(("US", "CA")))),
        ('country in ("US",)', compare(COUNTRY, "in", Literals(("US",)))),
        ('country in {"US"}', compare(COUNTRY, "in", Literals(("US",)))),
        ("residence in documents", compare(FactName("residence"), "in", FactName("documents"))),
        ("known(country)", Known("country", NOWHERE)),
        ('not country == "US"', Not(IS_US)),
        ('country == "US" and known(country)', AllOf((IS_US, Known("country", NOWHERE)))),
        ('country == "US" or known(country)', AnyOf((IS_US, Known("country", NOWHERE)))),
        (
            "1 < assurance <= 3",
            AllOf(
                (
                    compare(Literal(1), "<", FactName("assurance")),
                    compare(FactName("assurance"), "<=", Literal(3)),
                )
            ),
        ),
        ("True", ALWAYS),
        ("not True", Not(ALWAYS)),
        ('account == "a#b"', compare(FactName("account"), "==", Literal("a#b"))),
    ],
)
def test_the_language_is_that_of_python_expressions(text, condition):
    assert parse(text, at) == condition


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("country", 1, "`country` alone is not a condition: compare it with something"),
        ('"US"', 1, '`"US"` alone is not a condition'),
        ("False", 1, "`False` alone is not a condition"),
        ('country = "US"', 1, "equality is written `==`, not `=`"),
        ("country ==", 10, "the condition cannot be read: invalid syntax"),
        ("country in [", 12, "`[` is never closed"),
        ('country in ["US"', 12, "`[` is never closed"),
        ("(known(asn)", 1, "`(` is never closed"),
        ("country in (1]", 14, "`]` is closed here that was not opened"),
        ("known(asn)]", 11, "`]` is closed here that was not opened"),
        ('country == "US', 12, "the condition cannot be read: unterminated string literal"),
        ('country == "US" and', 19, "the condition cannot be read"),
        (
            'country == "US" # x\nor known(asn)',
            17,
            "a comment would hide what follows it: put it on a line above `when`",
        ),
        ('country in ["US" "CA"]', 18, "a comma is missing between two texts"),
        ("known(asn)) or (known(asn)", 11, "`)` is closed here that was not opened"),
        ("a.b == 1", 1, "`a.b` is not part of the language: facts have no parts: write `trade.spot` in quotes"),
        ("asn + 1 == 2", 1, "`asn + 1` is not part of the language: conditions do not calculate"),
        ("asn == len(flags)", 8, "`len(flags)` is not part of the language: the only function is `known(fact)`"),
        ("any(documents)", 1, "`any(documents)` is not part of the language: the only function is `known(fact)`"),
        ('"US" if known(asn) else "CA"', 1, "is not part of the language: write `if … else` with and, or, not"),
        ('country == f"{asn}"', 12, "is not part of the language: write the text out"),
        ("country in {1: 2}", 12, "is not part of the language: lists are written `[...]`"),
        ('country is "US"', 1, "this comparison is not part of the language: write `==`"),
        ('country is not "US"', 1, "this comparison is not part of the language: write `!=`"),
        ("lambda: country", 1, "is not part of the language: conditions only compare facts"),
        ("(x := country) == 1", 2, "is not part of the language: conditions name nothing: `==` compares"),
        ("documents[0] == 1", 1, "`documents[0]` is not part of the language: a set is asked by `in`"),
        ("[x for x in documents] == 1", 1, "is not part of the language"),
        ("~asn == 1", 1, "`~asn` is not part of the language"),
        ("asn == 1j", 8, "`1j` is not part of the language"),
        ('country == b"US"', 12, "is not part of the language"),
        ("country == ...", 12, "`...` is not part of the language"),
        ('country == -"US"', 12, "is not part of the language"),
        ("country in []", 12, "the list is empty"),
        ("country in [US]", 13, "a list holds texts and numbers: write `US` in quotes"),
        ("country == True", 12, "no fact is true or false: compare with a text or a number"),
        ("country == None", 12, '"there is none" equals nothing: compare with what there is'),
        ("country == (asn == 1)", 13, "only facts, lists and values are compared: put parentheses around comparisons"),
        ("known()", 1, "`known` takes the name of one fact: `known(country)`"),
        ('known("country")', 1, "`known` takes the name of one fact: `known(country)`"),
        ("known(country, asn)", 1, "`known` takes the name of one fact: `known(country)`"),
        ("known(x=country)", 8, "equality is written `==`, not `=`"),
        ('country == "\\x55S"', 13, "a backslash has no meaning in a condition"),
        ("not " * 40 + "known(asn)", 133, "the condition is nested deeper than 32 levels"),
        ("(" * 300 + "known(asn)" + ")" * 300, 200, "too many nested parentheses"),
        ("-" * 3_000 + "1 == asn", 1, ""),
        ("known(asn)" + " " * 4_000, 1, "the condition is longer than 4000 characters: put its values in a named list"),
        ("asn == \0", 1, "the condition cannot be read"),
        ("", 1, "is not part of the language"),
        ("-" * 3_900 + "1 == asn", 1, "the condition cannot be read: it is nested too deep"),
        ('country == """US', 12, "the condition cannot be read: unterminated triple-quoted string literal"),
        ("asn == ?", 8, "the condition cannot be read"),
        ("yield asn", 1, "`yield asn` is not part of the language"),
    ],
)
def test_what_is_not_in_the_language_is_refused_by_name_and_place(text, column, message):
    with pytest.raises(PolicyError) as caught:
        parse(text, at)
    place, _, said = str(caught.value).partition(": ")
    assert message in said
    assert place == f"f:1:{column}" or column == 1


def test_a_place_in_a_later_line_counts_the_lines_before_it():
    text = 'country == "é" or\nknown(1)'
    with pytest.raises(PolicyError, match=f"f:1:{text.index('known') + 1}:"):
        parse(text, at)


def test_every_comparison_is_found_however_deep():
    condition = parse('not (country == "US" or known(asn)) and 1 < assurance < 3', at)
    assert len(list(comparisons(condition))) == 4
    assert facts_of(condition) == {"country", "asn", "assurance"}
    assert facts_of(ALWAYS) == frozenset()
    assert facts_of(ListName("x")) == facts_of(US) == facts_of(Literals(("x",))) == frozenset()


@given(st.text(alphabet=st.sampled_from(list("country known(asn)[]{}\"'=<>!#,.:+-*1 \n\0é")), max_size=40))
def test_any_text_is_a_condition_or_a_finding(text):
    try:
        condition = parse(text, at)
    except PolicyError as refused:
        assert str(refused).startswith("f:1:")  # noqa: PT017 - either end is fine, an unnamed fault is not
    else:
        assert isinstance(condition, Comparison | Known | Not | AllOf | AnyOf)
