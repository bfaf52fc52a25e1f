import pytest

from gateway.policies.schema import NETWORKS, Sources

LIST = "list: far-away\nkind: countries\ntitle: t\nsource: s\ndate: 2026-01-01\nentries: [CU]\n"
ASNS = LIST.replace("far-away", "carriers").replace("countries", "asns").replace("CU", "7")
ALL = Sources.configured(subdivision=True, asn=True, anonymizer=True, networks=("office",))
FEW = Sources.configured(subdivision=False, asn=True, anonymizer=False, networks=("office",))


@pytest.mark.parametrize(
    "condition",
    [
        "country == residence",
        "country in far_away",
        "far_away in documents",
        '["US", "CA"] in documents',
        "residence in documents",
        "operation in holds",
        "asn in carriers",
        "withdrawn_today_usd > amount_usd",
        "1 < assurance < 3",
        '"office" in network',
        '["tor", "vpn"] in network',
        'operation in ["withdraw", "trade.spot"]',
        "not True",
    ],
)
def test_a_condition_that_can_mean_what_it_says_has_no_finding(write, condition):
    sources = Sources(frozenset(ALL.facts | {"amount_usd", "withdrawn_today_usd"}), ALL.networks)
    assert write.findings_in(write.policy_with(f"'{condition}'"), LIST, ASNS, sources=sources) == []


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ('contry == "US"', "f0.yaml:7:12: unknown fact `contry` in rule `only`: did you mean `country`?"),
        ("country == US", 'unknown fact `US` in rule `only`: write `"US"` in quotes if the value is meant'),
        ("country in faraway", "unknown list `faraway` in rule `only`: did you mean `far_away`?"),
        ("known(contry)", "unknown fact `contry` in rule `only`: did you mean `country`?"),
        ("known(country)", "rule `only` must say in `justification` why that is safe"),
        ('"US" == "CA"', "in rule `only`: the comparison names no fact, so it never changes"),
        ("far_away == far_away", "the comparison names no fact"),
        ("country == country", "a fact compared with itself says nothing"),
        (
            "documents in far_away",
            "`documents` is a set: to ask whether it has some member of a list, write `far_away in",
        ),
        (
            'documents in ["US"]',
            '`documents` is a set: to ask whether it has some member of a list, write `["US"] in documents`',
        ),
        ("documents in holds", "`documents` is a set"),
        ('documents == "US"', '`documents` is a set: ask it by `in`, such as `"US" in documents`'),
        ("documents < 1", "`documents` is a set"),
        ("country == far_away", "a list is asked by `in`, such as `country in [...]`"),
        ('country == ["US"]', "a list is asked by `in`"),
        ('country in "US"', "`US` is one value: write `==`, or a list"),
        ('"US" in country', "`country` is one value, not a set: write `==`, or `country in [...]`"),
        ("far_away in country", "`country` is one value, not a set"),
        ("residence in country", "`country` is one value, not a set"),
        ("residence in holds", "`residence` and `holds` are different things (country and operation)"),
        ("asn == auth_age", "`asn` and `auth_age` are different things (asn and seconds)"),
        ('country < "US"', "`country` is a text and has no order: name its values with `in [...]`"),
        ('verification >= "basic"', "`verification` is a text and has no order"),
        ("country < 5", "`country` is a text and has no order"),
        ('asn < "5"', "`5` cannot be a value of `asn`, which is a number"),
        ("asn in far_away", "`far_away` lists codes of kind country, and `asn` is of kind asn"),
        ("far_away in holds", "`far_away` lists codes of kind country, and `holds` is of kind operation"),
        ('country == "UK"', "`UK` is not a country code of ISO 3166-1: did you mean `GB`?"),
        ('country in ["US", "UK"]', "did you mean `GB`?"),
        ('"UK" in documents', "did you mean `GB`?"),
        ('["US", "UK"] in documents', "did you mean `GB`?"),
        ('"UK" == country', "did you mean `GB`?"),
        ('status == "opne"', "did you mean `open`?"),
        ('operation == "trade"', "name each of `trade.spot`"),
        ('"offce" in network', "no network list is named `offce`: did you mean `office`?"),
        ('risk == "high"', "no source of `risk`, which rule `only` names: add a table `[risk]` with `key_file"),
    ],
)
def test_a_condition_that_cannot_is_a_finding(write, condition, message):
    found = write.findings_in(write.policy_with(f"'{condition}'"), LIST, sources=ALL)
    assert message in " ".join(found)


@pytest.mark.parametrize(
    ("condition", "line"),
    [
        ('subdivision == "US-NY"', 'add `subdivision = ["FILE.mmdb"]` under `[geodb]`'),
        ('"tor" in network', 'no source of the network `tor`: add `networks = { tor = "FILE.txt" }` under `[geodb]`'),
        ('["office", "vpn"] in network', "no source of the network `vpn`"),
    ],
)
def test_a_fact_without_a_source_is_refused_with_the_line_to_add(write, condition, line):
    assert line in " ".join(write.findings_in(write.policy_with(f"'{condition}'"), sources=FEW))
    assert write.findings_in(write.policy_with(f"'{condition}'"), sources=None) == []


def test_a_requirement_needs_the_source_of_its_proof(write):
    text = write.policy_with("True", effect="require: {for: [withdraw], proof: mfa}")
    sources = Sources(frozenset(), frozenset(NETWORKS))
    assert "no source of `assurance`" in " ".join(write.findings_in(text, sources=sources))


def test_a_second_policy_of_one_name_is_refused(write):
    found = write.findings_in(write.policy_with("True"), write.policy_with("True"))
    assert found == ["f1.yaml:1:1: a second policy named `p`: the first stands in f0.yaml"]


def test_a_place_within_a_long_condition_is_that_of_the_comparison(write):
    text = write.policy_with('>-\n      country == "DE"\n      or contry == "US"')
    assert write.findings_in(text)[0].startswith("f0.yaml:9:10: unknown fact `contry`")
