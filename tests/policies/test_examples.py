import pytest

from gateway.core.facts import OneOf, Unknown
from gateway.core.terms import Access, Operation, Outcome, Reason, WhyUnknown
from gateway.policies.document import read
from gateway.policies.examples import read_test
from gateway.policies.rules import Duty

RULES = frozenset({"us-closed", "proof"})


def example(facts="{}", expect="{outcome: deny}", more=""):
    text = f"name: A sentence\nfacts: {facts}\noperation: withdraw\n{more}expect: {expect}\n"
    findings = []
    return read_test(read("f", text), "p", RULES, findings), [str(finding) for finding in findings]


def test_a_test_is_read_whole():
    test, findings = example(
        "{country: US, documents: [US, NO], auth_age: 60, residence: }",
        "{outcome: deny, by: [us-closed], reason: hold, access: read_only, obligations: [{flag: us}]}",
        "at: 1970-01-02\n",
    )
    assert findings == []
    assert test is not None
    assert (test.policy, test.name, test.operation, test.at) == ("p", "A sentence", Operation.WITHDRAW, 86_400_000_000)
    assert test.facts == {"country": "US", "documents": {"US", "NO"}, "auth_age": 60, "residence": None}
    assert test.expect == (Outcome.DENY, {"us-closed"}, Reason.HOLD, Access.READ_ONLY, {Duty("flag", "us")})


def test_what_a_test_leaves_out_it_says_nothing_about():
    test, findings = example()
    assert findings == []
    assert test is not None
    assert test.at is None
    assert test.expect == (Outcome.DENY, None, None, None, None)


@pytest.mark.parametrize(
    ("facts", "name", "fact"),
    [
        ("{country: {unknown: no-record}}", "country", Unknown(WhyUnknown.NO_RECORD)),
        ("{country: {one_of: [US, CA]}}", "country", OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"US", "CA"}))),
        (
            "{subdivision: {one_of: [DE-BE], prefixes: [US-], why: no-record}}",
            "subdivision",
            OneOf(WhyUnknown.NO_RECORD, frozenset({"DE-BE"}), frozenset({"US-"})),
        ),
        (
            "{subdivision: {prefixes: [US-]}}",
            "subdivision",
            OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset(), frozenset({"US-"})),
        ),
        (
            "{documents: {one_of: [[US], []]}}",
            "documents",
            OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({frozenset({"US"}), frozenset()})),
        ),
        ("{account: 42}", "account", "42"),
        ("{account: 007}", "account", "007"),
        ("{amount_usd: 1.5}", "amount_usd", 1.5),
        ("{amount_usd: ~}", "amount_usd", None),
        ("{country: NO}", "country", "NO"),
        ("{documents: []}", "documents", frozenset()),
    ],
)
def test_a_fact_is_certain_or_says_how_it_is_not(facts, name, fact):
    test, findings = example(facts)
    assert findings == []
    assert test is not None
    assert test.facts[name] == fact


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ("{contry: US}", "f:2:9: unknown fact `contry`: did you mean `country`?"),
        ("{operation: view}", "f:2:9: `operation` stands beside `facts`, not among them"),
        ("{at: 2020-01-01}", "`at` stands beside `facts`, not among them"),
        ("{country: UK}", "f:2:18: `UK` is not a country code of ISO 3166-1: did you mean `GB`?"),
        ("{country: ~}", "`None` cannot be a value of `country`, which is a text"),
        ("{country: [US]}", "cannot be a value of `country`"),
        ("{country: true}", "`True` cannot be a value of `country`"),
        ("{documents: US}", "`documents` is a set: write `[US]`, and `[]` where there is none"),
        ("{documents: [UK]}", "did you mean `GB`?"),
        ("{auth_age: soon}", "`soon` cannot be a value of `auth_age`, which is a number"),
        ("{auth_age: true}", "`True` cannot be a value of `auth_age`"),
        ("{country: {unknown: dunno}}", "unknown cause `dunno`"),
        ("{country: {unknown: no-record, one_of: [US]}}", "`one_of` says nothing beside `unknown`"),
        ("{country: {}}", "an uncertain fact is `{unknown: WHY}` or `{one_of: [...]}`"),
        ("{country: {oneof: [US]}}", "unknown field `oneof` in the uncertain fact `country`: did you mean `one_of`?"),
        ("{asn: {prefixes: [6]}}", "`asn` has no prefixes: they say how a text begins"),
        ("{documents: {prefixes: [U]}}", "`documents` has no prefixes"),
        ("[country]", "`facts` in the test must be a mapping"),
    ],
)
def test_a_fact_that_cannot_be_is_a_finding(facts, message):
    assert message in " ".join(example(facts)[1])


@pytest.mark.parametrize(
    ("expect", "message"),
    [
        ("{}", "`expect` lacks `outcome`"),
        ("{outcome: denied}", "unknown outcome `denied`: did you mean `deny`?"),
        ("{outcome: deny, rules: []}", "unknown field `rules` in `expect`"),
        ("{outcome: deny, by: [us-close]}", "f:4:30: no rule `us-close` in this policy: did you mean `us-closed`?"),
        ("{outcome: deny, by: [[a]]}", "no rule `` in this policy"),
        ("{outcome: deny, reason: holds}", "unknown reason `holds`: did you mean `hold`?"),
        ("{outcome: deny, access: all}", "unknown access `all`"),
        ("{outcome: deny, obligations: [{flga: a}]}", "unknown obligation `flga`"),
        ("deny", "`expect` in the test must be a mapping"),
    ],
)
def test_an_expectation_that_says_nothing_is_a_finding(expect, message):
    test, findings = example(expect=expect)
    assert message in " ".join(findings)
    assert test is None or findings


def test_a_test_is_a_mapping():
    findings = []
    assert read_test(read("f", "a sentence"), "p", RULES, findings) is None
    assert findings[0].message == "a test is a mapping with `name`, `facts`, `operation` and `expect`"


def test_a_test_needs_a_name_an_operation_and_what_to_expect():
    findings = []
    assert read_test(read("f", "facts: {}"), "p", RULES, findings) is None
    assert {finding.message for finding in findings} == {
        "the test lacks `name`",
        "the test lacks `operation`",
        "the test lacks `expect`",
    }
