"""Facts as somebody writes them on a command line."""

import pytest

from gateway.core.errors import PolicyError
from gateway.core.facts import OneOf, Unknown
from gateway.core.terms import WhyUnknown
from gateway.policies.stating import stated


def test_facts_are_stated_by_name_and_value() -> None:
    found = stated(
        ["verification=basic", "auth_age=301", "amount_usd=99.5", "documents=US,CA", "flags=", "residence=none"]
    )
    assert found == {
        "verification": "basic",
        "auth_age": 301,
        "amount_usd": 99.5,
        "documents": frozenset({"US", "CA"}),
        "flags": frozenset(),
        "residence": None,
    }


def test_doubt_can_be_stated() -> None:
    found = stated(["status=unknown", "risk=low|high"])
    assert found["status"] == Unknown(WhyUnknown.NOT_SUPPLIED)
    assert found["risk"] == OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"low", "high"}))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("verification", "write `NAME=VALUE`"),
        ("verifcation=basic", "did you mean `verification`?"),
        ("verification=basc", "did you mean `basic`?"),
        ("auth_age=soon", "is a number"),
        ("documents=UK", "did you mean `GB`?"),
        ("status=none|opne", "did you mean `open`?"),
    ],
)
def test_what_states_nothing_is_refused_with_what_was_meant(text: str, message: str) -> None:
    with pytest.raises(PolicyError, match=message.replace("?", r"\?")):
        stated([text])
