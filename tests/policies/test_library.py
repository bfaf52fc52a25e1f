"""The shipped policies, alone and together: each loads, and together they keep what the gateway promises."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.policy_files import UNLICENSED
from gateway.core.evidence import After
from gateway.core.facts import Facts, OneOf, Unknown, is_certain
from gateway.core.reply import reply_to
from gateway.core.terms import LEVELS, Access, Effect, Operation, Outcome, Reason, Status, WhyUnknown
from gateway.core.verdict import Verdict
from gateway.policies import library
from gateway.policies.bundle import Bundle, load
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import facts_of
from gateway.policies.reference import evaluate as reference
from gateway.policies.rules import Rule

FOLDER = Path(library.__file__).parent
ROOT = FOLDER.parent.parent.parent
FILES = sorted(FOLDER.rglob("*.yaml"))
NAMES = sorted(path.stem for path in FOLDER.glob("*.yaml"))
SOURCES = {path.relative_to(FOLDER).as_posix(): path.read_text(encoding="utf-8") for path in FILES}
NOW = 1_795_219_200_000_000  # 2026-11-21, microseconds
GUIDE = (ROOT / "docs" / "policies.md").read_text(encoding="utf-8")

EVERYTHING = load(SOURCES, sources_configured=None)
LICENSED = load({n: text for n, text in SOURCES.items() if not n.startswith(UNLICENSED)}, sources_configured=None)
"""What `library:*` gives: nobody knows but the exchange for which markets it has no licence."""

ALICE: dict[str, Any] = {
    "country": "PT",
    "subdivision": "PT-11",
    "continent": "EU",
    "asn": 3243,
    "network": frozenset(),
    "credential": "session",
    "token": "valid",
    "assurance": 2,
    "auth_age": 60,
    "account": "alice",
    "status": "open",
    "verification": "full",
    "documents": frozenset({"PT"}),
    "residence": "PT",
    "nationality": "PT",
    "signals": frozenset(),
    "risk": "low",
}
BOB = {**ALICE, "account": "bob", "country": "US", "subdivision": "US-OH", "continent": "NA"} | {
    "documents": frozenset({"US"}),
    "residence": "US",
    "nationality": "US",
}
CAROL = {**ALICE, "account": "carol", "status": "flagged"}
DAN = {**ALICE, "account": "dan", "status": "archived"}
NOBODY = {name: ALICE[name] for name in ("country", "subdivision", "continent", "asn", "network", "signals", "risk")}
CHARLIE = {**NOBODY, "credential": "session", "token": "invalid"}
"""He has Alice's password, and a token that he made himself."""


def _verdict(who: Mapping[str, Any], operation: str, *, bundle: Bundle = LICENSED, **facts: Any) -> Verdict:
    return evaluate(Facts(**{"at": NOW, "operation": Operation(operation), **who, **facts}), bundle)


def _rules(verdict: Verdict) -> list[str]:
    return [rule.rule for rule in verdict.by]


@pytest.mark.parametrize("name", NAMES)
def test_each_policy_can_be_adopted_alone_with_the_lists(name: str) -> None:
    lists = {file: text for file, text in SOURCES.items() if file.startswith("lists/")}
    bundle = load({**lists, f"{name}.yaml": SOURCES[f"{name}.yaml"]}, sources_configured=None)
    assert [policy.name for policy in bundle.policies] == [name]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_file_names_its_schema_for_editors(path: Path) -> None:
    schema = "policy.v1.json" if path.parent == FOLDER else "list.v1.json"
    first = path.read_text(encoding="utf-8").splitlines()[0]
    prefix = "# yaml-language-server: $schema="
    assert first.startswith(prefix)
    assert (path.parent / first.removeprefix(prefix)).resolve() == ROOT / "schemas" / schema


def test_files_are_named_as_what_they_hold() -> None:
    assert [policy.name for policy in EVERYTHING.policies] == NAMES
    assert {one.name for one in EVERYTHING.lists.values()} == {path.stem for path in (FOLDER / "lists").iterdir()}


def test_every_list_is_used_by_some_condition() -> None:
    conditions = " ".join(rule.when_text for rule in EVERYTHING.rules)
    assert [name for name in EVERYTHING.lists if name not in conditions] == []


def test_tests_are_named_as_sentences() -> None:
    names = [test.name for policy in EVERYTHING.policies for test in policy.tests]
    assert [name for name in names if not name[0].isupper() or len(name.split()) < 3 or name.endswith(".")] == []
    assert all(len({test.name for test in policy.tests}) == len(policy.tests) for policy in EVERYTHING.policies)


