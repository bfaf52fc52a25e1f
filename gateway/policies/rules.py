"""The nouns of a policy file: what remains of the text once it has been read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from gateway.core.evidence import After
from gateway.core.facts import AnyFact
from gateway.core.terms import Access, Effect, Operation, Operations, Outcome, Proof, Reason
from gateway.core.verdict import Obligation, RuleRef
from gateway.policies.expression import Condition
from gateway.policies.findings import Place
from gateway.policies.schema import Kind


@dataclass(frozen=True, slots=True)
class PolicyException:
    """Rules that do not apply to somebody, for some operations and for some time."""

    name: str
    """The file's name and its own id: `NAME/id`."""
    owner: str
    operations: Operations
    when: Condition
    """Who: an account among some, or a network."""
    when_text: str
    lifts: tuple[RuleRef, ...]
    reason: str
    """Why, in words."""
    basis: str
    """The ticket, ruling or agreement that it rests on."""
    approved_by: str | None
    start: int
    """The first instant in force, microseconds since the epoch."""
    end: int
    """The first instant no longer in force."""
    tests: "tuple[PolicyTest, ...]" = field(default=(), compare=False)
    place: Place = field(default=Place("", 1, 1), compare=False)
    lifts_at: tuple[Place, ...] = field(default=(), compare=False)
    """Where each of the rules is named."""

    def in_force(self, at: int) -> bool:
        """Return whether the exception is in force at an instant."""
        return self.start <= at < self.end


@dataclass(frozen=True, slots=True)
class Rule:
    """One effect, and when it applies."""

    policy: str
    id: str
    effect: Effect
    operations: Operations
    """What a grant opens, what a limit leaves open at most, what a requirement guards."""
    when: Condition
    when_text: str
    """The condition as written."""
    proof: Proof | None = None
    max_age_s: int | None = None
    reason: Reason | None = None
    basis: str | None = None
    start: int | None = None
    """The first instant in force, microseconds since the epoch; None where it always was."""
    end: int | None = None
    """The first instant no longer in force; None where no end is set."""
    on_match: tuple[Obligation, ...] = ()
    on_refusal: tuple[Obligation, ...] = ()
    status: int | None = None
    message: str | None = None
    justification: str | None = None
    place: Place = field(default=Place("", 1, 1), compare=False)
    absolute: bool = False
    """True where no exception may lift it."""
    exceptions: tuple[PolicyException, ...] = ()
    """What lifts it, in the order of their names. It says nothing where the rule is absolute."""

    @property
    def ref(self) -> RuleRef:
        """The rule's name within the bundle."""
        return RuleRef(self.policy, self.id)

    def in_force(self, at: int) -> bool:
        """Return whether the rule is in force at an instant."""
        return (self.start is None or self.start <= at) and (self.end is None or at < self.end)


class Duty(NamedTuple):
    """An obligation as a test expects it, whichever rule it comes from."""

    kind: str
    value: str
    evidence: tuple[str, ...] = ()
    expires_s: int | None = None
    after: After | None = None
    expeditable: bool = True

    @classmethod
    def of(cls, one: Obligation) -> "Duty":
        """Return what a test says of an obligation."""
        return cls(one.kind, one.value, one.evidence, one.expires_s, one.after, one.expeditable)


class Expected(NamedTuple):
    """What a test says of the verdict. None where it says nothing."""

    outcome: Outcome
    by: frozenset[str] | None
    """Exactly these rules determine."""
    reason: Reason | None
    access: Access | None
    obligations: frozenset[Duty] | None


class PolicyTest(NamedTuple):
    """A test that a policy carries."""

    policy: str
    name: str
    facts: Mapping[str, AnyFact]
    """The facts that the test names."""
    operation: Operation
    at: int | None
    """None where the policy's last date will do."""
    expect: Expected
    place: Place


class Policy(NamedTuple):
    """A file of rules for one jurisdiction or purpose, with its tests."""

    name: str
    title: str
    owner: str
    description: str | None
    rules: tuple[Rule, ...]
    tests: tuple[PolicyTest, ...]
    place: Place


class Exceptions(NamedTuple):
    """A file of exceptions, all of one owner."""

    name: str
    owner: str
    entries: tuple[PolicyException, ...]
    place: Place


class NamedList(NamedTuple):
    """Codes that conditions may name together."""

    name: str
    kind: Kind
    title: str
    source: str
    date: str
    entries: frozenset[str | int]
    place: Place
    stale_after_s: int | None = None
    """Seconds after `date` from which somebody should compare it with its source again; None where it does not say."""

    @property
    def key(self) -> str:
        """How conditions write the name."""
        return self.name.replace("-", "_")
