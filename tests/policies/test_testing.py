import pytest

from gateway.core.facts import Unknown
from gateway.core.terms import Operation, TokenState, WhyUnknown
from gateway.policies import testing
from gateway.policies.bundle import assemble
from gateway.policies.syntax import parse_policy

TEXT = """\
policy: p
title: t
owner: o
rules:
  - id: us
    limit: read_only
    when: country == "US"
    reason: jurisdiction-blocked
    basis: b
    in_force: {from: 2023-04-01}
    on_match: [{flag: us}]
  - id: proof
    require: {for: [withdraw], proof: mfa}
    when: status != "none"
    reason: step-up-required
    basis: b
tests:
  - name: A test
    facts: FACTS
    operation: withdraw
    AT
    expect: EXPECT
"""


def policy(facts="{}", expect="{outcome: allow}", at=""):
    return parse_policy("p.yaml", TEXT.replace("FACTS", facts).replace("EXPECT", expect).replace("AT", at))


def differences(facts, expect, at=""):
    (result,) = testing.run(policy(facts, expect, at))
    assert result.passed is (not result.differences)
    return list(result.differences)


@pytest.mark.parametrize(
    ("facts", "expect", "at"),
    [
        ("{country: DE}", "{outcome: allow, by: [], access: full, obligations: []}", ""),
        ("{country: US}", "{outcome: deny, by: [us], reason: jurisdiction-blocked, access: read_only}", ""),
        ("{country: US}", "{outcome: allow}", "at: 2023-03-31"),
        ("{country: US}", "{outcome: deny}", "at: 2023-04-01"),
        ("{}", "{outcome: deny, by: [us]}", ""),
        ("{country: US, status: open}", "{outcome: deny, by: [proof, us], obligations: [{flag: us}]}", ""),
        ("{country: DE, status: open}", "{outcome: challenge, by: [proof], reason: step-up-required}", ""),
        ("{country: DE, status: open, assurance: 2}", "{outcome: allow}", ""),
        ("{country: {one_of: [US, DE]}}", "{outcome: deny, by: [us]}", ""),
    ],
)
def test_a_test_that_is_true_passes(facts, expect, at):
    assert differences(facts, expect, at) == []


@pytest.mark.parametrize(
    ("facts", "expect", "difference"),
    [
        ("{country: US}", "{outcome: allow}", "expected the outcome allow, and it is deny (by `us`)"),
        ("{country: DE}", "{outcome: deny}", "expected the outcome deny, and it is allow (by no rule)"),
        ("{country: US}", "{outcome: deny, by: []}", "expected it to be determined by no rule, and it is by `us`"),
        ("{country: US}", "{outcome: deny, by: [us, proof]}", "determined by `proof`, `us`, and it is by `us`"),
        ("{country: US}", "{outcome: deny, reason: hold}", "expected the reason hold, and it is jurisdiction-blocked"),
        ("{country: DE}", "{outcome: allow, reason: hold}", "expected the reason hold, and it is none"),
        ("{country: US}", "{outcome: deny, access: full}", "expected the access full, and it is read_only"),
        (
            "{country: US, account: a}",
            "{outcome: deny, obligations: [{ticket: x}]}",
            "expected the obligations ticket x, and they are flag us",
        ),
        ("{country: US}", "{outcome: deny, obligations: [{flag: us}]}", "obligations flag us, and they are none"),
        (
            "{country: US, account: a}",
            "{outcome: deny, obligations: [{flag: us, after: {days: 3, within: 30d}}]}",
            "expected the obligations flag us after 3 days within 30d, and they are flag us",
        ),
        (
            "{country: US, account: a}",
            "{outcome: deny, obligations: [{hold: {operations: [view], expires: 1h, expeditable: false}}]}",
            "expected the obligations hold view, not expeditable, and they are flag us",
        ),
    ],
)
def test_a_test_that_is_not_says_what_differs(facts, expect, difference):
    assert difference in "; ".join(differences(facts, expect))


def facts_of(text, at=""):
    made = policy(text, at=at)
    return testing.facts_of_test(made.tests[0], made)


def test_a_test_that_names_nobody_is_about_nobody():
    facts = facts_of("{country: DE}")
    assert (facts.operation, facts.token, facts.account, facts.credential) == (
        Operation.WITHDRAW,
        TokenState.ABSENT,
        None,
        "none",
    )
    assert (facts.network, facts.signals, facts.risk, facts.amount_usd, facts.destination) == (
        frozenset(),
        frozenset(),
        "low",
        None,
        None,
    )
    assert facts.asn == Unknown(WhyUnknown.NOT_SUPPLIED)


@pytest.mark.parametrize("text", ["{documents: [US]}", "{status: open}", "{flags: [staff]}", "{residence: DE}"])
def test_a_test_that_names_an_account_fact_is_about_somebody_signed_in(text):
    facts = facts_of(text)
    assert (facts.token, facts.credential, facts.account, facts.assurance, facts.auth_age) == (
        "valid",
        "session",
        "someone",
        1,
        60,
    )


def test_a_test_may_say_otherwise():
    facts = facts_of("{status: open, token: expired, account: alice, auth_age: 7, network: [tor]}")
    assert (facts.token, facts.account, facts.auth_age, facts.network) == ("expired", "alice", 7, {"tor"})


def test_the_status_none_says_that_nobody_is_signed_in():
    assert facts_of("{status: none}").token == "absent"
    assert facts_of("{token: expired}").account is None


def test_a_test_without_an_instant_comes_after_the_last_date_of_the_policy():
    assert facts_of("{}").at == 1_680_307_200_000_000
    assert facts_of("{}", "at: 2020-01-01").at == 1_577_836_800_000_000


def test_a_policy_is_tested_alone_and_everything_is_granted_where_it_grants_nothing():
    text = TEXT.replace("FACTS", "{country: DE}").replace("EXPECT", "{outcome: allow}").replace("AT", "")
    other = "policy: q\ntitle: t\nowner: o\nrules: []\n"
    bundle = assemble({"p": text, "q": other}, sources_configured=None)
    assert [result.passed for result in testing.run(bundle)] == [True]
    limits = policy("{country: DE}")
    granting = limits._replace(rules=(*limits.rules, *testing.alone(limits, {}).rules[-1:]))
    assert len(testing.alone(granting, {}).rules) == len(granting.rules)


def test_a_limit_and_a_requirement_each_need_a_test_that_they_determine():
    made = policy("{country: US}", "{outcome: deny}")
    found = testing.findings(made, testing.run(made))
    assert [finding.message for finding in found] == [
        "no test is determined by rule `proof`: add one that this requirement challenges"
    ]
    assert str(found[0].place) == "p.yaml:12:5"


def test_a_failing_test_is_a_finding_at_its_place():
    made = policy("{country: DE}", "{outcome: deny}")
    first = testing.findings(made, testing.run(made))[0]
    assert str(first).startswith("p.yaml:18:5: test `A test` fails: expected the outcome deny, and it is allow")
