"""Facts as somebody states them on a command line: `verification=basic`, `documents=US,CA`, `status=unknown`."""

from collections.abc import Iterable
from typing import Any, Final

from gateway.core.errors import PolicyError
from gateway.core.facts import AnyFact, OneOf, Unknown
from gateway.core.terms import WhyUnknown
from gateway.policies.findings import did_you_mean, quoted
from gateway.policies.schema import FACTS, FactSchema
from gateway.policies.values import problem

NONE: Final = "none"
UNKNOWN: Final = "unknown"


def stated(texts: Iterable[str]) -> dict[str, AnyFact]:
    """Return the facts that texts such as `flags=staff` state. Raise PolicyError with what is wrong.

    The members of a set are joined by commas, and nothing is the empty set; `A|B` is one of several; `none` is "there
    is none" where that may be, and `unknown` is no knowledge at all.
    """
    return dict(map(_one, texts))


def _one(text: str) -> tuple[str, AnyFact]:
    name, given, value = text.partition("=")
    if not given:
        raise PolicyError(f"{quoted(text)} states no fact: write `NAME=VALUE`, such as `verification=basic`")
    if name not in FACTS:
        raise PolicyError(f"unknown fact {quoted(name)}{did_you_mean(name, FACTS)}")
    fact = FACTS[name]
    if value == UNKNOWN:
        return name, Unknown(WhyUnknown.NOT_SUPPLIED)
    if "|" in value:
        return name, OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset(_value(fact, one) for one in value.split("|")))
    return name, _value(fact, value)


def _value(fact: FactSchema, text: str) -> Any:  # noqa: ANN401 - a value of that fact
    if fact.is_set:
        return frozenset(_plain(fact, one) for one in text.split(",") if one)
    if text == NONE and fact.nullable:
        return None
    return _plain(fact, text)


def _plain(fact: FactSchema, text: str) -> str | int | float:
    value: str | int | float = text
    if fact.is_number:
        try:
            value = int(text) if text.lstrip("-").isdigit() else float(text)
        except ValueError:
            raise PolicyError(f"`{fact.name}` is a number, and {quoted(text)} is none") from None
    wrong = problem(fact, value)
    if wrong is not None:
        raise PolicyError(wrong)
    return value
