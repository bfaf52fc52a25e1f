import pytest

from gateway.policies.document import read
from gateway.policies.findings import Rejected
from gateway.policies.slips import in_condition, in_yaml, invisible, looks_alike, swallowed


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ('country == "CA" && status == "open"', 16, "`and` joins conditions, not `&&`"),
        ('country == "CA" || status == "open"', 16, "`or` joins conditions, not `||`"),
        ('!(country == "CA")', 0, "`not` denies, not `!`"),
        ('country <> "CA"', 8, "inequality is written `!=`, not `<>`"),
        ('country === "CA"', 8, "equality is written `==`, not `===`"),
        ('country = "CA"', 8, "equality is written `==`, not `=`"),
        ("assurance => 2", 10, "`>=` is meant, not `=>`"),
        ("assurance =< 2", 10, "`<=` is meant, not `=<`"),
        ('country == "CA" AND status == "open"', 16, "`AND` is written `and`"),
        ("country == \u201cCA\u201d", 11, '`\u201c` is a typographic quote: write `"`'),
        ('country\u00a0== "CA"', 7, "an invisible character, U+00A0, stands here: write a plain blank, or nothing"),
        ("risk > 50%", 9, "a share has no `%` here: facts are compared with plain numbers and texts"),
        ("amount_usd > $10", 13, "an amount has no currency sign here: `_usd` facts are plain numbers of US dollars"),
        ("auth_age > 5m", 11, "`5m`: a condition counts in seconds, so write `300`"),
    ],
)
def test_what_other_languages_write_is_answered_with_what_ours_does(text, offset, message):
    assert in_condition(text) == (offset, message)


@pytest.mark.parametrize(
    "text",
    [
        'account == "a && b = c AND 5% of $3"',
        "account == 'x\u201cy'",
        'country != "CA" and assurance >= 2 and auth_age <= 300',
        'country in ["IN", "OR"]',
        "1 < assurance <= 3",
    ],
)
def test_what_is_right_and_what_stands_in_quotes_is_no_slip(text):
    assert in_condition(text) is None


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a:\n\tb: 1", "a tab stands here, and YAML is indented by blanks alone"),
        ("a:\n  - b: 1\n  -b: 2", "after the `-` of an item stands a blank: `- b: 2`"),
        ("a: b: c", "a text that contains `: ` stands in quotes"),
        ("a: b\n  c: d", "this line is indented deeper than the field above it"),
        ('a: "b" in c', "a text that begins with a quote ends at the next one."),
        ("a: 1\nb:c\nd: e", "between a field and its value stand a colon and a blank"),
        ("a: [", "the file ends in the middle of a value"),
        ("a: @b", "a text that begins with `@` stands in quotes"),
        ("a:\n  b: 1\n c: 2", "is this line indented like its neighbours?"),
    ],
)
def test_what_yaml_cannot_read_is_answered_with_what_was_meant(text, meant):
    with pytest.raises(Rejected) as caught:
        read("f", text)
    assert f": {meant}" in str(caught.value)


@pytest.mark.parametrize(
    ("behind", "offset"),
    [
        ('  # or residence == "CA"', 2),
        (" #and more", 1),
        (' # == "CA"', 1),
        (" # not yet", 1),
        (" # counsel, 3 March", None),
        (" # order of the regulator", None),
        ("", None),
        (", grant: full}  # or", None),
    ],
)
def test_a_comment_that_goes_on_with_the_condition_is_a_slip(behind, offset):
    slip = swallowed(behind)
    assert (slip and slip.offset) == offset


def test_where_nothing_can_be_guessed_nothing_is_said():
    assert in_yaml("something else", "a: b", 0) == ""


def test_what_nobody_can_see_is_named():
    assert invisible("a\u200bb") == "U+200B"
    assert invisible("plain") is None


def test_a_letter_that_only_looks_plain_is_named():
    assert (
        looks_alike("\u0441ountry")
        == ", which has a letter that only looks like a plain one (cyrillic small letter es)"
    )
    assert looks_alike("country") == ""
