"""The specification, by example: each sentence of docs/decisions/0003-policy-semantics.md that names an outcome."""

import pytest

from gateway.core.facts import Facts, OneOf, Unknown
from gateway.core.terms import Effect, Operation, Outcome, Proof, Reason, WhyUnknown
from gateway.core.verdict import Challenge, Excepted, RuleRef
from gateway.policies import reference
from gateway.policies.bundle import assemble
from gateway.policies.evaluate import evaluate

LOST = Unknown(WhyUnknown.STORE_UNAVAILABLE)
NO_RECORD = Unknown(WhyUnknown.NO_RECORD)
GRANT = "{id: all, grant: full, when: true}"
US = 'when: country == "US", reason: jurisdiction-blocked, basis: b'
ALICE = Facts(
    at=0,
    operation=Operation.WITHDRAW,
    country="PT",
    credential="session",
    token="valid",
    assurance=2,
    auth_age=30,
    account="alice",
    status="open",
    documents=frozenset({"PT"}),
)


@pytest.fixture
def judge(write):
    """Return the verdict of both evaluators, which agree, on rules written in flow style."""

    def verdict(facts, *rules):
        body = "".join(f"  - {rule}\n" for rule in rules) or " []\n"
        text = f"{write.header}rules:{body if body == ' []' + chr(10) else chr(10) + body}"
        bundle = assemble({"p.yaml": text}, sources_configured=None)
        found = reference.evaluate(facts, bundle)
        assert evaluate(facts, bundle) == found
        return found

    return verdict


def limit(name, when='country == "US"', to="read_only", reason="jurisdiction-blocked", more=""):
    return f"{{id: {name}, limit: {to}, when: '{when}', reason: {reason}, basis: b{more}}}"


def require(name, proof="mfa", when="True", more="", rest=""):
    asked = f"{{for: [withdraw], proof: {proof}{more}}}"
    return f"{{id: {name}, require: {asked}, when: '{when}', reason: step-up-required, basis: b{rest}}}"


def names(verdict):
    return [one.rule for one in verdict.by]


def test_no_grant_no_access(judge):
    verdict = judge(ALICE)
    assert (verdict.outcome, verdict.access, verdict.nothing_granted) == (Outcome.DENY, frozenset(), True)
    assert verdict.reason is Reason.NOT_GRANTED
    assert verdict.by == ()


def test_a_limit_excludes_what_it_leaves_out_and_says_why(judge):
    verdict = judge(ALICE._replace(country="US"), GRANT, limit("us", more=", status: 451, message: Not here"))
    (one,) = verdict.by
    assert (one.policy, one.rule, one.effect, one.reason, one.basis, one.uncertain, one.status, one.message) == (
        "p",
        "us",
        Effect.LIMIT,
        Reason.JURISDICTION_BLOCKED,
        "b",
        False,
        451,
        "Not here",
    )
    assert verdict.outcome is Outcome.DENY
    assert not verdict.nothing_granted
    assert str(verdict.level) == "read_only"


def test_a_limit_that_leaves_the_operation_open_narrows_and_determines_nothing(judge):
    verdict = judge(ALICE._replace(country="US", operation=Operation.VIEW), GRANT, limit("us"))
    assert (verdict.outcome, verdict.by, str(verdict.level)) == (Outcome.ALLOW, (), "read_only")


def test_all_that_excludes_determines_in_the_order_of_reasons_then_names(judge):
    rules = [
        limit("z", reason="hold"),
        limit("b", reason="sanctioned-region"),
        limit("a", reason="hold"),
        require("m", proof="phishing_resistant"),
    ]
    verdict = judge(ALICE._replace(country="US"), GRANT, *rules)
    assert names(verdict) == ["b", "a", "z", "m"]
    assert verdict.reason is Reason.SANCTIONED_REGION


