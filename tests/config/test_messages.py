"""Streams whose messages are decided: what an operator may say of them, and what cannot work."""

import pytest

from gateway.core.target import Ambiguous
from gateway.core.terms import Operation

START = "[client_ip]\ntrusted_proxies = []\n"
TABLE = START + '[[messages]]\npath = "/ws"\nfield = "/op"\noperations = { "order.*" = "trade.spot" }\n'


def test_what_is_not_said_is_the_strict_way(load_text) -> None:
    (one,) = load_text(TABLE).messages
    assert (one.otherwise, one.refuse, one.binary, one.batches, one.other_cases, one.max_bytes) == (
        *("unclassified", "close", "refuse", "each", "refuse"),
        65536,
    )


def test_what_is_said_is_how_messages_are_read(load_text) -> None:
    more = 'otherwise = "view"\nrefuse = "answer"\nid = "/id"\nmax_bytes = "1KiB"\n[messages.texts]\nping = "support"\n'
    rule = load_text(TABLE + more).messages[0].rule(transfers=None)
    assert rule.answers
    assert rule.read("ping", None)[0].operation is Operation.SUPPORT
    (said,) = rule.read('{"id": 3}', None)
    assert (said.operation, said.id, said.asked) == (Operation.VIEW, 3, None)
    assert isinstance(rule.read("x" * 1025, None), Ambiguous)


def test_what_withdrawals_say_is_read_where_the_message_has_it(load_text) -> None:
    text = TABLE.replace("trade.spot", "transfer") + 'amount_usd = "/usd"\n[withdrawals]\namount_usd = "/amount"\n'
    one = load_text(text).messages[0]
    asked = [one.rule(transfers=transfers).read('{"op": "order.x", "usd": 5}', None)[0].asked for transfers in (0, 1)]
    assert [told.amount_usd for told in asked] == [None, 5]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (("/op", "op"), "messages[0]: field: `op` is no place in JSON: did you mean `/op`?"),
        (('"/ws"', '"ws"'), "messages[0].path: path: `ws` does not begin with `/`: did you mean `/ws`?"),
        (
            ("trade.spot", "trade.sport"),
            "unknown operation `trade.sport`: did you mean `trade.spot`",
        ),
        (('{ "order.*" = "trade.spot" }', "{}"), "messages[0].operations: is empty; name at least one"),
        (("order.*", "*"), "messages[0]: operations: `*` is no name"),
        (
            ("[[mess", "[forward_auth]\nproxies = ['nginx']\nasked_by = ['127.0.0.1']\n[[mess"),
            "`[[messages]]` are decided",
        ),
        (("field", "amount_usd = 'header:X-A'\nfield"), "messages[0]: amount_usd: `header:X-A` is no place in JSON"),
        (("field", "amount_usd = '/a'\nfield"), "`[withdrawals]` says nowhere where it stands in a request"),
        (("field", "refusal = 'close'\nfield"), "messages[0].refusal: unknown key: did you mean `refuse`?"),
    ],
)
def test_what_cannot_work_is_one_line_that_says_why(refusal, change, line) -> None:
    (said,) = refusal(TABLE.replace(*change))
    assert line in said