def test_what_ships_is_what_the_guide_describes() -> None:
    missing = [name for name in NAMES if f"## `{name}`" not in GUIDE]
    missing += [f"`{rule.id}`" for rule in EVERYTHING.rules if f"`{rule.id}`" not in GUIDE and "hold-" not in rule.id]
    missing += [one.name for one in EVERYTHING.lists.values() if f"`{one.name}`" not in GUIDE]
    missing += [f"{rule.reason}" for rule in EVERYTHING.rules if rule.reason and f"`{rule.reason}`" not in GUIDE]
    assert missing == []


def test_every_rule_that_asks_known_says_why_that_is_safe() -> None:
    asks = [rule for rule in EVERYTHING.rules if "known(" in rule.when_text]
    assert all(rule.justification for rule in asks)
    assert all(rule.justification is None for rule in EVERYTHING.rules if rule not in asks)


@pytest.mark.parametrize(
    ("who", "operation", "outcome", "rules", "reason", "status"),
    [
        (ALICE, "withdraw", "allow", [], None, 200),
        (ALICE, "unclassified", "allow", [], None, 200),
        (BOB, "withdraw", "deny", ["us-closed", "us-documents"], "jurisdiction-blocked", 403),
        (BOB, "support", "allow", [], None, 200),
        (CAROL, "withdraw", "deny", ["flagged"], "account-flagged", 403),
        (CAROL, "view", "allow", [], None, 200),
        (DAN, "support", "deny", ["archived"], "account-archived", 403),
        (CHARLIE, "view", "challenge", ["credential-invalid"], "credential-invalid", 401),
        (CHARLIE, "withdraw", "deny", ["credential-invalid", "fresh-proof"], "credential-invalid", 401),
        (CHARLIE, "login", "allow", [], None, 200),
        (NOBODY, "view", "allow", [], None, 200),
        (NOBODY, "withdraw", "deny", [], "credential-required", 401),
    ],
)
def test_the_cast_is_answered_as_the_house_says(
    who: Mapping[str, Any], operation: str, outcome: str, rules: list[str], reason: str | None, status: int
) -> None:
    verdict = _verdict(who, operation)
    assert (verdict.outcome, _rules(verdict), verdict.reason) == (outcome, rules, reason)
    assert reply_to(verdict).status == status


@pytest.mark.parametrize(
    ("status", "level"),
    [
        ("open", Access.FULL),
        ("exit_only", Access.WITHDRAW_ONLY),
        ("flagged", Access.READ_ONLY),
        ("restricted", Access.SUPPORT_ONLY),
        ("archived", Access.NONE),
    ],
)
def test_each_status_leaves_open_what_the_house_says(status: str, level: Access) -> None:
    for operation in Operation:
        verdict = _verdict(ALICE, operation, status=status)
        assert verdict.access == LEVELS[level]
        assert not verdict.nothing_granted
        if operation not in LEVELS[level]:
            assert verdict.by[0].reason == f"account-{status.replace('_', '-')}"


def test_every_status_is_spoken_of() -> None:
    for status in Status:
        assert _verdict(ALICE, "view", status=status).outcome is (
            Outcome.DENY if status in {"restricted", "archived"} else Outcome.ALLOW
        )


@pytest.mark.parametrize("operation", ["withdraw", "security"])
def test_an_old_proof_is_renewed_for_what_is_worth_stealing(operation: str) -> None:
    verdict = _verdict(ALICE, operation, auth_age=3600)
    assert (verdict.outcome, verdict.reason) == (Outcome.CHALLENGE, Reason.STEP_UP_REQUIRED)
    assert verdict.challenge is not None
    assert (verdict.challenge.proof, verdict.challenge.max_age_s) == ("mfa", 300)


STORE_OUT = {
    name: Unknown(WhyUnknown.STORE_UNAVAILABLE)
    for name in ("status", "flags", "verification", "documents", "residence", "nationality", "holds")
}
KEYS_OUT = {
    name: Unknown(WhyUnknown.KEYS_UNAVAILABLE) for name in ("token", "account", "assurance", "auth_age", *STORE_OUT)
}


@pytest.mark.parametrize("lost", [STORE_OUT, KEYS_OUT], ids=["store", "keys"])
@pytest.mark.parametrize("operation", list(Operation))
def test_an_outage_is_answered_503_and_opens_nothing(lost: Mapping[str, Any], operation: Operation) -> None:
    verdict = _verdict(ALICE, operation, **lost)
    assert (verdict.outcome, verdict.access, verdict.outage) == (Outcome.DENY, frozenset(), True)
    assert reply_to(verdict).status == 503


