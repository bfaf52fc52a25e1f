"""What changed since a decision, in sentences, without what the reader may not see."""

from typing import Any

import pytest

from gateway.core.facts import OneOf, Unknown
from gateway.core.masking import EVERYTHING
from gateway.core.terms import LEVELS, Access, Effect, Operation, Outcome, Reason, WhyUnknown
from gateway.core.verdict import Determining, Verdict
from gateway.policies.compare import RULES, TIME, Comparison, FactChange, RuleChange
from gateway.policies.since import since

RULE = Determining("p", "held", Effect.LIMIT, Reason.HOLD, "tests")
DENIED = Verdict(
    Operation.WITHDRAW, Outcome.DENY, LEVELS[Access.READ_ONLY], (RULE,), False, Reason.HOLD, None, (), (), False
)  # fmt: skip
ALLOWED = Verdict(Operation.WITHDRAW, Outcome.ALLOW, LEVELS[Access.FULL], (), False, None, None, (), (), False)
SAME = Comparison(
    same=True, now=DENIED, at=1_795_262_400_000_000, bundles=("a" * 64, "a" * 64), rules=(), editions=None, facts=(),
    causes=(), explained=True, complete=True,
)  # fmt: skip
AT = "at 2026-11-21T12:00:00.000000Z"


def _said(**changes: Any) -> list[str]:
    return list(since(SAME._replace(**changes), EVERYTHING))


def test_the_same_answer_and_nothing_changed() -> None:
    assert _said() == [
        f"Yes: {AT} it would be refused by `held`, for `hold`, as then.",
        "Nothing that was recorded has changed since.",
    ]


def test_another_answer_names_what_made_the_difference() -> None:
    said = _said(same=False, now=ALLOWED, causes=(("status",), ("holds", "flags")))
    assert said[:3] == [
        f"No: {AT} it would be allowed.",
        "What made the difference: the status, alone.",
        "What made the difference: the holds and the marks, together.",
    ]


@pytest.mark.parametrize(
    ("cause", "words"),
    [(RULES, "the rules, alone"), (TIME, "the date, by which a rule or an exception came into force or went out of")],
)
def test_rules_and_dates_can_make_the_difference(cause: str, words: str) -> None:
    assert words in " ".join(_said(same=False, causes=((cause,),)))


def test_what_was_not_tried_or_cannot_be_said_is_admitted() -> None:
    assert "Not every combination" in " ".join(_said(same=False, causes=(("status",),), complete=False))
    assert "cannot be said: the bundle that decided then is not at hand" in " ".join(
        _said(same=False, explained=False, complete=False)
    )


def test_the_bundle_its_rules_and_its_lists_are_named() -> None:
    said = _said(
        bundles=("a" * 64, "b" * 64),
        rules=(
            RuleChange("p", "held", "removed", (), matters=True),
            RuleChange("p", "far", "changed", ("far_away",), matters=True),
            RuleChange("p", "lifted", "changed", (), matters=True, exceptions=("desk/settle",)),
            RuleChange("p", "x", "added", (), matters=False),
        ),
    )
    assert said[1:] == [
        "The bundle was `aaaaaaaaaaaa` and is `bbbbbbbbbbbb`.",
        "The rule `held` of the policy `p` was removed.",
        "The rule `far` of the policy `p` was changed, with `far_away`.",
        "The rule `lifted` of the policy `p` was changed, by the exception `desk/settle`.",
        "1 other rule changed too.",
    ]


def test_more_rules_than_anyone_reads_are_counted() -> None:
    rules = tuple(RuleChange("p", f"r{number}", "added", (), matters=True) for number in range(20))
    assert _said(rules=rules)[-1] == "8 other rules changed too."


def test_editions_stand_beside_each_other_where_they_changed() -> None:
    assert (
        _said(editions=(("country 1",), ("country 2",)))[-1] == "The databases were `country 1`, and are `country 2`."
    )
    assert _said(editions=((), ("country 2",)))[-1] == "The databases were none, and are `country 2`."
    assert _said(editions=(("country 1",), ("country 1",)))[-1] == "Nothing that was recorded has changed since."


@pytest.mark.parametrize(
    ("fact", "then", "now", "words"),
    [
        ("status", "open", "flagged", "The status was `open` (in good standing), and is `flagged` (under review)."),
        ("holds", frozenset({"withdraw"}), frozenset(), "The holds were `withdraw`, and are none."),
        (
            "country",
            OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"DE", "IR"})),
            "DE",
            "The country was `DE` or `IR` (the sources disagree), and is `DE`.",
        ),
        (
            "subdivision",
            OneOf(WhyUnknown.NO_RECORD, frozenset(), frozenset({"UA-"})),
            Unknown(WhyUnknown.LOOKUP_FAILED),
            (
                "The region was one that begins with `UA-` (the databases have no record), and is unknown "
                "(the database is damaged where the address lies)."
            ),
        ),
    ],
)
def test_a_fact_is_said_as_it_was_and_as_it_is(fact: str, then: Any, now: Any, words: str) -> None:
    assert _said(facts=(FactChange(fact, then, now),))[-1] == words


def test_countries_of_a_person_are_not_named_to_who_may_not_see_them() -> None:
    changed = SAME._replace(facts=(FactChange("residence", "XQ", "XZ"),))
    assert list(since(changed, frozenset()))[-1] == "The residence changed; from what to what is not shown here."
    assert list(since(changed, EVERYTHING))[-1] == "The residence was `XQ`, and is `XZ`."