def test_over_an_unknown_condition_a_grant_does_not_match_and_a_limit_does(judge):
    unread = ALICE._replace(country=NO_RECORD)
    granted = judge(unread, '{id: pt, grant: full, when: country == "PT"}')
    assert (granted.outcome, granted.uncertain) == (Outcome.DENY, (RuleRef("p", "pt"),))
    limited = judge(unread, GRANT, limit("us"))
    assert limited.by[0].uncertain
    assert limited.uncertain == (RuleRef("p", "us"),)


@pytest.mark.parametrize(
    ("changes", "outcome"),
    [
        ({}, Outcome.ALLOW),
        ({"assurance": 1}, Outcome.CHALLENGE),
        ({"auth_age": 300}, Outcome.ALLOW),
        ({"auth_age": 301}, Outcome.CHALLENGE),
        ({"auth_age": None}, Outcome.CHALLENGE),
        ({"auth_age": NO_RECORD}, Outcome.CHALLENGE),
        ({"assurance": NO_RECORD}, Outcome.CHALLENGE),
        ({"auth_age": OneOf(WhyUnknown.NO_RECORD, frozenset({1, 2}))}, Outcome.ALLOW),
        ({"credential": "api_key", "assurance": 1, "auth_age": None}, Outcome.CHALLENGE),
        ({"assurance": 1, "operation": Operation.VIEW}, Outcome.ALLOW),
    ],
)
def test_a_requirement_is_met_by_enough_proof_fresh_enough_both_known(judge, changes, outcome):
    verdict = judge(ALICE._replace(**changes), GRANT, require("proof", more=", max_age: 5m"))
    assert verdict.outcome is outcome
    assert verdict.challenge == (Challenge(Proof.MFA, 300) if outcome is Outcome.CHALLENGE else None)


def test_a_challenge_asks_for_the_strongest_proof_and_the_shortest_age(judge):
    rules = [
        require("a", more=", max_age: 10m"),
        require("b", proof="phishing_resistant"),
        require("c", proof="sign_in", more=", max_age: 5m"),
    ]
    verdict = judge(ALICE._replace(assurance=0), GRANT, *rules)
    assert verdict.challenge == Challenge(Proof.PHISHING_RESISTANT, 300)
    without = judge(ALICE._replace(assurance=0), GRANT, rules[1])
    assert without.challenge == Challenge(Proof.PHISHING_RESISTANT, None)


def test_a_requirement_never_changes_access(judge):
    verdict = judge(ALICE._replace(assurance=0), GRANT, require("proof"))
    assert Operation.WITHDRAW in verdict.access


def test_a_refusal_is_no_challenge_however_much_proof_is_lacking(judge):
    verdict = judge(ALICE._replace(assurance=0, country="US"), GRANT, limit("us"), require("proof"))
    assert (verdict.outcome, verdict.challenge) == (Outcome.DENY, None)
    assert names(verdict) == ["us", "proof"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"token": "absent"}, Reason.CREDENTIAL_REQUIRED),
        ({"token": "expired"}, Reason.CREDENTIAL_EXPIRED),
        ({"token": "invalid"}, Reason.CREDENTIAL_INVALID),
        ({"token": Unknown(WhyUnknown.KEYS_UNAVAILABLE)}, Reason.ACCOUNT_UNKNOWN),
        ({"status": LOST}, Reason.ACCOUNT_UNKNOWN),
        ({}, Reason.NOT_GRANTED),
    ],
)
def test_where_nothing_granted_it_the_credential_says_why(judge, changes, reason):
    assert judge(ALICE._replace(**changes)).reason is reason
    with_requirement = judge(ALICE._replace(assurance=0, **changes), require("proof"))
    assert with_requirement.reason is reason


def test_rules_speak_only_while_they_are_in_force(judge):
    dated = limit("us", more=", in_force: {from: 1970-01-02, until: 1970-01-03}")
    day = 86_400_000_000
    outcomes = [
        judge(ALICE._replace(country="US", at=at), GRANT, dated).outcome for at in (day - 1, day, 2 * day - 1, 2 * day)
    ]
    assert outcomes == [Outcome.ALLOW, Outcome.DENY, Outcome.DENY, Outcome.ALLOW]


