"""What a change of the rules widens, and what it narrows: exactly, with facts that show each."""

from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple

from gateway.core.decision import instant_text
from gateway.core.facts import Facts, to_json
from gateway.core.terms import Operation
from gateway.core.verdict import RuleRef, Verdict
from gateway.policies.blame import Search
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.phrases import duration
from gateway.policies.witness import told

_TURNED: Final = {"added": "removed", "removed": "added", "changed": "changed"}
"""What became of a rule, seen from the other side."""


class Change(NamedTuple):
    """Facts to which the rules before and after answer differently, and the rules that make the difference."""

    operation: Operation
    witness: Facts
    before: Verdict
    after: Verdict
    rules: tuple[RuleRef, ...]
    """Those to blame, first the one that this change stands for."""
    how: str
    """What became of that one: `added`, `removed`, `changed`."""
    lists: tuple[str, ...]
    """Named lists of that one that have other entries, in words."""
    operations: tuple[Operation, ...]
    """All operations of which the same facts show the same."""
    where: tuple[str, ...]
    """What is not usual about the facts, in words."""

    def text(self) -> str:
        """Return the change as a line."""
        where = f" where {', '.join(self.where)}" if self.where else " for any customer in good standing"
        first, *others = self.rules
        also = f", with {', '.join(map(_name, others))}" if others else ""
        lists = f" ({'; '.join(self.lists)})" if self.lists else ""
        at = instant_text(self.witness.at).removesuffix("T00:00:00.000000Z")
        answers = f"{_answer(self.before)} -> {_answer(self.after)}"
        return f"{operations_text(self.operations)}: {answers}{where}, at {at}: {_name(first)} {self.how}{lists}{also}"

    def to_json(self) -> dict[str, Any]:
        """Return the change as a JSON object."""
        known, unknown = to_json(self.witness)
        return {
            "operation": str(self.operation),
            "operations": list(map(str, self.operations)),
            "before": _answer(self.before),
            "after": _answer(self.after),
            "rules": [one._asdict() for one in self.rules],
            "how": self.how,
            "lists": list(self.lists),
            "where": list(self.where),
            "witness": {"at": instant_text(self.witness.at), "facts": known, "unknown": unknown},
            "text": self.text(),
        }


class Diff(NamedTuple):
    """All that a change of the rules widens and narrows."""

    old: str
    new: str
    """The digests of the bundles."""
    since: int | None
    """The instant from which differences count, microseconds since the epoch; None: from the first."""
    widenings: tuple[Change, ...]
    narrowings: tuple[Change, ...]
    complete: bool
    """False where a search was cut short: then there may be differences that are not listed."""

    @property
    def widens(self) -> bool:
        """Whether anything is allowed that was not. What could not be searched to the end counts as that."""
        return bool(self.widenings) or not self.complete

    def text(self) -> str:
        """Return the differences, a line each."""
        lines = [f"wider     {one.text()}" for one in self.widenings]
        lines += [f"narrower  {one.text()}" for one in self.narrowings]
        if not self.complete:
            lines.append("The search was cut short: there may be other differences, widenings among them.")
        return "\n".join(lines) if lines else "No answer differs."

    def to_json(self) -> dict[str, Any]:
        """Return the differences as a JSON object."""
        return {
            "old": self.old,
            "new": self.new,
            "since": None if self.since is None else instant_text(self.since),
            "widens": self.widens,
            "complete": self.complete,
            "widenings": [one.to_json() for one in self.widenings],
            "narrowings": [one.to_json() for one in self.narrowings],
        }


def diff(old: Bundle, new: Bundle, *, since: int | None = None) -> Diff:
    """Return what widens and what narrows from `old` to `new`, at any instant, or at any from `since` on.

    Every difference is covered by a change that is listed, as long as the result is `complete`.
    """
    wider, narrower = Search(old, new, since), Search(new, old, since)
    widenings = tuple(_changes(wider, (old, new), wider))
    narrowings = tuple(
        one._replace(before=one.after, after=one.before, how=_TURNED[one.how])
        for one in _changes(narrower, (new, old), wider)
    )
    complete = wider.complete and narrower.complete
    return Diff(old.digest, new.digest, since, widenings, narrowings, complete)


def _changes(search: Search, bundles: tuple[Bundle, Bundle], forward: Search) -> Iterator[Change]:
    for ref, facts, operations in search.found():
        before, after = (evaluate(facts, bundle) for bundle in bundles)
        rules = dict.fromkeys((ref, *search.blamed(facts)))
        where = told(facts, search.ground.domains)
        told_of = search.how(ref), forward.lists(ref)
        yield Change(facts.operation, facts, before, after, tuple(rules), *told_of, operations, where)


def operations_text(operations: Collection[Operation]) -> str:
    """Return operations as one reads them: families by their name, nearly all by what is missing."""
    missing = [one for one in Operation if one not in operations]
    if len(missing) < len(operations) / 3:
        return f"everything{' but ' if missing else ''}{', '.join(missing)}"
    trades = [one for one in Operation if one.startswith("trade.")]
    short = ["trade"] if all(one in operations for one in trades) else [one for one in trades if one in operations]
    return ", ".join(dict.fromkeys(name for one in operations for name in (short if one in trades else [one])))


def _answer(verdict: Verdict) -> str:
    challenge = verdict.challenge
    if challenge is None:
        return str(verdict.outcome)
    age = "" if challenge.max_age_s is None else f", at most {duration(challenge.max_age_s)} old"
    return f"{verdict.outcome} ({challenge.proof}{age})"


def _name(ref: RuleRef) -> str:
    return f"{ref.policy}/{ref.rule}"
