"""What follows when that which proves or protects is changed: which operations are held, how long, who may shorten it.

The table is that of the research page, section 4.3. Its columns are how the change was proved: with an old factor on a
known device, or by a recovery path or from an unseen device. Who cannot tell which counts as the second.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum, unique
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.core.events import Change, Method, ProvedWith
from gateway.core.terms import Operation, Operations

_HOUR: Final = 3600 * 1_000_000
_DAY: Final = 24 * _HOUR
WINDOW: Final = 7 * _DAY
"""Within which two different changes count together."""

HELD: Final[Operations] = frozenset({Operation.WITHDRAW, Operation.TRANSFER})
"""What is held: whatever moves value out, to an address, another customer or another account of the same one."""


@unique
class Kind(StrEnum):
    """A row of the table."""

    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a code, not a secret
    PASSWORD_RESET = "password_reset"  # noqa: S105 - a code, not a secret
    FACTOR_ADDED = "factor_added"
    FACTOR_CHANGED = "factor_changed"
    """Removed, replaced, or reset because it was lost."""
    CONTACT_CHANGED = "contact_changed"
    PROTECTION_LOWERED = "protection_lowered"
    """The list of addresses, the limit, or a new API key that may withdraw."""
    COMBINED = "combined"
    """Two different ones within a week; or one, and then most of the balance to a new address."""


@unique
class Proof(StrEnum):
    """A column of the table."""

    OLD_FACTOR = "old_factor"
    """With a factor that was there before, on a known device."""
    RECOVERY = "recovery"
    """By a recovery path, from an unseen device, or nobody knows how."""


class Consequence(NamedTuple):
    """One cell of the table."""

    length: int
    """How long the operations are held, microseconds; 0 where they are not."""
    probation: int = 0
    """How long the factor that is new may approve nothing."""
    people: bool = False
    """Whether two people must end the hold; it then does not end by itself, and not before its length."""
    expeditable: bool = True
    """Whether two people may end it before."""
    revokes: bool = False
    """Whether the sessions of the account end."""


def _held(hours: int, probation: int = 0) -> Consequence:
    return Consequence(hours * _HOUR, probation * _HOUR)


def _locked(hours: int, probation: int = 0, *, people: bool = False, revokes: bool = False) -> Consequence:
    return Consequence(hours * _HOUR, probation * _HOUR, people, expeditable=False, revokes=revokes)


TABLE: Final[Mapping[Kind, Mapping[Proof, Consequence]]] = MappingProxyType(
    {
        kind: MappingProxyType({Proof.OLD_FACTOR: old_factor, Proof.RECOVERY: recovery})
        for kind, old_factor, recovery in (
            (Kind.PASSWORD_CHANGED, _held(0), _locked(24)),
            (Kind.PASSWORD_RESET, _held(24), _locked(48)),
            (Kind.FACTOR_ADDED, _held(0, probation=24), _locked(72, probation=72)),
            (Kind.FACTOR_CHANGED, _held(24, probation=24), _locked(72, probation=72, people=True)),
            (Kind.CONTACT_CHANGED, _held(24, probation=24), _locked(72, probation=72, people=True)),
            (Kind.PROTECTION_LOWERED, _held(48), _locked(72)),
            (Kind.COMBINED, _held(72), _locked(72, people=True, revokes=True)),
        )
    }
)
"""What follows from which change. A hold of the second column is shortened by no role and no command."""

_LOWERED: Final = MappingProxyType(dict.fromkeys(Change, Kind.PROTECTION_LOWERED))
_FACTOR: Final = MappingProxyType(dict.fromkeys(Change, Kind.FACTOR_CHANGED) | {Change.ADDED: Kind.FACTOR_ADDED})
_CONTACT: Final = MappingProxyType(dict.fromkeys(Change, Kind.CONTACT_CHANGED))
_PASSWORD: Final = MappingProxyType(
    {
        Change.ADDED: Kind.FACTOR_ADDED,
        Change.REMOVED: Kind.FACTOR_CHANGED,
        Change.REPLACED: Kind.PASSWORD_CHANGED,
        Change.RESET: Kind.PASSWORD_RESET,
    }
)

ROWS: Final[Mapping[Method, Mapping[Change, Kind | None]]] = MappingProxyType(
    {
        Method.PASSWORD: _PASSWORD,
        Method.TOTP: _FACTOR,
        Method.SMS: _FACTOR,
        Method.PASSKEY: _FACTOR,
        Method.WITHDRAWAL_PASSWORD: _FACTOR,
        Method.EMAIL: _CONTACT,
        Method.PHONE: _CONTACT,
        # An address more on the list is a way out more, so adding counts like switching the list off.
        Method.ADDRESS_ALLOWLIST: _LOWERED,
        # A limit where there was none, and an API key less, protect.
        Method.WITHDRAWAL_LIMIT: MappingProxyType({**_LOWERED, Change.ADDED: None}),
        Method.API_KEY: MappingProxyType({**_LOWERED, Change.REMOVED: None}),
    }
)
"""Which row each change belongs to; None for what takes nothing away from the customer's protection."""