DUTIES = ", on_match: [{flag: seen}, {notify: seen}], on_refusal: [{ticket: review}]"


@pytest.mark.parametrize(
    ("changes", "kinds"),
    [
        ({"country": "US"}, ["flag", "notify", "ticket"]),
        ({"country": "US", "operation": Operation.VIEW}, ["flag", "notify"]),
        ({"country": "PT"}, []),
        ({"country": NO_RECORD}, []),
        ({"country": "US", "account": None}, ["notify"]),
        ({"country": "US", "account": LOST}, ["notify"]),
    ],
)
def test_obligations_follow_from_what_is_certain_and_need_an_account(judge, changes, kinds):
    verdict = judge(ALICE._replace(**changes), GRANT, limit("us", more=DUTIES))
    assert [duty.kind for duty in verdict.obligations] == kinds


def test_a_requirement_that_challenges_has_refused(judge):
    verdict = judge(ALICE._replace(assurance=0), GRANT, require("proof", rest=DUTIES))
    assert [duty.kind for duty in verdict.obligations] == ["flag", "notify", "ticket"]


@pytest.mark.parametrize(
    ("rules", "changes", "outage"),
    [
        ([GRANT, limit("us")], {"country": LOST}, True),
        ([GRANT, limit("us")], {"country": NO_RECORD}, False),
        ([GRANT, limit("us")], {"country": OneOf(WhyUnknown.STORE_UNAVAILABLE, frozenset({"US", "PT"}))}, False),
        ([GRANT, limit("us"), limit("de", when="asn == 1")], {"country": LOST, "asn": NO_RECORD}, False),
        ([GRANT, limit("us"), limit("open", when='status == "open"')], {"country": LOST}, False),
        ([GRANT, limit("us", when='country == "US" and asn == 1')], {"country": LOST, "asn": NO_RECORD}, False),
        ([GRANT, limit("us", when='country == "US" and asn == 1')], {"country": LOST, "asn": 1}, True),
        (['{id: g, grant: full, when: status == "open"}'], {"status": LOST}, True),
        (['{id: g, grant: full, when: status == "open"}'], {"status": NO_RECORD}, False),
        (['{id: g, grant: [view], when: status == "open"}'], {"status": LOST}, False),
        ([GRANT, require("proof")], {"assurance": Unknown(WhyUnknown.KEYS_UNAVAILABLE)}, True),
        ([GRANT, require("proof")], {"assurance": NO_RECORD}, False),
        ([GRANT, require("proof")], {"assurance": 1}, False),
        ([GRANT, require("proof", more=", max_age: 5m")], {"assurance": 1, "auth_age": LOST}, False),
        ([GRANT, require("proof", more=", max_age: 5m")], {"assurance": LOST, "auth_age": NO_RECORD}, False),
        ([GRANT, require("proof", when='status == "open"')], {"assurance": 1, "status": LOST}, True),
        ([GRANT], {"country": LOST}, False),
    ],
)
def test_an_outage_is_to_blame_where_nothing_else_is(judge, rules, changes, outage):
    verdict = judge(ALICE._replace(**changes), *rules)
    assert verdict.outage is outage


ABROAD = {"country": "US"}
HOUR = 3_600_000_000


@pytest.fixture
def judge_excepted(write):
    """Return the verdict of both evaluators under one rule, and an exception to it for Alice's withdrawals."""

    def verdict(rule, text="account: alice", **facts):
        policy = f"{write.header}rules:\n  - {GRANT}\n  - {rule}\n"
        entry = f"{{id: e, operations: [withdraw], {text}, lifts: [p/us], reason: r, basis: b"
        exceptions = f"exceptions: x\nowner: o\nentries:\n  - {entry}, from: 1969-12-31, until: 1970-01-02}}\n"
        bundle = assemble({"p.yaml": policy, "x.yaml": exceptions}, sources_configured=None)
        given = ALICE._replace(**facts)
        found = reference.evaluate(given, bundle)
        assert evaluate(given, bundle) == found
        return found

    return verdict


