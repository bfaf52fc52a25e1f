import pytest

from gateway.core.evidence import After
from gateway.core.verdict import Obligation
from gateway.policies.document import Table, read
from gateway.policies.duties import read_duties
from gateway.policies.fields import Fields


def duties(text):
    table = read("f", f"key: {text}")
    assert isinstance(table, Table)
    fields = Fields(table, "the rule", ("key",), [])
    return read_duties(fields, "key", "p", "r"), [finding.message for finding in fields.findings]


@pytest.mark.parametrize(
    ("text", "obligation"),
    [
        ("[{flag: us-connection}]", Obligation("flag", "us-connection", "p", "r")),
        ("[{status: restricted}]", Obligation("status", "restricted", "p", "r")),
        ("[{ticket: sanctions}]", Obligation("ticket", "sanctions", "p", "r")),
        ("[{notify: access.refused}]", Obligation("notify", "access.refused", "p", "r")),
        ("[{hold: {operations: [withdraw]}}]", Obligation("hold", "withdraw", "p", "r")),
        (
            "[{hold: {operations: [withdraw, transfer], evidence: [proof_of_address], expires: 72h}}]",
            Obligation("hold", "transfer,withdraw", "p", "r", ("proof_of_address",), 259_200),
        ),
        (
            "[{hold: {operations: [trade]}}]",
            Obligation("hold", "trade.copy,trade.futures,trade.reduce,trade.spot", "p", "r"),
        ),
        (
            "[{flag: us-ip, after: {days: 3, within: 30d}}]",
            Obligation("flag", "us-ip", "p", "r", after=After(3, 30)),
        ),
        (
            "[{after: {within: 48h, days: 2}, status: exit_only}]",
            Obligation("status", "exit_only", "p", "r", after=After(2, 2)),
        ),
        (
            "[{hold: {operations: [withdraw], expires: 72h, expeditable: false}}]",
            Obligation("hold", "withdraw", "p", "r", (), 259_200, expeditable=False),
        ),
        (
            "[{hold: {operations: [withdraw], expeditable: true}}]",
            Obligation("hold", "withdraw", "p", "r"),
        ),
    ],
)
def test_an_obligation_says_what_must_happen(text, obligation):
    assert duties(text) == ((obligation,), [])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[flag]", "an obligation has one field, one of `flag`, `status`, `hold`, `ticket`, `notify`"),
        ("[{flag: a, ticket: b}]", "an obligation has one field, one of `flag`, `status`, `hold`, `ticket`, `notify`"),
        ("[{flga: a}]", "unknown obligation `flga`: did you mean `flag`?"),
        ("[{status: closed}]", "unknown status `closed`"),
        ("[{status: none}]", "`none` is no status of an account: it says that nobody is signed in"),
        ("[{flag: US Connection}]", "`flag` takes a name: small letters, digits, `-`, `_` and `.`, at most 64"),
        ("[{flag: [a]}]", "`flag` takes a name"),
        ("[{hold: withdraw}]", "`hold` is a mapping with `operations`, and `evidence` and `expires` where wanted"),
        ("[{hold: {}}]", "the hold lacks `operations`"),
        ("[{hold: {operations: full}}]", "`operations` must be a list of operations, such as `[withdraw]`"),
        ("[{hold: {operations: [fly]}}]", "unknown operation `fly`"),
        ("[{hold: {operations: [view], evidence: [A B]}}]", "evidence is named by at most 20 words"),
        (
            f"[{{hold: {{operations: [view], evidence: [{', '.join(f'e{n}' for n in range(21))}]}}}}]",
            "at most 20 words",
        ),
        ("[{hold: {operations: [view], expires: soon}}]", "`expires` must be a length of time"),
        ("flag", "`key` in the rule must be a sequence"),
        ("[{flag: a, afetr: {days: 3, within: 30d}}]", "unknown obligation `afetr`: did you mean `after`?"),
        ("[{flga: a, after: {days: 3, within: 30d}}]", "unknown obligation `flga`: did you mean `flag`?"),
        ("[{after: {days: 3, within: 30d}}]", "an obligation has one field, one of `flag`"),
        ("[{flag: a, status: flagged, after: {days: 3, within: 30d}}]", "an obligation has one field"),
        ("[{ticket: a, after: {days: 3, within: 30d}}]", "`after` belongs to `flag` and `status`: a `ticket` follows"),
        ("[{flag: a, after: 3d}]", "`after` is a mapping such as `{days: 3, within: 30d}`"),
        ("[{flag: a, after: {day: 3, within: 30d}}]", "unknown field `day` in `after`: did you mean `days`?"),
        ("[{flag: a, after: {within: 30d}}]", "`after` lacks `days`"),
        ("[{flag: a, after: {days: 3}}]", "`after` lacks `within`, such as `30d`"),
        ("[{flag: a, after: {days: 3, within: 30}}]", "`within` must be a length of time such as"),
        ("[{flag: a, after: {days: 3, within: 36h}}]", "`within` must be whole days, `2d` to `180d`"),
        ("[{flag: a, after: {days: 3, within: 181d}}]", "`within` must be whole days, `2d` to `180d`"),
        ("[{flag: a, after: {days: 31, within: 30d}}]", "`days` must be a number of days, 2 to the 30 of `within`"),
        ("[{flag: a, after: {days: 1, within: 30d}}]", "leave `after` out where the first day is enough"),
        ("[{flag: a, after: {days: true, within: 30d}}]", "`days` must be a number of days"),
        ("[{flag: a, after: {days: [3], within: 30d}}]", "`days` must be a number of days"),
        ("[{hold: {operations: [view], expeditable: false}}]", "must end by itself: give it `expires`, such as `72h`"),
        ("[{hold: {operations: [view], expires: 1h, expeditable: no}}]", "`expeditable` must be `true` or `false`"),
        ("[{hold: {operations: [view], expeditible: false}}]", "did you mean `expeditable`?"),
    ],
)
def test_what_is_no_obligation_is_a_finding(text, message):
    assert message in " ".join(duties(text)[1])
