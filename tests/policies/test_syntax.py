import pytest

from gateway.core.errors import PolicyError
from gateway.core.terms import EVERYTHING, LEVELS, Access, Effect, Operation, Proof, Reason
from gateway.core.verdict import Obligation
from gateway.policies.bundle import load
from gateway.policies.expression import ALWAYS
from gateway.policies.lists import LIST_FIELDS
from gateway.policies.rules import NamedList, Policy
from gateway.policies.syntax import POLICY_FIELDS, RULE_FIELDS, parse_file, parse_policy

US_EXIT = """\
policy: us-exit
title: United States, exit mandate
owner: compliance
description: >
  Two steps.
rules:
  - id: everybody
    grant: full
    when: true
  - id: us-exit-window
    limit: withdraw_only
    when: country == "US" or "US" in documents
    reason: jurisdiction-exit
    basis: NYAG settlement, February 2023
    in_force: {from: 2023-02-15, until: 2023-04-01}
    status: 451
    message: You may still withdraw.
    on_match:
      - {flag: us-connection}
    on_refusal:
      - {ticket: us-exit}
  - id: proof
    require: {for: [withdraw], proof: mfa, max_age: 5m}
    when: known(status)
    reason: step-up-required
    basis: the security standard
    justification: An unread status opens nothing
tests:
  - name: An American address may not trade
    facts: {country: US}
    operation: trade.spot
    at: 2023-03-01
    expect: {outcome: deny, by: [us-exit-window]}
"""


def test_a_policy_is_read_whole():
    policy = parse_policy("us-exit.yaml", US_EXIT)
    assert (policy.name, policy.title, policy.owner) == ("us-exit", "United States, exit mandate", "compliance")
    assert policy.description == "Two steps."
    everybody, window, proof = policy.rules
    assert (everybody.effect, everybody.operations, everybody.when) == (Effect.GRANT, EVERYTHING, ALWAYS)
    assert window.ref == ("us-exit", "us-exit-window")
    assert (window.effect, window.operations) == (Effect.LIMIT, LEVELS[Access.WITHDRAW_ONLY])
    assert (window.reason, window.basis) == (Reason.JURISDICTION_EXIT, "NYAG settlement, February 2023")
    assert (window.start, window.end) == (1_676_419_200_000_000, 1_680_307_200_000_000)
    assert (window.status, window.message) == (451, "You may still withdraw.")
    assert window.on_match == (Obligation("flag", "us-connection", "us-exit", "us-exit-window"),)
    assert window.on_refusal == (Obligation("ticket", "us-exit", "us-exit", "us-exit-window"),)
    assert window.when_text == 'country == "US" or "US" in documents'
    assert str(window.place) == "us-exit.yaml:10:5"
    assert (proof.operations, proof.proof, proof.max_age_s) == ({Operation.WITHDRAW}, Proof.MFA, 300)
    assert proof.justification == "An unread status opens nothing"
    assert [test.name for test in policy.tests] == ["An American address may not trade"]


