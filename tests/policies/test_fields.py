import pytest

from gateway.core.terms import EVERYTHING, LEVELS, Access, Operation, Reason
from gateway.policies.document import Table, read
from gateway.policies.fields import Fields, code, operations


def fields(text, known=("key",)):
    table = read("f", text)
    assert isinstance(table, Table)
    return Fields(table, "the thing", known, [])


def said(reader):
    return [finding.message for finding in reader.findings]


def test_an_unknown_field_is_a_finding_with_a_hint():
    reader = fields("kye: 1")
    assert said(reader) == ["unknown field `kye` in the thing: did you mean `key`?"]
    assert "key" not in reader


def test_a_field_that_is_needed_and_absent_is_a_finding():
    reader = fields("other: 1", ("key", "other"))
    assert reader.text("key", needed=True) is None
    assert said(reader) == ["the thing lacks `key`"]


@pytest.mark.parametrize("read_as", ["text", "name", "duration", "instant", "table_of"])
def test_an_empty_field_is_a_finding_not_an_absence(read_as):
    reader = fields("key:")
    assert getattr(reader, read_as)("key") is None
    assert said(reader) == ["`key` in the thing is empty: give it a value, or leave it out"]


@pytest.mark.parametrize(
    ("text", "value"),
    [("key: a  b", "a b"), ("key: >\n  a\n  b", "a b"), ("key: 12", "12"), ("key: 2023-02-15", "2023-02-15")],
)
def test_a_text_is_read_as_written_without_its_line_breaks(text, value):
    reader = fields(text)
    assert reader.text("key") == value
    assert said(reader) == []


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('key: ""', "has 0"),
        ("key: '  '", "has 0"),
        (f"key: {'x' * 2001}", "has 2001"),
        ('key: "a\\u202eb"', "holds U+202E, which nobody can see"),
        ('key: "a\\x1bb"', "holds U+001B, which nobody can see"),
    ],
)
def test_a_text_that_cannot_be_shown_is_a_finding(text, found):
    reader = fields(text)
    assert reader.text("key") is None
    (message,) = said(reader)
    assert message.startswith("`key` in the thing must be a printable text of 1 to 2000 characters, and it ")
    assert message.endswith(found)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("key: [a]", "`key` in the thing must be a text"),
        (
            "key: US-exit",
            "`US-exit` is no name: small letters, digits, `-`, `_` and `.`, at most 64: did you mean `us-exit`?",
        ),
        ("key: -x", "`-x` is no name: small letters, digits, `-`, `_` and `.`, at most 64: did you mean `x`?"),
        ("key: '-'", "`-` is no name: small letters, digits, `-`, `_` and `.`, at most 64"),
    ],
)
def test_what_is_no_name_is_a_finding(text, message):
    reader = fields(text)
    assert reader.name("key") is None
    assert said(reader) == [message]