_FACTORS: Final = frozenset(
    {
        ProvedWith.PASSWORD,
        ProvedWith.TOTP,
        ProvedWith.SMS,
        ProvedWith.PASSKEY,
        ProvedWith.EMAIL,
        ProvedWith.PHONE,
        ProvedWith.WITHDRAWAL_PASSWORD,
    }
)
_STRONGER: Final = _FACTORS - {ProvedWith.PASSWORD, ProvedWith.EMAIL}
"""What counts for the rest: the password and the mailbox are what an intruder has first."""
_BY_ANY_FACTOR: Final = frozenset({Kind.PASSWORD_CHANGED, Kind.PASSWORD_RESET, Kind.FACTOR_ADDED})
"""Changes that any old factor proves."""


class Made(NamedTuple):
    """One change as the account's profile keeps it."""

    at: int
    method: Method
    change: Change
    proved_with: ProvedWith | None = None
    familiar: bool | None = None
    """Whether device and network were known by then; None where nobody can tell."""

    @property
    def kind(self) -> Kind | None:
        """The row of the table."""
        return ROWS[self.method][self.change]


class HoldSpec(NamedTuple):
    """The hold that changes call for."""

    kind: Kind
    proof: Proof
    operations: Operations
    since: int
    """When its clock last started: evidence from before does not count."""
    until: int | None
    """When it ends by itself; None where people must end it."""
    earliest: int | None
    """The instant before which nobody may end it; None where people may at any time."""
    revokes: bool

    @property
    def expeditable(self) -> bool:
        """Whether people may end it before its time."""
        return self.earliest is None


class Standing(NamedTuple):
    """Where an account stands after its changes."""

    hold: HoldSpec | None
    """The hold they call for, whether or not its time is over."""
    probation: Mapping[Method, int]
    """Until when each factor that is new may approve nothing."""


class _Examined(NamedTuple):
    made: Made
    kind: Kind
    proof: Proof


class _Running(NamedTuple):
    since: int
    kind: Kind
    proof: Proof
    cell: Consequence


def standing(changes: Iterable[Made]) -> Standing:
    """Return what these changes call for, in whichever order they arrived.

    Every further change starts the clock anew, and the longest of what is running wins.
    """
    running: _Running | None = None
    seen, probation = _examined(changes)
    for number, one in enumerate(seen):
        kind, proof, cell = _counted(one, seen[:number])
        running = _restarted(running, one.made.at, kind, proof, cell)
    return Standing(None if running is None else _spec(running), probation)


def holds_for(changes: Iterable[Made], change: Made, at: int) -> HoldSpec | None:
    """Return the hold that stands at `at` after one change more; None where none does."""
    hold = standing((*changes, change)).hold
    return None if hold is None or (hold.until is not None and hold.until <= at) else hold