def test_a_file_is_a_policy_or_a_list():
    assert isinstance(parse_file("f", US_EXIT), Policy)
    text = "list: l\nkind: countries\ntitle: t\nsource: s\ndate: 2026-01-01\nentries: [US]\n"
    assert isinstance(parse_file("f", text), NamedList)
    with pytest.raises(PolicyError, match="f:1:1: this is a list, not a policy"):
        parse_policy("f", text)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "policy: us-exit",
            "polciy: us-exit",
            "a file begins with `policy: NAME`, `list: NAME` or `exceptions: NAME`: did you mean `policy`?",
        ),
        ("policy: us-exit", "policy: US exit", "1:9: `US exit` is no name"),
        ("title: United States, exit mandate\n", "", "1:1: the policy lacks `title`"),
        ("owner: compliance\n", "", "1:1: the policy lacks `owner`"),
        ("owner: compliance", "ownr: compliance", "3:1: unknown field `ownr` in the policy: did you mean `owner`?"),
        ("  - id: everybody\n    grant", "  - grant", "7:5: the rule lacks `id`"),
        ("  - id: everybody\n    grant: full\n    when: true\n", "  - everybody\n", "7:5: a rule is a mapping with"),
        (
            "    grant: full\n",
            "",
            "rule `everybody` has no effect: it takes exactly one of `grant`, `limit`, `require`",
        ),
        ("    grant: full\n", "    grant: full\n    limit: none\n", "rule `everybody` has more than one effect"),
        ("grant: full", "grant: ful", "8:12: unknown access level `ful`: did you mean `full`?"),
        ("    when: true\n", "", "7:5: rule `everybody` lacks `when`"),
        ("when: true", "when: false", '9:11: `when` must be a condition such as `country == "US"`, or `true`'),
        ("when: true", "when: 1", "`when` must be a condition"),
        ("when: true", "when: [a]", "`when` must be a condition"),
        ("when: true", "when: ''", "`when` must be a condition"),
        (
            'country == "US" or',
            'country = "US" or',
            "12:19: equality is written `==`, not `=`",
        ),
        ("    reason: jurisdiction-exit\n", "", "10:5: rule `us-exit-window` lacks `reason`"),
        ("jurisdiction-exit", "jurisdiction-exits", "unknown reason `jurisdiction-exits`: did you mean"),
        ("jurisdiction-exit", "not-granted", "`not-granted` is given by the gateway itself, not by a rule"),
        ("    basis: NYAG settlement, February 2023\n", "", "10:5: rule `us-exit-window` lacks `basis`"),
        ("from: 2023-02-15", "from: 2023-04-01", "`until` must be later than `from`: the rule would never be in force"),
        ("from: 2023-02-15", "form: 2023-02-15", "unknown field `form` in `in_force`: did you mean `from`?"),
        ("{from: 2023-02-15, until: 2023-04-01}", "2023-02-15", "must be a mapping of names to values"),
        ("status: 451", "status: 404", "16:13: `status` is 451 (unavailable for legal reasons) or 403"),
        ("status: 451", "status: 451.0", "`status` is 451"),
        (
            "You may still withdraw.",
            "x" * 301,
            "`message` in rule `us-exit-window` must be a printable text of 1 to 300",
        ),
        (
            "    when: true\n",
            "    when: true\n    message: Hello\n",
            "`message` would never be used: a grant refuses nobody",
        ),
        (
            "    when: true\n",
            "    when: true\n    status: 403\n",
            "`status` would never be used: a grant refuses nobody",
        ),
        (
            "    when: known(status)\n",
            "    when: known(status)\n    status: 403\n",
            "`status` would never be used: a requirement is answered 401",
        ),
        ("{flag: us-connection}", "{flga: us-connection}", "unknown obligation `flga`"),
        ("{for: [withdraw], proof: mfa, max_age: 5m}", "[withdraw]", "`require` is a mapping: `{for: [withdraw],"),
        ("proof: mfa", "proof: sms", "unknown proof `sms`"),
        ("for: [withdraw], ", "", "`require` lacks `for`"),
        ("require: {for: [withdraw], proof: mfa, max_age: 5m}", "require:", "`require` in rule `proof` is empty"),
        ("max_age: 5m", "max_age: 5 minutes", "`max_age` must be a length of time"),
        ("id: proof", "id: everybody", "22:5: a second rule `everybody`: ids are unique within a policy"),
        ("    operation: trade.spot\n", "", "the test lacks `operation`"),
    ],
)
def test_what_cannot_be_read_is_refused_by_name_and_place(old, new, message):
    assert old in US_EXIT
    with pytest.raises(PolicyError) as caught:
        parse_policy("f", US_EXIT.replace(old, new, 1))
    assert message in str(caught.value)


def test_all_that_is_wrong_is_said_at_once():
    text = US_EXIT.replace("owner", "ownr").replace("grant: full", "grant: ful").replace("status: 451", "status: 1")
    with pytest.raises(PolicyError) as caught:
        parse_policy("f", text)
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[0] for line in lines] == ["f:1:1", "f:3:1", "f:8:12", "f:16:13"]


@pytest.mark.parametrize("text", ["- a", "a", "{}", "[]"])
def test_a_file_that_is_no_mapping_is_neither(text):
    with pytest.raises(PolicyError, match="a file begins with `policy: NAME`, `list: NAME` or `exceptions: NAME`"):
        parse_file("f", text)


@pytest.fixture(scope="module")
def page(root):
    return (root / "docs" / "policy-language.md").read_text()


@pytest.mark.parametrize("field", [*RULE_FIELDS, *POLICY_FIELDS, *LIST_FIELDS])
def test_every_field_is_on_the_page_of_the_language(page, field):
    assert f"`{field}" in page or f"\n{field}:" in page


def test_the_policy_on_the_page_loads(page):
    _, _, rest = page.partition("```yaml\n")
    text, _, _ = rest.partition("```")
    assert [policy.name for policy in load({"page.yaml": text}, sources_configured=None).policies] == ["new-markets"]