@pytest.mark.parametrize(
    ("text", "seconds"), [("45s", 45), ("5m", 300), ("72h", 259_200), ("30d", 2_592_000), ("1s", 1)]
)
def test_a_duration_is_a_number_and_a_unit(text, seconds):
    assert fields(f"key: {text}").duration("key") == seconds


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("5", ": `5` has no unit; did you mean `5h`?"),
        ("5 m", ": did you mean `5m`?"),
        ("5w", ": count it in days, such as `35d`"),
        ("m", ""),
        ("-5m", ""),
        ("0s", ""),
        ("1.5h", ""),
        ("[5m]", ""),
        ("9999999s", ""),
        ("\N{ARABIC-INDIC DIGIT FIVE}m", ""),
    ],
)
def test_what_is_no_duration_is_a_finding(text, hint):
    reader = fields(f"key: {text}")
    assert reader.duration("key") is None
    assert said(reader) == [f"`key` must be a length of time such as `45s`, `5m`, `72h` or `30d`{hint}"]


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("1970-01-01", 0),
        ("2023-02-15", 1_676_419_200_000_000),
        ("2023-02-15T00:00:00Z", 1_676_419_200_000_000),
        ("2023-02-15 01:00:00+01:00", 1_676_419_200_000_000),
        ("2023-02-15T00:00:00.000001Z", 1_676_419_200_000_001),
        ("1969-12-31", -86_400_000_000),
    ],
)
def test_an_instant_is_a_date_or_a_time_with_its_offset(text, microseconds):
    assert fields(f"key: {text}").instant("key") == microseconds


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("2023-02-30", ": there is no such day as `2023-02-30`"),
        ("2023-02-15T00:00:00", ": `2023-02-15T00:00:00Z` is that time in UTC"),
        ("2023-2-5", ": did you mean `2023-02-05`?"),
        ("yesterday", ""),
        ("[2023-02-15]", ""),
        ("20230215", ""),
    ],
)
def test_what_is_no_instant_is_a_finding(text, hint):
    reader = fields(f"key: {text}")
    assert reader.instant("key") is None
    assert said(reader) == [f"`key` must be a date such as `2023-02-15` or a time with its offset from UTC{hint}"]


def test_items_are_those_of_a_sequence():
    reader = fields("key: {a: 1}")
    assert list(reader.items("key")) == []
    assert said(reader) == ["`key` in the thing must be a sequence, each item begun with `-`"]
    assert len(list(fields("key: [a, b]").items("key"))) == 2


def test_a_table_is_a_mapping():
    reader = fields("key: [a]")
    assert reader.table_of("key") is None
    assert said(reader) == ["`key` in the thing must be a mapping of names to values"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("hodl", "unknown reason `hodl`: did you mean `hold`?"),
        ("[hold]", "`reason` must be one word"),
    ],
)
def test_an_unknown_code_is_a_finding_with_a_hint(text, message):
    findings = []
    assert code(read("f", text), Reason, "reason", findings) is None
    assert [finding.message for finding in findings] == [message]


def test_a_known_code_is_its_member():
    assert fields("key: hold").code("key", Reason) is Reason.HOLD
    assert fields("other: 1").code("key", Reason) is None


@pytest.mark.parametrize(
    ("text", "opened"),
    [
        *((str(level), operations) for level, operations in LEVELS.items()),
        ("[withdraw]", {Operation.WITHDRAW}),
        ("[trade.spot, view]", {Operation.TRADE_SPOT, Operation.VIEW}),
        ("[trade]", {Operation.TRADE_SPOT, Operation.TRADE_FUTURES, Operation.TRADE_COPY, Operation.TRADE_REDUCE}),
        ("{all_but: [support]}", EVERYTHING - {Operation.SUPPORT}),
    ],
)
def test_operations_are_a_level_a_list_or_all_but_a_list(text, opened):
    findings = []
    assert operations(read("f", text), "limit", findings) == opened
    assert findings == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("readonly", "unknown access level `readonly`: did you mean `read_only`?"),
        ("withdraw", "`withdraw` is an operation, not a level: write `[withdraw]`"),
        ("trade", "`trade` is an operation, not a level: write `[trade]`"),
        ("[]", "`limit` must be a list of operations, with one at least"),
        ("[withdrawal]", "unknown operation `withdrawal`: did you mean `withdraw`?"),
        ("[[view]]", "unknown operation ``"),
        ("{all_but: view}", "`all_but` must be a list of operations, with one at least"),
        ("{all_but: []}", "`all_but` must be a list of operations, with one at least"),
        ("{allbut: [view]}", "limit lacks `all_but`"),
    ],
)
def test_what_names_no_operations_is_a_finding(text, message):
    findings = []
    assert operations(read("f", text), "limit", findings) in ({*()}, EVERYTHING)
    assert message in " ".join(finding.message for finding in findings)


def test_every_level_can_be_named():
    assert set(LEVELS) == set(Access)