def hold_for_withdrawal(
    changes: Iterable[Made], at: int, *, new_destination: bool | None, balance_share: float | None
) -> HoldSpec | None:
    """Return the hold of a withdrawal that takes most of the balance to a new address within a week of a change.

    What is not known (None) counts as new, and as most of it.
    """
    proofs = [one.proof for one in _examined(changes)[0] if 0 <= at - one.made.at < WINDOW]
    if not proofs or new_destination is False or (balance_share is not None and balance_share < 0.5):
        return None
    proof = Proof.RECOVERY if Proof.RECOVERY in proofs else Proof.OLD_FACTOR
    return _spec(_Running(at, Kind.COMBINED, proof, TABLE[Kind.COMBINED][proof]))


def on_probation(changes: Iterable[Made], method: Method, at: int) -> int | None:
    """Return until when a factor may approve nothing and lift no hold; None where it may."""
    until = standing(one for one in changes if one.at <= at).probation.get(method, 0)
    return until if at < until else None


_APPROVES_BY: Final = MappingProxyType(
    {Method.PHONE: (Method.PHONE, Method.SMS), Method.SMS: (Method.SMS, Method.PHONE)}
)
"""What else a change puts on probation: a text message goes wherever the telephone number does."""


def _examined(changes: Iterable[Made]) -> tuple[list[_Examined], Mapping[Method, int]]:
    """Return the changes that count, oldest first, and until when each new factor is on probation."""
    seen: list[_Examined] = []
    probation: dict[Method, int] = {}
    for made in sorted(set(changes), key=_order):
        kind = made.kind
        if kind is None:
            continue
        one = _Examined(made, kind, _proof(made, kind, probation))
        seen.append(one)
        length = TABLE[kind][one.proof].probation
        for method in _APPROVES_BY.get(made.method, (made.method,)) if length else ():
            probation[method] = max(probation.get(method, 0), made.at + length)
    return seen, MappingProxyType(probation)


def _order(made: Made) -> tuple[object, ...]:
    return made.at, made.method, made.change, str(made.proved_with), str(made.familiar)


def _proof(made: Made, kind: Kind, probation: Mapping[Method, int]) -> Proof:
    """Return the column: the second unless everything speaks for the first."""
    by = made.proved_with
    enough = _FACTORS if kind in _BY_ANY_FACTOR else _STRONGER
    if not made.familiar or by is None or by not in enough:
        return Proof.RECOVERY
    if str(by) == str(made.method) and made.change in {Change.ADDED, Change.RESET}:
        return Proof.RECOVERY  # what was just enrolled, or was lost, is no old factor
    return Proof.RECOVERY if made.at < probation.get(Method(by), 0) else Proof.OLD_FACTOR


def _counted(one: _Examined, earlier: Iterable[_Examined]) -> tuple[Kind, Proof, Consequence]:
    """Return the row, column and cell of a change; together with a different one of the week before, the last row."""
    recent = [
        other.proof
        for other in earlier
        if one.made.at - other.made.at < WINDOW and other.made.method != one.made.method
    ]
    own = TABLE[one.kind][one.proof]
    if not recent:
        return one.kind, one.proof, own
    proof = Proof.RECOVERY if Proof.RECOVERY in (*recent, one.proof) else one.proof
    return Kind.COMBINED, proof, _longest(own, TABLE[Kind.COMBINED][proof])


def _restarted(running: _Running | None, at: int, kind: Kind, proof: Proof, cell: Consequence) -> _Running | None:
    if running is not None and at < running.since + running.cell.length:
        kind = kind if cell.length >= running.cell.length else running.kind
        proof = Proof.RECOVERY if Proof.RECOVERY in {proof, running.proof} else proof
        return _Running(at, kind, proof, _longest(cell, running.cell))
    return _Running(at, kind, proof, cell) if cell.length else running


def _longest(one: Consequence, other: Consequence) -> Consequence:
    return Consequence(
        max(one.length, other.length),
        max(one.probation, other.probation),
        one.people or other.people,
        one.expeditable and other.expeditable,
        one.revokes or other.revokes,
    )


def _spec(running: _Running) -> HoldSpec:
    since, kind, proof, cell = running
    end = since + cell.length
    return HoldSpec(
        kind, proof, HELD, since, None if cell.people else end, None if cell.expeditable else end, cell.revokes
    )
