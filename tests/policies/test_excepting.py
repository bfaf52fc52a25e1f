"""What exceptions may lift, which rules know them, and how long they last."""

import pytest

from gateway.policies.bundle import assemble, load
from gateway.policies.compile import Bundle
from gateway.policies.excepting import DAY_US, Standing, expiring, notices, standing, without_exceptions
from gateway.policies.findings import Rejected, Severity
from gateway.policies.schema import Sources

POLICY = """policy: us-exit
title: United States
owner: compliance
rules:
  - {id: all, grant: full, when: true}
  - {id: us-closed, limit: support_only, when: country == "US", reason: jurisdiction-blocked, basis: b}
  - {id: sanctioned, limit: support_only, when: country == "CU", reason: sanctioned-region, basis: b, absolute: true}
  - {id: fresh, require: {for: [withdraw], proof: mfa}, when: status == "open", reason: step-up-required, basis: b}
  - {id: held, limit: read_only, when: operation in holds, reason: hold, basis: b}
  - id: past
    limit: none
    when: country == "DE"
    reason: jurisdiction-exit
    basis: b
    in_force: {until: 2026-10-01}
tests:
  - {name: a, facts: {country: US}, operation: view, expect: {outcome: deny, by: [us-closed]}}
  - {name: b, facts: {country: CU}, operation: view, expect: {outcome: deny, by: [sanctioned]}}
  - {name: c, facts: {country: PT, status: open}, operation: withdraw, expect: {outcome: challenge, by: [fresh]}}
  - {name: e, facts: {country: PT, holds: [withdraw]}, operation: withdraw, expect: {outcome: deny, by: [held]}}
  - {name: d, facts: {country: DE}, operation: view, at: 2026-09-01, expect: {outcome: deny, by: [past]}}
"""
TEXT = """exceptions: desk
owner: compliance
entries:
  - id: settle
    operations: [login, withdraw]
    account: someone
    lifts: [us-exit/us-closed]
    reason: A court asks that the balance be paid out
    basis: Ticket 4711
    from: 2026-11-01
    until: 2026-12-01
"""


def bundle(text: str = TEXT, sources: Sources | None = None) -> Bundle:
    return load({"p.yaml": POLICY, "e.yaml": text}, sources_configured=sources)


def test_the_rules_that_are_lifted_know_it_and_the_others_do_not() -> None:
    made = bundle()
    (one,) = made.exceptions
    assert {rule.id: rule.exceptions for rule in made.rules if rule.exceptions} == {"us-closed": (one,)}
    assert made.facts_named >= {"account"}
    assert {one.start, one.end} <= set(made.bounds)
    assert made.digest != load({"p.yaml": POLICY}, sources_configured=None).digest


def test_a_policy_is_tested_as_it_is_for_everybody() -> None:
    """The account of a test that names none is the one that the exception spares; the test passes all the same."""
    made = bundle(TEXT.replace("from: 2026-11-01", "from: 1969-12-01").replace("2026-12-01", "1970-02-01"))
    plain = without_exceptions(made.policies[0])
    assert not any(rule.exceptions for rule in plain.rules)
    assert without_exceptions(plain) is plain


@pytest.mark.parametrize(
    ("was", "instead", "line", "message"),
    [
        ("/us-closed", "/sanctioned", 7, "`us-exit/sanctioned` is absolute: no exception lifts it"),
        ("/us-closed", "/all", 7, "`us-exit/all` is a grant"),
        ("/us-closed", "/held", 7, "`us-exit/held` asks about holds: those are lifted at their tickets"),
        ("/us-closed", "/us-clsoed", 7, "no rule `us-exit/us-clsoed` to lift: did you mean `us-exit/us-closed`?"),
        ("us-exit/", "us-exits/", 7, "no rule `us-exits/us-closed` to lift: did you mean `us-exit/us-closed`?"),
        ("[login, withdraw]", "[support]", 7, "`us-exit/us-closed` never excludes support: there is nothing to lift"),
        ("[login, withdraw]", "[login, support]", 4, "no rule that `desk/settle` lifts excludes support"),
        ("/us-closed", "/past", 7, "`us-exit/past` is not in force while the exception is"),
        ("account: someone", "network: vpn", 6, "`vpn` is a kind of network, which anybody may come from"),
    ],
)
def test_what_it_may_not_lift_is_refused_where_it_stands(was: str, instead: str, line: int, message: str) -> None:
    assert was in TEXT
    with pytest.raises(Rejected) as refused:
        bundle(TEXT.replace(was, instead))
    assert any(one.place.line == line and message in one.message for one in refused.value.findings), refused.value


def test_a_network_must_be_one_of_the_lists_that_are_configured() -> None:
    supplied = Sources.configured(subdivision=False, asn=False, anonymizer=True, networks=["partner-office"])
    assert bundle(TEXT.replace("account: someone", "network: partner-office"), supplied).facts_named >= {"network"}
    with pytest.raises(Rejected, match="no network list is named `partner-ofice`: did you mean `partner-office`"):
        bundle(TEXT.replace("account: someone", "network: partner-ofice"), supplied)
    none = Sources.configured(subdivision=False, asn=False, anonymizer=True, networks=[])
    with pytest.raises(Rejected, match=r"no network list is named `office`: add it under `\[geodb\] networks`"):
        bundle(TEXT.replace("account: someone", "network: office"), none)


def test_names_of_files_are_unique_and_exceptions_alone_are_no_bundle() -> None:
    with pytest.raises(Rejected, match="a second file of exceptions named `desk`: the first stand in e"):
        assemble({"p.yaml": POLICY, "e.yaml": TEXT, "f.yaml": TEXT}, sources_configured=None)
    with pytest.raises(Rejected, match="no policy: nothing would ever be granted"):
        assemble({"e.yaml": TEXT}, sources_configured=None)


def test_an_exception_brings_tests_of_its_own() -> None:
    tests = """    tests:
      - {name: They may, facts: {country: US, account: someone}, operation: login, expect: {outcome: allow}}
      - {name: Others may not, facts: {country: US, account: a}, operation: login, expect: {outcome: deny}}
"""
    assert len(bundle(TEXT + tests).exceptions[0].tests) == 2
    with pytest.raises(Rejected, match=r"e\.yaml:14:9: test `Others may not` fails: expected the outcome allow"):
        bundle(TEXT + tests.replace("deny", "allow"))


def test_it_is_coming_in_force_and_expired() -> None:
    made = bundle()
    (one,) = made.exceptions
    assert [standing(one, at) for at in (one.start - 1, one.start, one.end - 1, one.end)] == [
        Standing.COMING,
        Standing.IN_FORCE,
        Standing.IN_FORCE,
        Standing.EXPIRED,
    ]
    assert expiring(made.exceptions, one.end - DAY_US, DAY_US) == [one]
    assert expiring(made.exceptions, one.end - DAY_US - 1, DAY_US) == []
    assert expiring(made.exceptions, one.end, DAY_US) == []
    assert expiring(made.exceptions, one.start - 1, 100 * DAY_US) == []


def test_its_end_is_noticed_before_and_after() -> None:
    made = bundle()
    (one,) = made.exceptions
    assert notices(made.exceptions, one.start) == []
    (soon,) = notices(made.exceptions, one.end - 3 * DAY_US)
    assert (soon.place, soon.code, soon.severity) == (one.place, "exception-expires", Severity.NOTE)
    assert soon.message == "exception `desk/settle` of compliance ends within 3 days"
    (gone,) = notices(made.exceptions, one.end)
    assert (gone.code, gone.severity) == ("exception-expired", Severity.WARNING)
