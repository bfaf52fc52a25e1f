"""Verdict: the answer to one set of Facts, and everything that determined it."""

from typing import NamedTuple

from gateway.core.evidence import After
from gateway.core.terms import Access, Effect, Operation, Operations, Outcome, Proof, Reason, level_of


class RuleRef(NamedTuple):
    """A rule, by the policy that holds it and its id."""

    policy: str
    rule: str


class Obligation(NamedTuple):
    """What must happen besides the answer. `kind` is flag, status, hold, ticket or notify."""

    kind: str
    value: str
    """The flag, status, ticket category or event; for a hold, the comma-separated operations it closes."""
    policy: str
    rule: str
    evidence: tuple[str, ...] = ()
    expires_s: int | None = None
    """Seconds after which a hold ends by itself; None where people must lift it."""
    after: After | None = None
    """How much evidence a flag or status takes; None where the first match is enough."""
    expeditable: bool = True
    """False where nobody may lift the hold before it ends by itself."""


class Determining(NamedTuple):
    """A limit or requirement that excludes the operation."""

    policy: str
    rule: str
    effect: Effect
    reason: Reason
    basis: str
    uncertain: bool = False
    """True where the rule matched because a fact it names is not known for certain."""
    status: int | None = None
    """451 where the rule says so."""
    message: str | None = None
    """What the visitor may read, in the rule's own words."""


class Excepted(NamedTuple):
    """A limit or requirement that would exclude the operation, were it not for an exception."""

    policy: str
    rule: str
    exception: str
    """The name of the exception: its file's and its own, `NAME/id`."""
    owner: str
    """Who answers for the exception."""
    until: int
    """The first instant at which it is no longer in force, microseconds since the epoch."""


class Challenge(NamedTuple):
    """Proof asked of the subject before the operation is open."""

    proof: Proof
    max_age_s: int | None


class Verdict(NamedTuple):
    """The answer. `by` is empty for an allowed request."""

    operation: Operation
    outcome: Outcome
    access: Operations
    """The operations left open: the union of matching grants inside every matching limit."""
    by: tuple[Determining, ...]
    """What excludes the operation, in the order of `Reason`, then policy and rule."""
    nothing_granted: bool
    """True where no matching grant covers the operation."""
    reason: Reason | None
    """The first of the reasons; None for an allowed request."""
    challenge: Challenge | None
    """The strongest proof and shortest age asked, where the outcome is `challenge`."""
    uncertain: tuple[RuleRef, ...]
    """Rules whose condition could be neither confirmed nor excluded."""
    obligations: tuple[Obligation, ...]
    outage: bool
    """True where the refusal comes only from facts that an outage made Unknown."""
    excepted: tuple[Excepted, ...] = ()
    """What would exclude the operation besides, and does not, by an exception: in order of policy, rule, exception."""

    @property
    def level(self) -> Access:
        """The named level that the customer may be told of."""
        return level_of(self.access)