def test_an_exception_opens_its_operations_to_whom_it_is_for_and_is_named(judge_excepted):
    verdict = judge_excepted(limit("us", to="support_only"), country="US")
    assert (verdict.outcome, verdict.by, verdict.access) == (
        Outcome.ALLOW,
        (),
        {Operation.SUPPORT, Operation.WITHDRAW},
    )
    assert verdict.excepted == (Excepted("p", "us", "x/e", "o", 24 * HOUR),)


@pytest.mark.parametrize(
    "facts",
    [
        {"account": "bob"},
        {"account": None},
        {"account": LOST},
        {"account": OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"alice", "bob"}))},
        {"operation": Operation.TRANSFER},
        {"at": 24 * HOUR},
        {"at": -24 * HOUR - 1},
    ],
)
def test_for_others_for_more_and_at_other_times_the_rule_is_as_it_was(judge_excepted, facts):
    verdict = judge_excepted(limit("us"), **ABROAD, **facts)
    assert (verdict.outcome, names(verdict), verdict.excepted) == (Outcome.DENY, ["us"], ())


def test_where_nobody_knows_whom_it_is_for_the_rule_is_as_certain_as_it_was(judge_excepted):
    for account in (LOST, Unknown(WhyUnknown.TOKEN_LACKS_CLAIM)):
        verdict = judge_excepted(limit("us", more=", on_match: [{notify: seen}]"), **ABROAD, account=account)
        assert (verdict.by[0].uncertain, verdict.outage, verdict.uncertain) == (False, False, ())
        assert [duty.kind for duty in verdict.obligations] == ["notify"]


def test_the_account_of_another_network_is_not_asked(judge_excepted):
    office = frozenset({"office"})
    assert judge_excepted(limit("us"), "network: office", **ABROAD, network=office).outcome is Outcome.ALLOW
    assert judge_excepted(limit("us"), "network: office", **ABROAD, network=frozenset()).outcome is Outcome.DENY
    assert judge_excepted(limit("us"), "network: office", **ABROAD, network=LOST).outcome is Outcome.DENY


def test_a_requirement_can_be_lifted_too_and_is_named_only_where_it_would_have_asked(judge_excepted):
    lifted = judge_excepted(require("us", proof="phishing_resistant"))
    assert (lifted.outcome, [one.rule for one in lifted.excepted]) == (Outcome.ALLOW, ["us"])
    assert judge_excepted(require("us"), assurance=3).excepted == ()


def test_a_rule_that_does_not_match_is_lifted_by_nobody(judge_excepted):
    assert judge_excepted(limit("us"), country="PT").excepted == ()


def test_what_does_not_apply_to_the_operation_asks_for_nothing_either(judge_excepted):
    assert judge_excepted(limit("us", more=DUTIES), **ABROAD).obligations == ()
    other = judge_excepted(limit("us", more=DUTIES), **ABROAD, operation=Operation.VIEW)
    assert [duty.kind for duty in other.obligations] == ["flag", "notify"]


def test_every_order_holds_as_arithmetic_has_it(judge):
    for sign, holds in (
        ("<", (1, 0, 0)),
        ("<=", (1, 1, 0)),
        (">", (0, 0, 1)),
        (">=", (0, 1, 1)),
        ("==", (0, 1, 0)),
        ("!=", (1, 0, 1)),
    ):
        for age, one in zip((59, 60, 61), holds, strict=True):
            verdict = judge(ALICE._replace(auth_age=age), GRANT, limit("age", when=f"auth_age {sign} 60"))
            assert bool(verdict.by) is bool(one), (sign, age)
