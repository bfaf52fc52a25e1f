"""A message is read in one way or refused, whatever some other reader of JSON makes of it."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.errors import ConfigError
from gateway.core.operations import LENIENT
from gateway.core.said import MOST_MESSAGES, MessageRule, MessageTable, Said, message_document
from gateway.core.target import Ambiguous
from gateway.core.terms import Ambiguity, Operation
from gateway.core.withdrawal_request import NOTHING_ASKED, WithdrawalRule

NAMES = {
    "order.place": "trade.spot",
    "order.futures.*": "trade.futures",
    "order.*": "trade.spot",
    "order.status.*": "view",
    "subscribe": "view",
    "withdraw": "withdraw",
}


def rule(**more):
    return MessageRule(**{"field": "/op", "operations": NAMES, "id": "/id", **more})


def read(text, data=None, **more):
    return rule(**more).read(text, data)


def operation(text, **more):
    (said,) = read(text, **more)
    return said.operation


@pytest.mark.parametrize(
    ("name", "found", "attempted"),
    [
        ("order.place", "order.place", "trade.spot"),
        ("ORDER.Place", "order.place", "trade.spot"),
        (" order.place ", "order.place", "trade.spot"),
        ("\uff4frder.place", "order.place", "trade.spot"),  # a wide o, which NFKC takes for an o
        ("w\u0130thdraw".replace("\u0130", "i"), "withdraw", "withdraw"),
        ("order.futures.open", "order.futures.*", "trade.futures"),
        ("Order.Futures.open", "order.futures.*", "trade.futures"),
        ("order.cancel", "order.*", "trade.spot"),
        ("order.status.all", "order.status.*", "view"),
        ("order.Status.all", "order.*", "trade.spot"),
        ("subscribe", "subscribe", "view"),
        ("SUBSCRIBE", None, "unclassified"),
        ("else", None, "unclassified"),
    ],
)
def test_what_is_protected_is_matched_by_what_may_be_meant_and_the_rest_by_what_is_written(name, found, attempted):
    assert read(json.dumps({"op": name, "id": 7})) == (Said(found, Operation(attempted), 7),)


@pytest.mark.parametrize("text", ['{"id": 1}', "{}", '{"op": null}', "null", "5", '"order.place"', "[]"])
def test_a_message_without_the_member_is_what_is_said_of_the_rest(text):
    assert operation(text) is Operation.UNCLASSIFIED
    assert operation(text, otherwise="view") is Operation.VIEW


def test_a_whole_number_may_name_an_operation():
    assert operation('{"op": 7}', operations={"7": "withdraw"}) is Operation.WITHDRAW
    assert operation('{"op": "7"}', operations={"7": "withdraw"}) is Operation.WITHDRAW


def test_a_member_may_stand_within_others():
    nested = {"field": "/a/b~1c", "operations": {"x": "withdraw"}}
    assert operation('{"a": {"b/c": "x"}}', **nested) is Operation.WITHDRAW
    assert operation('{"a": 5}', **nested) is Operation.UNCLASSIFIED
    assert isinstance(read('{"a": [{"b/c": "x"}]}', **nested), Ambiguous)
    assert isinstance(read('{"A": {"b/c": "x"}}', **nested), Ambiguous)


DOUBTS = {
    "a member twice": '{"op": "subscribe", "op": "withdraw"}',
    "a member twice, once by an escape": '{"op": "subscribe", "\\u006fp": "withdraw"}',
    "a member twice elsewhere": '{"op": "subscribe", "a": {"b": 1, "b": 2}}',
    "a member in another case": '{"op": "subscribe", "OP": "withdraw"}',
    "a member in another case alone": '{"Op": "withdraw"}',
    "a member in a wide spelling": '{"\uff4fp": "withdraw"}',
    "a member that ends at NUL": '{"op\\u0000x": "withdraw"}',
    "a prototype": '{"__proto__": {"op": "withdraw"}}',
    "an escaped prototype": '{"\\u005f_proto__": {"op": "withdraw"}}',
    "a name that ends at NUL": '{"op": "withdraw\\u0000.not"}',
    "a name with a line break": '{"op": "withdraw\\n"}',
    "a name without end": json.dumps({"op": "order." + "x" * 600}),
    "a list for a name": '{"op": ["withdraw"]}',
    "an object for a name": '{"op": {"op": "withdraw"}}',
    "a broken number for a name": '{"op": 7.0}',
    "truth for a name": '{"op": true}',
    "half a surrogate": '{"op": "subscribe", "a": "\\ud800"}',
    "a list of lists": '[[{"op": "withdraw"}]]',
    "a list of texts": '["{\\"op\\": \\"withdraw\\"}"]',
    "a mark of the byte order": '\ufeff{"op": "withdraw"}',
    "what follows the end": '{"op": "subscribe"} {"op": "withdraw"}',
    "another line": '{"op": "subscribe"}\n{"op": "withdraw"}',
    "a comma too many": '{"op": "withdraw",}',
    "a comment": '{"op": "withdraw"} // {"op": "subscribe"}',
    "single quotes": "{'op': 'withdraw'}",
    "no quotes": '{op: "withdraw"}',
    "not a number": '{"op": "subscribe", "a": NaN}',
    "a number beyond all": '{"op": "subscribe", "a": 1e999}',
    "a whole number beyond 64 bits": '{"op": "subscribe", "a": 18446744073709551616}',
    "more digits than are read": '{"op": "subscribe", "a": %s}' % ("9" * 5000),
    "nested too deep": '{"op": "subscribe", "a": ' + "[" * 70 + "]" * 70 + "}",
    "nested without end": '{"op": "subscribe", "a": ' + "[" * 30_000 + "]" * 30_000 + "}",
    "no JSON": "ping",
    "nothing": "",
    "a control character": '{"op": "subscribe", "a": "\x01"}',
}


@pytest.mark.parametrize("text", DOUBTS.values(), ids=DOUBTS)
def test_what_two_readers_may_read_in_two_ways_is_refused(text):
    refused = read(text)
    assert isinstance(refused, Ambiguous)
    assert refused.why is Ambiguity.MESSAGE
    assert refused.detail.isprintable()
    # Nor does it pass as one of several.
    assert isinstance(read(f'[{{"op": "subscribe"}}, {text}]'), Ambiguous)


@pytest.mark.parametrize(
    "text",
    [
        '{"op": "subscribe", "a": "\\ud83d\\ude00"}',
        '{"op": "subscribe", "a": 18446744073709551615, "b": 0.1234567890123456789, "c": 1e100}',
        '{"op": "subscribe", "a": ' + "[" * 60 + "]" * 60 + "}",
        '{"op": "subscribe", "a": "{{{{{{{{[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[["}',
        '\t{"op": "subscribe", "opaque": 1}\r\n',
        '{"op": "subscribe", "a": "d\u00e9j\u00e0 vu \\u0000"}',
    ],
)
def test_what_all_readers_read_alike_is_not_refused(text):
    assert operation(text) is Operation.VIEW


def test_a_member_in_another_case_may_be_left_to_who_knows_the_upstream():
    assert operation('{"op": "subscribe", "OP": "withdraw"}', other_cases="ignore") is Operation.VIEW


def test_binary_messages_are_refused_unless_they_are_said_to_hold_the_same():
    data = b'{"op": "withdraw"}'
    assert isinstance(read(None, data), Ambiguous)
    (said,) = read(None, data, binary="json")
    assert said.operation is Operation.WITHDRAW
    assert isinstance(read(None, b'{"op": "\xff"}', binary="json"), Ambiguous)
    assert isinstance(read(None, b'{"op": "\xed\xa0\x80"}', binary="json"), Ambiguous)
    assert isinstance(read(None, None, binary="json"), Ambiguous)
    assert isinstance(read('{"op": "subscribe"}', data, binary="json"), Ambiguous)
    assert isinstance(read('{"op": "subscribe\udcff"}'), Ambiguous)


@pytest.mark.parametrize("letter", ["a", "\u00e9"])
def test_a_message_is_held_to_its_length_in_bytes(letter):
    long = json.dumps({"op": "subscribe", "a": letter * 600}, ensure_ascii=False)
    length = len(long.encode())
    assert operation(long, most_bytes=length) is Operation.VIEW
    refused = read(long, most_bytes=length - 1)
    assert isinstance(refused, Ambiguous)
    assert str(length - 1) in refused.detail
    assert isinstance(read(None, long.encode(), binary="json", most_bytes=length - 1), Ambiguous)


def test_each_of_a_batch_is_told_apart():
    said = read('[{"op": "subscribe", "id": "a"}, {"op": "withdraw"}, {}]')
    assert [(one.operation, one.id) for one in said] == [("view", "a"), ("withdraw", None), ("unclassified", None)]
    assert isinstance(read('[{"op": "subscribe"}]', batches="refuse"), Ambiguous)
    assert len(read(json.dumps([{"op": "subscribe"}] * MOST_MESSAGES))) == MOST_MESSAGES
    assert isinstance(read(json.dumps([{"op": "subscribe"}] * (MOST_MESSAGES + 1))), Ambiguous)


def test_texts_that_are_no_json_may_be_named_whole():
    texts = {"texts": {"ping": "view"}}
    assert read("ping", **texts) == (Said("ping", Operation.VIEW),)
    assert isinstance(read("Ping", **texts), Ambiguous)
    assert isinstance(read("ping ", **texts), Ambiguous)
    with pytest.raises(ConfigError, match="begins as JSON does"):
        rule(texts={' {"op": "withdraw"}': "view"})


@pytest.mark.parametrize("said", ['{"a": 1}', "[1]", "1.5", "true", '"%s"' % ("x" * 200)])
def test_what_its_sender_calls_it_is_a_short_text_or_a_number(said):
    (one,) = read('{"op": "subscribe", "id": ' + said + "}")
    assert one.id is None


def test_what_a_withdrawal_says_is_read_from_the_message_and_from_nothing_else():
    withdrawals = WithdrawalRule(amount_usd="/params/amount", destination="/params/to")
    more = {"withdrawals": withdrawals}
    (said,) = read('{"op": "withdraw", "params": {"amount": "12.5", "to": "bc1q"}}', **more)
    assert said.asked is not None
    assert (said.asked.amount_usd, said.asked.destination) == (12.5, "bc1q")
    (other,) = read('{"op": "subscribe", "params": {"amount": "12.5", "Amount": 3}}', **more)
    assert other.asked == NOTHING_ASKED
    assert read("ping", texts={"ping": "view"}, **more)[0].asked == NOTHING_ASKED
    assert isinstance(read('{"op": "withdraw", "params": {"amount": "12.5", "Amount": 99}}', **more), Ambiguous)
    assert read('{"op": "withdraw"}')[0].asked is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"field": "op"}, "did you mean `/op`"),
        ({"id": "id"}, "did you mean `/id`"),
        ({"operations": {"withdraw": "withdraw", "Withdraw": "view"}}, "differ in spelling alone"),
        ({"operations": {"*": "view"}}, "is no name"),
        ({"operations": {"a*b": "view"}}, "is no name"),
        ({"operations": {"a\x00": "view"}}, "is no name"),
        ({"operations": {" a": "view"}}, "is no name"),
    ],
)
def test_what_cannot_work_fails_when_it_is_built(more, words):
    with pytest.raises(ConfigError, match=re.escape(words)):
        rule(**more)


def test_two_spellings_of_one_name_may_mean_the_same():
    assert operation('{"op": "A"}', operations={"a": "withdraw", "A": "withdraw"}) is Operation.WITHDRAW


def test_a_path_is_found_in_any_case_and_the_first_one_wins():
    first, second = rule(), rule()
    table = MessageTable([("/ws/trade", first), ("/ws/{name}", second)])
    for path in ("/ws/trade", "/WS/Trade/", "/ws/trade/"):
        assert table.rule(path) is first
    assert table.rule("/ws/other") is second
    assert table.rule("/ws") is None
    with pytest.raises(ConfigError, match=r"messages\[1\].path: `/ws/trade` is never reached"):
        MessageTable([("/ws/{name}", first), ("/ws/trade", second)])
    with pytest.raises(ConfigError, match=r"messages\[0\].path"):
        MessageTable([("/ws//trade", first)])


def test_what_is_recorded_of_a_message_is_the_name_of_the_table_and_its_stream():
    said = Said("order.*", Operation.TRADE_SPOT, "mine")
    assert message_document(said, b"0197") == {"name": "order.*", "opened_by": "0197"}
    assert message_document(None, b"0197") == {"name": None, "opened_by": "0197"}


# What stands behind reads JSON in its own way. Each of these is the habit of some reader in use.


def _pairs_first(pairs):
    found = {}
    for name, value in pairs:
        found.setdefault(name, value)
    return found


def _any_case(document):
    """Find the member as Go does: by its name in any case, the last one wins."""
    found = None
    for name, value in document.items():
        if name.casefold() == "op":
            found = value
    return found


def _c_text(document):
    """Find the member as a reader in C does, to whom a text ends at NUL."""
    for name, value in document.items():
        if name.split("\0")[0] == "op":
            return value.split("\0")[0] if isinstance(value, str) else value
    return None


def _prototype(document):
    """Find the member as JavaScript does after copying what came into an object."""
    above = document.get("__proto__")
    return document.get("op", above.get("op") if isinstance(above, dict) else None)


def _coerced(document):
    """Find the member as JavaScript does that looks a function up by it."""
    value = document.get("op")
    while isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value


def _documents(text, hook):
    """Yield what a reader finds that begins wherever JSON begins, and goes on after its end."""
    decoder = json.JSONDecoder(object_pairs_hook=hook, strict=False)
    while text := text.lstrip("\ufeff \n,"):
        try:
            document, end = decoder.raw_decode(text)
        except (ValueError, RecursionError):
            return
        yield document
        text = text[end:]


def adversaries(text):
    """Yield every name under which some reader may take the message."""
    for hook in (dict, _pairs_first):
        for document in _documents(text, hook):
            for one in document if isinstance(document, list) else [document]:
                if isinstance(one, dict):
                    for find in (lambda d: d.get("op"), _any_case, _c_text, _prototype, _coerced):
                        yield find(one)


PROTECTED = {"withdraw", "order.place"}
_keys = st.sampled_from(["op", "OP", "Op", "oP", "op\0", "op ", "__proto__", "\uff4fp", "id", "a", "\u212a"]) | st.text(
    max_size=3
)
_values = st.sampled_from(
    ["withdraw", "WITHDRAW", "withdraw\0x", " withdraw", "subscribe", "order.place", "order.status.x", "zzz", 7, None]
)
_json = st.recursive(
    _values | st.floats() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.lists(st.tuples(_keys, inner), max_size=4),
    max_leaves=8,
)


def written(value, escape):
    """Return JSON text; a list of pairs is an object, whose members may stand there twice."""
    if isinstance(value, list) and value and all(isinstance(one, tuple) for one in value):
        return (
            "{" + ", ".join(f"{json.dumps(name, ensure_ascii=escape)}: {written(v, escape)}" for name, v in value) + "}"
        )
    if isinstance(value, list):
        return "[" + ", ".join(written(one, escape) for one in value) + "]"
    return json.dumps(value, ensure_ascii=escape)


_messages = st.builds(
    lambda parts, escape, before, between: before + between.join(written(one, escape) for one in parts),
    st.lists(st.lists(st.tuples(_keys, _json), min_size=1, max_size=4) | _json, min_size=1, max_size=2),
    st.booleans(),
    st.sampled_from(["", "\ufeff", " ", "\n"]),
    st.sampled_from(["", ",", "\n", " "]),
)


_tricks = st.builds(
    lambda pairs: written(pairs, escape=True),
    st.lists(
        st.tuples(
            st.sampled_from(["op", "OP", "op\0", "__proto__"]),
            st.sampled_from(["withdraw", "subscribe", [("op", "withdraw")], ["withdraw"]]),
        ),
        min_size=1,
        max_size=2,
    ),
)


@settings(max_examples=400)
@given(_tricks | _messages)
def test_no_spelling_of_a_protected_operation_passes_under_another_name(text):
    read_as = rule(otherwise="view").read(text, None)
    if isinstance(read_as, Ambiguous):
        return
    attempted = {one.operation for one in read_as}
    for name in adversaries(text):
        if isinstance(name, str) and name.strip().casefold() in PROTECTED:
            assert attempted - LENIENT, (text, name, read_as)


@given(st.text() | _messages, st.binary())
def test_every_message_has_an_answer(text, data):
    for said in (rule().read(text, None), rule(binary="json").read(None, data)):
        assert isinstance(said, Ambiguous) or all(isinstance(one, Said) for one in said)
