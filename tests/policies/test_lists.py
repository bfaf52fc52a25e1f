import pytest

from gateway.policies.schema import Kind
from gateway.policies.syntax import parse_list

HEAD = "title: Places\nsource: a gazette\ndate: 2026-11-21\n"


def listed(entries, name="places", kind="countries"):
    return f"list: {name}\nkind: {kind}\n{HEAD}entries: {entries}\n"


def test_a_list_carries_its_source_and_date():
    found = parse_list("f", listed("[NO, {code: CU, note: why}]", name="far-away"))
    assert (found.name, found.key, found.kind, found.title, found.source, found.date) == (
        "far-away",
        "far_away",
        Kind.COUNTRY,
        "Places",
        "a gazette",
        "2026-11-21",
    )
    assert found.entries == {"NO", "CU"}


@pytest.mark.parametrize(
    ("entries", "kind", "values"),
    [("[US-NY, UA-43]", "subdivisions", {"US-NY", "UA-43"}), ("[7, 64500]", "asns", {7, 64_500})],
)
def test_a_list_holds_codes_of_its_kind(entries, kind, values):
    assert parse_list("f", listed(entries, kind=kind)).entries == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (listed("[UK]"), "f:6:11: `UK` is not a country code of ISO 3166-1: did you mean `GB`?"),
        (listed("[US, US]"), "f:6:15: `US` stands in the list a second time"),
        (listed("[]"), "f:6:10: the list is empty: a rule about it would say nothing"),
        (listed("[AS7]", kind="asns"), "f:6:11: `AS7` is no autonomous system number"),
        (listed("[[US]]"), "f:6:11: an entry is a code, or `{code: CODE, note: TEXT}`"),
        (listed("[{cod: US}]"), "unknown field `cod` in the entry: did you mean `code`?"),
        (listed("[{code: [US]}]"), "an entry is a code, or `{code: CODE, note: TEXT}`"),
        (listed("US"), "`entries` in the list must be a sequence"),
        (listed("[10.0.0.0/8]", kind="networks"), 'under `[geodb]`, then write `"NAME" in network`'),
        (listed("[US]", kind="country"), "unknown kind of list `country`: did you mean `countries`?"),
        (listed("[US]", kind="[x]"), "unknown kind of list ``"),
        (listed("[US]", name="country"), "`country` cannot be named in a condition: `country` is a fact"),
        (listed("[US]", name="in"), "`in` cannot be named in a condition"),
        (listed("[US]", name="known"), "`known` cannot be named in a condition"),
        (listed("[US]", name="3rd"), "`3rd` cannot be named in a condition"),
        (listed("[US]", name="a.b"), "`a.b` cannot be named in a condition"),
        ("list: x\n", "the list lacks `kind`"),
        (listed("[US]").replace("2026-11-21", "today"), "`date` must be a date such as `2023-02-15`"),
        ("policy: p\ntitle: t\nowner: o\nrules: []\n", "f:1:1: this is a policy, not a list"),
    ],
)
def test_what_is_no_list_is_refused_by_name_and_place(text, message):
    with pytest.raises(Exception, match="f:") as caught:
        parse_list("f", text)
    assert message in str(caught.value)
