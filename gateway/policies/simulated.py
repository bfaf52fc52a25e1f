"""What came of a simulation: which answers would be others, whose, by which rules, counted without a sample."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final
from uuid import UUID

from gateway.core.decision import Document, instant_text
from gateway.core.facts import Facts
from gateway.core.terms import Outcome
from gateway.policies.simulate import UNCERTAIN, Turn

MOST_ACCOUNTS: Final = 2_000_000
"""Accounts that are told apart, about 150 bytes each; beyond them their number is a lower bound, and said to be."""
SAMPLES: Final = 5
"""Decisions that are named of each direction and of each rule."""
NOTHING_GRANTED: Final = "(nothing granted)"
"""In the place of a rule, where none refuses and none opens."""
DIRECTIONS: Final = {
    str(Outcome.DENY): "refused",
    str(Outcome.CHALLENGE): "challenged",
    str(Outcome.ALLOW): "allowed",
}
"""What becomes of a decision whose outcome is another, by the new outcome."""
REASON: Final = "reason"
"""The same outcome, by other rules or for another reason."""
HEADS: Final = {
    "refused": "Newly refused",
    "challenged": "Newly challenged",
    "allowed": "Newly allowed",
    REASON: "The same outcome by other rules or for another reason",
}
BY: Final = ("rule", "country", "operation", "status")
_SHOWN: Final = 10


class Tally:
    """How many decisions, whose, and what they were to move."""

    __slots__ = ("_accounts", "decisions", "priced", "samples", "usd_cents", "withdrawals")

    def __init__(self) -> None:
        self.decisions = 0
        self.withdrawals = 0
        self.priced = 0
        """Withdrawals whose amount is known."""
        self.usd_cents = 0
        self.samples: list[bytes] = []
        self._accounts = bytearray()

    def add(self, decisions: int, account: int | None) -> None:
        """Count decisions of the account with this number."""
        self.decisions += decisions
        if account is None:
            return
        place = account >> 3
        if place >= len(self._accounts):
            self._accounts.extend(bytes(place + 1 - len(self._accounts) + len(self._accounts) // 4))
        self._accounts[place] |= 1 << (account & 7)

    @property
    def accounts(self) -> int:
        """How many accounts they are of."""
        return int.from_bytes(self._accounts, "big").bit_count()

    def to_json(self) -> Document:
        """Return the same as a JSON object."""
        return {
            "decisions": self.decisions,
            "accounts": self.accounts,
            "withdrawals": self.withdrawals,
            "withdrawals_of_known_amount": self.priced,
            "usd": self.usd_cents / 100,
            "samples": [str(UUID(bytes=one)) for one in self.samples],
        }


class Simulation:
    """The counts of one simulation. `add` what changed; `decisions` and the like are counted by whoever weighs."""

    def __init__(
        self, since: int, until: int, candidate: str, against: str | None = None, most_accounts: int = MOST_ACCOUNTS
    ) -> None:
        """`against` is the digest of the bundle that is compared with; None where that is what was answered then.

        Of more than `most_accounts` nobody is told apart any more.
        """
        self._most_accounts = most_accounts
        self.since, self.until, self.candidate, self.against = since, until, candidate, against
        self.decisions = 0
        """How many were weighed."""
        self.left_out: dict[str, int] = {}
        """How many could not be weighed, by why."""
        self.varieties = 0
        """How many distinct facts were weighed."""
        self.directions: dict[str, Tally] = {name: Tally() for name in (*DIRECTIONS.values(), REASON)}
        self.tables: dict[str, dict[str, dict[str, Tally]]] = {name: {} for name in BY}
        self.moved: dict[tuple[str, str], int] = {}
        """Decisions whose country is another by the edition that was tried, by both countries."""
        self._numbers: dict[str, int] = {}
        self.accounts_bounded = False
        """Whether there were more accounts than are told apart."""

    @property
    def flipped(self) -> int:
        """How many decisions would have another outcome."""
        return sum(self.directions[name].decisions for name in DIRECTIONS.values())

    @property
    def share(self) -> float:
        """The part of the decisions whose outcome would be another, from 0 to 1."""
        return self.flipped / self.decisions if self.decisions else 0.0

    def tallies(self, turn: Turn, facts: Facts) -> tuple[Tally, ...]:
        """Return all that a decision is counted in whose answer took this turn."""
        direction = DIRECTIONS[turn.after.outcome] if turn.flipped else REASON
        values = (
            turn.rules or (NOTHING_GRANTED,),
            (facts.country if isinstance(facts.country, str) else UNCERTAIN,),
            (str(facts.operation),),
            (facts.status if isinstance(facts.status, str) else UNCERTAIN,),
        )
        named = [(name, one) for name, ones in zip(BY, values, strict=True) for one in ones]
        tables = [self.tables[name].setdefault(one, {}).setdefault(direction, Tally()) for name, one in named]
        return (self.directions[direction], *tables)

    def number(self, account: str | None) -> int | None:
        """Return the number by which an account is counted; None where there is none, or no room for more."""
        if account is None:
            return None
        known = self._numbers.get(account)
        if known is None:
            if len(self._numbers) >= self._most_accounts:
                self.accounts_bounded = True
                return None
            known = self._numbers[account] = len(self._numbers)
        return known

    def leave_out(self, why: str, decisions: int) -> None:
        """Count decisions that could not be weighed."""
        self.left_out[why] = self.left_out.get(why, 0) + decisions

    def to_json(self) -> Document:
        """Return the same as a JSON object."""
        return {
            "since": instant_text(self.since),
            "until": instant_text(self.until),
            "candidate": self.candidate,
            "against": self.against or "recorded",
            "decisions": self.decisions,
            "distinct": self.varieties,
            "left_out": self.left_out,
            "flipped": self.flipped,
            "share": self.share,
            "accounts_are_lower_bounds": self.accounts_bounded,
            **{name: tally.to_json() for name, tally in self.directions.items()},
            **{
                f"by_{name}": {
                    value: {direction: tally.to_json() for direction, tally in sorted(tallies.items())}
                    for value, tallies in sorted(table.items())
                }
                for name, table in self.tables.items()
            },
            **(
                {"moved": [{"from": one, "to": other, "decisions": n} for (one, other), n in self._moves()]}
                if self.moved
                else {}
            ),
        }

    def text(self) -> str:
        """Return the same for people, in some lines."""
        against = "what was answered" if self.against is None else f"bundle {self.against[:12]}"
        when = f"from {instant_text(self.since)} to {instant_text(self.until)}"
        lines = [
            f"{_number(self.decisions, 'decision')} {when}, {self.varieties:,} distinct,",
            f"under {self.candidate[:12]} against {against}:",
            f"{self.flipped:,} would have another outcome ({self.share:.3%})",
        ]
        lines += [f"{number:,} could not be weighed: {why}" for why, number in sorted(self.left_out.items())]
        lines += self.lines(HEADS)
        if self.moved:
            lines += ["", f"{sum(self.moved.values()):,} decisions from addresses that another country is said of:"]
            lines += [f"  {one} → {other}: {number:,}" for (one, other), number in self._moves()[:_SHOWN]]
        if self.accounts_bounded:
            lines += ["", f"more than {self._most_accounts:,} accounts: their numbers are lower bounds"]
        return "\n".join(lines)

    def lines(self, heads: Mapping[str, str]) -> Iterator[str]:
        """Yield what became of some directions, each under its head."""
        for direction, head in heads.items():
            tally = self.directions[direction]
            if tally.decisions:
                yield from ("", f"{head}: {_said(tally)}", *self._parts(direction))
                yield f"  such as {', '.join(str(UUID(bytes=one)) for one in tally.samples)}"

    def rows(self, name: str, direction: str) -> Sequence[tuple[str, Tally]]:
        """Return what a table has of one direction, the most decisions first."""
        found = [(value, some[direction]) for value, some in self.tables[name].items() if direction in some]
        return sorted(found, key=lambda row: (-row[1].decisions, row[0]))

    def _parts(self, direction: str) -> Iterable[str]:
        for name in BY:
            rows = self.rows(name, direction)
            for value, tally in rows[:_SHOWN]:
                yield f"  {name} {value}: {_said(tally)}"
            if len(rows) > _SHOWN:
                yield f"  and {len(rows) - _SHOWN:,} more of that; --json has all"

    def _moves(self) -> list[tuple[tuple[str, str], int]]:
        return sorted(self.moved.items(), key=lambda one: (-one[1], one[0]))


def _said(tally: Tally) -> str:
    text = f"{_number(tally.decisions, 'decision')} of {_number(tally.accounts, 'account')}"
    if not tally.withdrawals:
        return text
    known = f", {tally.usd_cents / 100:,.2f} USD in {tally.priced:,} of them" if tally.priced else ""
    return f"{text}, {_number(tally.withdrawals, 'withdrawal')}{known}"


def _number(number: int, what: str) -> str:
    return f"{number:,} {what}{'' if number == 1 else 's'}"