def test_an_outage_excuses_nothing_that_would_be_refused_anyway() -> None:
    verdict = _verdict({**ALICE, "country": "IR", "subdivision": "IR-23"}, "withdraw", **STORE_OUT)
    assert (verdict.reason, verdict.outage, reply_to(verdict).status) == (Reason.SANCTIONED_REGION, False, 451)


def test_a_customer_whom_the_store_does_not_know_is_refused_for_that() -> None:
    lost = {name: Unknown(WhyUnknown.NO_ACCOUNT) for name in STORE_OUT} | {"documents": frozenset(), "residence": None}
    verdict = _verdict(ALICE, "withdraw", **lost)
    assert (verdict.reason, verdict.outage, reply_to(verdict).status) == (Reason.ACCOUNT_UNKNOWN, False, 403)


@pytest.mark.parametrize(
    ("facts", "status"),
    [
        ({"country": "CU", "subdivision": "CU-03"}, 451),
        ({"country": "UA", "subdivision": "UA-43"}, 451),
        ({"country": "UA", "subdivision": OneOf(WhyUnknown.NO_RECORD, frozenset(), frozenset({"UA-"}))}, 403),
        ({"country": "RU", "subdivision": "UA-40"}, 451),
        ({"country": OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"DE", "IR"})), "subdivision": "DE-BE"}, 403),
        ({"residence": "IR"}, 451),
    ],
)
def test_only_what_is_certain_is_called_sanctioned(facts: Mapping[str, Any], status: int) -> None:
    verdict = _verdict(ALICE, "withdraw", **facts)
    assert reply_to(verdict).status == status
    assert (verdict.reason is Reason.SANCTIONED_REGION) is (status == 451)


@pytest.mark.parametrize(
    ("facts", "operation", "told"),
    [
        ({"country": OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"US", "CA"}))}, "withdraw", "location-uncertain"),
        ({"holds": Unknown(WhyUnknown.NO_RECORD)}, "withdraw", "account-unknown"),
        ({"residence": Unknown(WhyUnknown.NO_RECORD)}, "view", "account-unknown"),
        ({"residence": "US", "holds": Unknown(WhyUnknown.NO_RECORD)}, "withdraw", "jurisdiction-blocked"),
    ],
)
def test_the_visitor_is_told_what_is_certain_only(facts: Mapping[str, Any], operation: str, told: str) -> None:
    reply = reply_to(_verdict(ALICE, operation, **facts))
    assert (reply.status, reply.reason) == (403, told)


_LIKE_IT: Final = frozenset(
    operation
    for operation in Operation
    if operation not in {Operation.VIEW, Operation.LOGIN, Operation.DEPOSIT, Operation.SUPPORT}
)


@pytest.mark.parametrize(
    "rule",
    [rule for rule in EVERYTHING.rules if rule.effect is Effect.LIMIT],
    ids=lambda rule: f"{rule.policy}/{rule.id}",
)
def test_what_no_route_names_is_closed_with_anything_that_it_may_be(rule: Rule) -> None:
    """A write to a path without a route may be a trade or a withdrawal that nobody has named yet."""
    assert rule.operations >= _LIKE_IT or Operation.UNCLASSIFIED not in rule.operations


def test_no_exception_lifts_a_sanction() -> None:
    sanctions = [rule for rule in EVERYTHING.rules if rule.reason is Reason.SANCTIONED_REGION]
    assert sanctions
    assert [rule.id for rule in sanctions if not rule.absolute] == []
    # The doubt about a region closes a country for want of data, so that people may see to one customer.
    doubt = next(rule for rule in EVERYTHING.rules if rule.id == "region-uncertain")
    assert not doubt.absolute


def test_a_flag_is_set_only_where_the_connection_is_certain() -> None:
    flags = [(one.value, one.after) for one in _verdict(BOB, "view").obligations]
    # One connection marks nobody; documents do.
    assert flags == [("us-connection", After(3, 30)), ("us-documents", None)]
    doubt = OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"US", "CA"}))
    assert _verdict(ALICE, "view", country=doubt).obligations == ()


# Whatever the facts are --------------------------------------------------------------------------------------------

