"""Recorded facts under a candidate bundle: what the answer was, and what it would have been.

Millions of decisions differ in few facts that rules ask about. What they have in common is weighed once, for each
stretch of time and of `auth_age` within which neither bundle can answer otherwise.
"""

from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

from gateway.core.alike import Alike
from gateway.core.decision import Document
from gateway.core.facts import AnyFact, Facts, OneOf, Unknown, from_json
from gateway.core.terms import Outcome
from gateway.core.verdict import Verdict
from gateway.policies.atoms import Among, IsKnown, atom_of, facts_in
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import comparisons

_AMOUNTS: Final = ("amount_usd", "withdrawn_today_usd")
_AGES_FROM: Final = -(1 << 62)

UNCERTAIN: Final = "(uncertain)"
"""In the place of a value that is not known for certain."""

Key = tuple[object, ...]
"""What all decisions have in common that are weighed together."""


class Answer(NamedTuple):
    """A verdict, as far as the customer feels it or a person would ask why."""

    outcome: str
    reason: str | None
    by: tuple[str, ...]
    """The rules that determined it, `policy/rule`."""
    proof: tuple[str, int | None] | None
    """What a challenge asks for, and how old that may be, in seconds."""


class Turn(NamedTuple):
    """The answer before and after."""

    before: Answer
    after: Answer

    @property
    def flipped(self) -> bool:
        """Whether the outcome is another."""
        return self.before.outcome != self.after.outcome

    @property
    def rules(self) -> tuple[str, ...]:
        """The rules that the change comes by: those that refuse or challenge now, or no longer do."""
        return self.before.by if self.after.outcome == Outcome.ALLOW else self.after.by


class Asked(NamedTuple):
    """What bundles ask of time, and of the facts that stand beside a matter (`core.alike.ALONE`)."""

    instants: tuple[int, ...]
    """When a rule comes into force or goes out of it."""
    ages: tuple[int, ...]
    """Whole values of `auth_age` at which an answer may change."""
    accounts: frozenset[Any] | None
    """Those that rules tell apart from all others; None where each may differ from each."""
    asns: frozenset[Any] | None
    amounts: bool

    @classmethod
    def by(cls, bundles: Sequence[Bundle], since: int, until: int) -> "Asked":
        """Return what these bundles ask of decisions made in `[since, until)`."""
        return cls(
            tuple(sorted({at for bundle in bundles for at in bundle.bounds if since < at < until})),
            tuple(sorted({age for bundle in bundles for age in _ages(bundle)})),
            _told_apart("account", bundles),
            _told_apart("asn", bundles),
            any(name in bundle.facts_named for bundle in bundles for name in _AMOUNTS),
        )


class Variety:
    """Decisions that differ in nothing that is asked but in time, in `auth_age`, and perhaps in amounts."""

    __slots__ = ("_asked", "_bundles", "_turns", "aged", "always", "facts", "moved", "paid", "recorded", "whole")

    def __init__(self, facts: Facts, recorded: Answer, asked: Asked, bundles: tuple[Bundle, Bundle | None]) -> None:
        self.facts = facts
        self.recorded = recorded
        self.paid = isinstance(facts.amount_usd, int | float)
        """Whether each of them is of an amount, which stands in the document of its ruling."""
        amounts = self.paid or isinstance(facts.withdrawn_today_usd, int | float)
        self.whole = asked.amounts and amounts
        """Whether each must be weighed by the document of its own ruling."""
        self.moved: tuple[str, str] | None = None
        """The country that was recorded and the one that is said now, where these are two."""
        self._asked = asked
        self._bundles = bundles
        self.aged = isinstance(facts.auth_age, int) and bool(asked.ages)
        """Whether `auth_age` may matter, so that it must be known of each."""
        self._turns: dict[tuple[int, int], Turn] = {}
        self.always = None if self.whole else self._the_one(0, len(asked.instants))
        """What became of all of them; None where that depends on more."""

    def settled(self, earliest: int, latest: int) -> Turn | None:
        """Return what became of those made between two instants; None where each must be asked."""
        if self.whole:
            return None
        return self._the_one(bisect_right(self._asked.instants, earliest), bisect_right(self._asked.instants, latest))

    def turn(self, at: int, auth_age: int | None) -> Turn:
        """Return what became of one that was made at `at` with this `auth_age`."""
        place = bisect_right(self._asked.ages, auth_age) if self.aged and auth_age is not None else 0
        return self._at(bisect_right(self._asked.instants, at), place)

    def turn_of(self, facts: Facts) -> Turn:
        """Return what became of one with these facts, which differ in `at` and in facts that stand alone."""
        candidate, against = self._bundles
        before = self.recorded if against is None else answer_of(evaluate(facts, against))
        return Turn(before, answer_of(evaluate(facts, candidate)))

    def _the_one(self, first: int, last: int) -> Turn | None:
        """Return what became of all, where it is the same from one stretch of time to another, at every age."""
        ages = range(len(self._asked.ages) + 1) if self.aged else range(1)
        turn = self._at(first, 0)
        return turn if all(self._at(one, age) == turn for one in range(first, last + 1) for age in ages) else None

    def _at(self, stretch: int, place: int) -> Turn:
        known = self._turns.get((stretch, place))
        if known is None:
            instants, ages = self._asked.instants, self._asked.ages
            # Of each stretch its first instant, and of ages the least: all within it are alike.
            at = instants[stretch - 1] if stretch else (instants[0] - 1 if instants else self.facts.at)
            facts = self.facts._replace(at=at)
            if self.aged:
                facts = facts._replace(auth_age=ages[place - 1] if place else ages[0] - 1)
            known = self._turns[stretch, place] = self.turn_of(facts)
        return known


