"""Every code of the record has words, and nothing from outside reaches a terminal raw."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.client_ip import How, Role, Unresolved
from gateway.core.facts import Facts, Unknown
from gateway.core.terms import Credential, Operation, Outcome, Proof, Status, TokenState, WhyUnknown
from gateway.policies import phrases, schema
from gateway.policies.phrases import (
    LONGEST,
    change,
    doubt,
    duration,
    listed,
    named,
    operation_words,
    printable,
    shown,
    value_of,
)
from gateway.policies.what_if import Change

FACTS = Facts(0, Operation.WITHDRAW, holds=frozenset({"view", "withdraw"}), status=Unknown(WhyUnknown.NO_ACCOUNT))


@pytest.mark.parametrize(
    ("words", "codes"),
    [
        (phrases.HOW, How),
        (phrases.ROLES, Role),
        (phrases.UNRESOLVED, Unresolved),
        (phrases.WHY, WhyUnknown),
        (phrases.OUTCOMES, Outcome),
        (phrases.TOKENS, TokenState),
        (phrases.CREDENTIALS, Credential),
        (phrases.STATUSES, Status),
        (phrases.ASKED, Proof),
        (phrases.NAMES, schema.FACTS),
    ],
    ids=["how", "roles", "unresolved", "why", "outcomes", "tokens", "credentials", "statuses", "asked", "names"],
)
def test_every_code_has_words_of_its_own(words: Mapping[Any, str], codes: Any) -> None:
    assert set(words) == set(codes)
    assert len(set(words.values())) == len(words)


@given(st.text())
def test_nothing_from_outside_reaches_a_terminal_raw(text: str) -> None:
    assert printable(text).isprintable()
    assert shown(text) == f"`{printable(text)}`"
    assert len(printable(text)) <= LONGEST + 1


@pytest.mark.parametrize(
    ("text", "safe"),
    [
        ("curl/8", "curl/8"),
        ("Zürich", "Zürich"),
        ("\x1b[31mred", "\\x1b[31mred"),
        ("one\ntwo", "one\\ntwo"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("x" * 201, "x" * 200 + "…"),
        ("x" * 200, "x" * 200),
        (7, "7"),
    ],
)
def test_what_does_not_print_is_escaped_and_what_is_long_is_cut(text: object, safe: str) -> None:
    assert printable(text) == safe


@pytest.mark.parametrize(
    ("parts", "sentence"), [(["a"], "a"), (["a", "b"], "a and b"), (["a", "b", "c"], "a, b and c")]
)
def test_a_list_reads_as_a_sentence(parts: list[str], sentence: str) -> None:
    assert listed(parts) == sentence


@pytest.mark.parametrize(
    ("value", "words"),
    [(None, "none"), ([], "none"), ("PT", "`PT`"), (7, "`7`"), (["b", "a"], "`a` and `b`"), (frozenset("a"), "`a`")],
)
def test_a_value_reads_as_what_it_is(value: Any, words: str) -> None:
    assert value_of(value) == words


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ({"why": "no-record"}, "unknown, because the databases have no record"),
        (
            {"why": "sources-disagree", "one_of": ["CA", "US"], "prefixes": []},
            "`CA` or `US`, because the sources disagree",
        ),
        (
            {"why": "no-record", "one_of": ["US-NY"], "prefixes": ["CA-"]},
            "`US-NY` or any that begins with `CA-`, because the databases have no record",
        ),
    ],
)
def test_a_doubt_says_what_may_be_and_why(entry: Mapping[str, Any], words: str) -> None:
    assert doubt(entry) == words


@pytest.mark.parametrize(
    ("one", "others", "words"),
    [
        (
            Change("sign_in", "open"),
            [],
            "a customer had been signed in, with an open account and nothing known against",
        ),
        (Change("assurance", 2), [3], "the customer had proved who they are with a second factor or better"),
        (Change("assurance", 1), [2], "proved who they are by signing in alone or with a second factor"),
        (Change("assurance", 3), [], "proved who they are with a factor that resists phishing"),
        (Change("auth_age", 0), [60], "the customer had proved who they are just before"),
        (Change("credential", "session"), [], "the request had come with a session of the same customer"),
        (
            Change("status", "open"),
            ["exit_only"],
            "the account's status had been `open` (in good standing) or `exit_only` (being closed)",
        ),
        (Change("verification", "full"), ["basic"], "the verification had been `full` or `basic`"),
        (
            Change("destination", "known"),
            [None],
            "the destination had been one that the customer has used before or left out",
        ),
        (Change("holds", frozenset({"view"})), [], "the account had not had the hold on `withdraw`"),
        (Change("holds", frozenset()), [], "the account had not had the hold on `view` or the hold on `withdraw`"),
        (Change("holds", frozenset({"view", "withdraw", "login"})), [], "the account had had the hold on `login`"),
        (
            Change("holds", frozenset({"login", "view"})),
            [],
            "the account had not had the hold on `withdraw` and had the hold on `login`",
        ),
        (Change("flags", frozenset({"vip"})), [], "the account had had the mark `vip`"),
    ],
)
def test_a_change_is_said_as_what_would_have_had_to_be(one: Change, others: list[Any], words: str) -> None:
    assert words in change(one, others, FACTS)


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (frozenset[str](), "the marks of the account had been read, and had been empty"),
        (frozenset({"vip"}), "the marks of the account had been read, and had held the mark `vip`"),
    ],
)
def test_a_set_in_doubt_would_have_had_to_be_read(wanted: frozenset[str], words: str) -> None:
    unread = FACTS._replace(flags=Unknown(WhyUnknown.STORE_UNAVAILABLE))
    assert change(Change("flags", wanted), [], unread) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 seconds"), (1, "1 second"), (61, "61 seconds"), (60, "1 minute"), (300, "5 minutes"), (7200, "2 hours"),
     (86_400, "1 day"), (259_200, "3 days"), (90_000, "25 hours")],
)  # fmt: skip
def test_a_time_is_said_in_whole_units(seconds: int, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("documents", {"count": 0}, "none"),
        ("documents", {"count": 1}, "of 1 country, not shown here"),
        ("documents", {"count": 2}, "of 2 countries, not shown here"),
        ("documents", ["PT"], "`PT`"),
        ("network", [], "nothing noted"),
        ("network", ["tor"], "`tor`"),
        ("status", "archived", "`archived` (closed)"),
    ],
)
def test_the_value_of_a_fact_is_said_as_people_call_it(name: str, value: Any, words: str) -> None:
    assert named(name, value) == words


def test_an_operation_is_said_of_them_and_not_to_you() -> None:
    words = [operation_words(operation) for operation in Operation]
    assert "transfer between their own accounts" in words
    assert not [one for one in words if "your" in one]