_CHOICES: dict[str, list[Any]] = {
    "country": ["PT", "US", "PR", "CU", "IR", "UA", "RU", "DE", "GB", "HK", "JP", "SY"],
    "subdivision": ["PT-11", "US-NY", "US-OH", "CA-ON", "UA-43", "UA-40", "UA-14", "UA-30", "RU-MOW"],
    "network": [
        frozenset(),
        frozenset({"tor"}),
        frozenset({"vpn", "hosting"}),
        frozenset({"hosting"}),
        frozenset({"residential_proxy"}),
        frozenset({"relay"}),
    ],
    "credential": ["none", "session", "api_key"],
    "token": ["absent", "valid", "expired", "invalid"],
    "assurance": [0, 1, 2, 3],
    "auth_age": [None, 0, 300, 301, 86_400],
    "account": [None, "alice"],
    "status": [str(status) for status in Status],
    "verification": ["basic", "institutional"],
    "documents": [frozenset(), frozenset({"PT"}), frozenset({"US"}), frozenset({"PT", "GU"}), frozenset({"RU"})],
    "residence": [None, "PT", "IR", "US", "PR", "GB", "RU", "SG"],
    "nationality": [None, "PT", "RU"],
    "holds": [frozenset(), frozenset({"withdraw"}), frozenset({"view", "trade.spot"})],
    "signals": [
        frozenset(),
        frozenset({"new_destination"}),
        frozenset({"unfamiliar_device", "unfamiliar_network", "new_destination"}),
        frozenset({"verification_changed", "unfamiliar_device", "unfamiliar_country"}),
        frozenset({"session_moved"}),
    ],
    "risk": ["low", "medium", "high"],
}


@st.composite
def _facts(draw: st.DrawFn) -> Facts:
    chosen: dict[str, Any] = {}
    for name, choices in _CHOICES.items():
        values = st.sampled_from(choices)
        doubts = st.builds(
            OneOf,
            st.just(WhyUnknown.SOURCES_DISAGREE),
            st.frozensets(values, min_size=1, max_size=3),
            st.just(frozenset()),
        )
        chosen[name] = draw(st.one_of(values, values, values, doubts, st.just(Unknown(WhyUnknown.NO_RECORD))))
    at = draw(st.sampled_from([NOW, 1_677_628_800_000_000, 1_600_000_000_000_000]))
    return Facts(at=at, operation=draw(st.sampled_from(Operation)), **chosen)


_ORDER = (Outcome.DENY, Outcome.CHALLENGE, Outcome.ALLOW)


@settings(max_examples=250, deadline=None)
@given(_facts(), st.sampled_from(sorted(_CHOICES)), st.data())
def test_ignorance_never_widens(facts: Facts, name: str, data: st.DataObject) -> None:
    """Of the whole library, though it asks `known`. By intent, a region that is in doubt may still be looked from."""
    value = getattr(facts, name)
    choices = st.frozensets(st.sampled_from(_CHOICES[name]), max_size=2)
    if is_certain(value) and data.draw(st.booleans()):
        doubt: Any = OneOf(WhyUnknown.SOURCES_DISAGREE, data.draw(choices) | {value})
    else:
        doubt = Unknown(WhyUnknown.STORE_UNAVAILABLE)
    before, after = evaluate(facts, EVERYTHING), evaluate(facts._replace(**{name: doubt}), EVERYTHING)
    if name == "subdivision":
        assert after.access - before.access <= LEVELS[Access.READ_ONLY]
        return
    assert after.access <= before.access
    assert _ORDER.index(after.outcome) <= _ORDER.index(before.outcome)


@settings(max_examples=100, deadline=None)
@given(_facts())
def test_anyone_reaches_support_but_the_archived_and_the_unread(facts: Facts) -> None:
    verdict = evaluate(facts._replace(operation=Operation.SUPPORT), EVERYTHING)
    closed = not is_certain(facts.status) or facts.status == "archived"
    certainly_open = isinstance(facts.status, OneOf) and verdict.outcome is Outcome.ALLOW
    assert (verdict.outcome is not Outcome.ALLOW) is (closed and not certainly_open)
    assert all(rule.rule in {"archived", "status-unread"} for rule in verdict.by)


@settings(max_examples=100, deadline=None)
@given(_facts())
def test_every_refusal_names_a_rule_or_says_that_nothing_was_granted(facts: Facts) -> None:
    verdict = evaluate(facts, EVERYTHING)
    assert (verdict.outcome is Outcome.ALLOW) is (not verdict.by and not verdict.nothing_granted)
    assert reply_to(verdict).status in {200, 401, 403, 451, 503}


@settings(max_examples=100, deadline=None)
@given(_facts())
def test_evaluate_equals_reference(facts: Facts) -> None:
    assert evaluate(facts, EVERYTHING) == reference(facts, EVERYTHING)


def test_no_rule_trusts_a_fact_that_visitors_write() -> None:
    """Every fact that a grant of the library names comes from the operator's own store."""
    grants = [rule for rule in EVERYTHING.rules if rule.effect is Effect.GRANT]
    assert {name for rule in grants for name in facts_of(rule.when)} == {"status"}