class Weigher:
    """Weighs what was recorded under a candidate, against what was answered then or under another bundle."""

    def __init__(
        self,
        candidate: Bundle,
        against: Bundle | None,
        since: int,
        until: int,
        *,
        digests: Mapping[str, str] | None = None,
    ) -> None:
        """Compare with the recorded answer where `against` is None.

        `digests` returns the accounts that rules name by the digests that stand in their place in an archive; None
        where nobody knows them.
        """
        self._bundles = (candidate, against)
        self.asked = Asked.by([one for one in self._bundles if one is not None], since, until)
        self._since = since
        self._digests = digests

    def key(self, one: Alike, now: Mapping[str, AnyFact] | None = None) -> Key:
        """Return what decides together with `one`."""
        accounts, asns = self.asked.accounts, self.asked.asns
        account = self._named(one.account)
        return (
            one.matter,
            account if accounts is None or account in accounts else None,
            one.asn if asns is None or asns else None,
            None if now is None else tuple(now.values()),
        )

    def variety(self, document: Document, now: Mapping[str, Any] | None = None) -> Variety | str:
        """Return the decisions that are weighed with those of this ruling; or why they cannot be.

        `now` replaces what was known of the address or the account. Raise KeyError, TypeError or ValueError where
        `document` is no ruling.
        """
        if document["verdict"] is None:
            return "refused unread"
        facts = from_json(self._since, document["facts"], document["unknown"])
        if "account" in document.get("erased", ()) and self._digests is None and self.asked.accounts != frozenset():
            return "the account was erased"
        if isinstance(facts.account, OneOf):
            values = frozenset(self._named(one) for one in facts.account.values)
            facts = facts._replace(account=facts.account._replace(values=values))
        elif isinstance(facts.account, str):
            facts = facts._replace(account=self._named(facts.account))
        then = facts.country
        if now is not None:
            facts = facts._replace(**now)
        variety = Variety(facts, answer_in(document["verdict"]), self.asked, self._bundles)
        if facts.country != then:
            variety.moved = (_place(then), _place(facts.country))
        return variety

    def facts(self, document: Document, at: int, auth_age: int | None, variety: Variety) -> Facts:
        """Return the facts of one decision whose own document is needed. Raise as `variety` does."""
        own = from_json(at, document["facts"], document["unknown"])
        if auth_age is not None and isinstance(own.auth_age, int):
            own = own._replace(auth_age=auth_age)
        shared = {name: getattr(own, name) for name in ("auth_age", *_AMOUNTS)}
        return variety.facts._replace(at=at, **shared)

    def _named(self, account: str | None) -> str | None:
        return account if account is None or self._digests is None else self._digests.get(account, account)


def answer_of(verdict: Verdict) -> Answer:
    """Return what a verdict answers."""
    proof = None if verdict.challenge is None else (str(verdict.challenge.proof), verdict.challenge.max_age_s)
    reason = None if verdict.reason is None else str(verdict.reason)
    return Answer(str(verdict.outcome), reason, tuple(f"{one.policy}/{one.rule}" for one in verdict.by), proof)


def answer_in(recorded: Mapping[str, Any]) -> Answer:
    """Return what a recorded verdict answered. Raise KeyError or TypeError where it is none."""
    asked = recorded.get("challenge")
    return Answer(
        recorded["outcome"],
        recorded["reason"],
        tuple(f"{one['policy']}/{one['rule']}" for one in recorded["by"]),
        None if asked is None else (asked["proof"], asked["max_age_s"]),
    )


def named(bundles: Sequence[Bundle]) -> frozenset[str]:
    """Return the accounts that rules and exceptions name."""
    return _told_apart("account", bundles) or frozenset()


def _place(country: AnyFact) -> str:
    if isinstance(country, OneOf):
        return f"one of {', '.join(sorted(map(str, country.values)))}"
    return UNCERTAIN if isinstance(country, Unknown) else str(country)


def _ages(bundle: Bundle) -> Iterator[int]:
    age = bundle.next_auth_age(_AGES_FROM)
    while age is not None:
        yield age
        age = bundle.next_auth_age(age)


def _told_apart(fact: str, bundles: Sequence[Bundle]) -> frozenset[Any] | None:
    """Return the values of a fact that conditions mention; None where they ask about it in any other way."""
    found: set[Any] = set()
    for bundle in bundles:
        conditions = [*(rule.when for rule in bundle.rules), *(one.when for one in bundle.exceptions)]
        for part in (part for condition in conditions for part in comparisons(condition)):
            atom, _ = atom_of(part, bundle.entries)
            if fact not in facts_in(atom) or isinstance(atom, IsKnown):
                continue
            if not isinstance(atom, Among):
                return None
            found |= atom.values
    return frozenset(found)
