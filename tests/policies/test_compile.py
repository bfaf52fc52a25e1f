import pytest

from gateway.core.facts import Facts, Unknown
from gateway.core.terms import Operation, WhyUnknown
from gateway.policies.bundle import assemble
from gateway.policies.evaluate import evaluate


def rule(name, when, dates="{}", effect="limit: none"):
    dated = f"    in_force: {dates}\n" if dates != "{}" else ""
    return f"  - id: {name}\n    {effect}\n    when: '{when}'\n    reason: hold\n    basis: b\n{dated}"


@pytest.fixture
def bundle_of(write):
    def build(*rules):
        text = f"{write.header}rules:\n  - {{id: all, grant: full, when: true}}\n{''.join(rules)}"
        return assemble({"p.yaml": text}, sources_configured=None)

    return build


def test_the_next_change_is_the_next_bound_of_any_rule(bundle_of):
    day = 86_400_000_000
    bundle = bundle_of(
        rule("a", "asn == 1", "{from: 1970-01-03, until: 1970-01-05}"), rule("b", "asn == 1", "{until: 1970-01-03}")
    )
    assert [bundle.next_change(at) for at in (0, 2 * day - 1, 2 * day, 4 * day - 1, 4 * day)] == [
        2 * day,
        2 * day,
        4 * day,
        4 * day,
        None,
    ]
    assert bundle_of().next_change(0) is None


@pytest.mark.parametrize(
    ("condition", "ages"),
    [
        ("auth_age < 300", [300, 301]),
        ("300 >= auth_age", [300, 301]),
        ("auth_age == 10", [10, 11]),
        ("auth_age in [10, 20]", [10, 11, 20, 21]),
        ("auth_age > 2.5", [2, 3]),
        ("auth_age > 1e300", []),
        ("asn > 300", []),
    ],
)
def test_the_next_age_is_the_next_at_which_a_comparison_may_change(bundle_of, condition, ages):
    bundle = bundle_of(rule("a", condition))
    found, age = [], -1
    while (age := bundle.next_auth_age(age)) is not None:
        found.append(age)
    assert found == ages
    assert bundle.next_auth_age(None) is None


def test_a_requirement_ages_one_second_after_its_maximum(bundle_of):
    bundle = bundle_of(rule("a", "asn == 1", effect="require: {for: [withdraw], proof: mfa, max_age: 5m}"))
    assert bundle.next_auth_age(0) == 301
    assert bundle.next_auth_age(301) is None


def test_the_facts_named_are_those_of_conditions_and_of_proofs(bundle_of):
    assert bundle_of().facts_named == frozenset()
    assert bundle_of(rule("a", 'country == "US" or residence in documents')).facts_named == {
        "country",
        "residence",
        "documents",
    }
    assert bundle_of(rule("a", "asn == 1", effect="require: {for: full, proof: mfa}")).facts_named == {
        "asn",
        "assurance",
    }
    assert bundle_of(rule("a", "asn == 1", effect="require: {for: full, proof: mfa, max_age: 1s}")).facts_named == {
        "asn",
        "assurance",
        "auth_age",
    }


def test_a_condition_too_large_for_its_normal_form_still_decides(bundle_of):
    clauses = " and ".join(f'(asn == {n} or country != "US" or amount_usd > {n})' for n in range(9))
    bundle = bundle_of(rule("large", clauses))
    facts = Facts(at=0, operation=Operation.VIEW, country="US", asn=3, amount_usd=0)
    assert evaluate(facts, bundle).by == ()
    assert [one.rule for one in evaluate(facts._replace(country="CA"), bundle).by] == ["large"]
    lost = facts._replace(country=Unknown(WhyUnknown.STORE_UNAVAILABLE))
    assert evaluate(lost, bundle).outage
    assert evaluate(lost, bundle).by[0].uncertain


def test_two_facts_of_different_origin_are_compared(bundle_of):
    bundle = bundle_of(rule("away", "country not in documents"), rule("moved", "residence != nationality"))
    facts = Facts(
        at=0, operation=Operation.VIEW, country="US", documents=frozenset({"US"}), residence="US", nationality="US"
    )
    assert evaluate(facts, bundle).by == ()
    assert [one.rule for one in evaluate(facts._replace(documents=frozenset()), bundle).by] == ["away"]
    assert [one.rule for one in evaluate(facts._replace(residence="CA"), bundle).by] == ["moved"]


def test_customers_who_differ_in_nothing_but_their_name_share_one_answer(bundle_of):
    bundle = bundle_of(rule("a", 'status == "flagged"'), rule("b", 'account == "mallory"'))
    facts = Facts(at=0, operation=Operation.VIEW, account="alice", status="open")
    assert evaluate(facts, bundle) is evaluate(facts._replace(account="bob"), bundle)
    assert [one.rule for one in evaluate(facts._replace(account="mallory"), bundle).by] == ["b"]
