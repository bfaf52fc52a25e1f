"""Every code of the record has words, and nothing from outside reaches a terminal raw."""

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.client_ip import How, Role, Unresolved
from gateway.core.facts import Facts, Unknown
from gateway.core.terms import Credential, Operation, Outcome, TokenState, WhyUnknown
from gateway.policies import phrases
from gateway.policies.phrases import LONGEST, change, doubt, listed, printable, shown, value_of
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
    ],
    ids=["how", "roles", "unresolved", "why", "outcomes", "tokens", "credentials"],
)
def test_every_code_has_words_of_its_own(words: Mapping[Any, str], codes: type[Any]) -> None:
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
        ({"why": "no-record"}, "unknown, because the databases have no record of it"),
        (
            {"why": "sources-disagree", "one_of": ["CA", "US"], "prefixes": []},
            "`CA` or `US`, because the sources disagree",
        ),
        (
            {"why": "no-record", "one_of": ["US-NY"], "prefixes": ["CA-"]},
            "`US-NY` or any that begins with `CA-`, because the databases have no record of it",
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
        (Change("assurance", 2), [3], "the customer had proved who they are by `mfa` or better"),
        (Change("assurance", 0), [], "the customer had proved who they are by `no proof` or better"),
        (Change("auth_age", 0), [60], "the customer had proved who they are just before"),
        (Change("auth_age", None), [], "`auth_age` (seconds since the subject proved who it is) had been none"),
        (Change("credential", "session"), [], "the request had come with a session of the same customer"),
        (Change("status", "open"), ["exit_only"], "`status` (where the account stands) had been `open` or `exit_only`"),
        (
            Change("holds", frozenset({"view"})),
            [],
            "`holds` (the operations that a hold closes) had not included `withdraw`",
        ),
        (Change("holds", frozenset()), [], "had not included `view` or `withdraw`"),
        (Change("holds", frozenset({"view", "withdraw", "login"})), [], "had included `login`"),
        (Change("holds", frozenset({"login", "view"})), [], "had not included `withdraw` and included `login`"),
        (Change("signals", frozenset()), [], "had been read, and been none"),
    ],
)
def test_a_change_is_said_as_what_would_have_had_to_be(one: Change, others: list[Any], words: str) -> None:
    assert words in change(one, others, FACTS)
