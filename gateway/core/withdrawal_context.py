"""What a withdrawal itself says for or against its account's owner, beside where it comes from.

Each question has a few classes. How often each class is an attacker's is fixed beforehand; how often it is a
customer's is counted. The evidence is the logarithm of the one by the other, so that the five answers add up.
"""

from collections.abc import Iterable, Sequence
from math import log
from typing import Final, NamedTuple

from gateway.core.forgetting import DAY, SECOND
from gateway.core.login import ASN, PREFIX, Login
from gateway.core.profile import DORMANT, Profile
from gateway.core.profile_state import Change

HOURS_24: Final = DAY // SECOND
_WEEK_S: Final = 7 * HOURS_24
PASSWORDS: Final = frozenset({"password", "withdrawal_password"})
"""Every other method is a factor, an unheard-of one too."""

Shares = tuple[float, ...]


class Withdrawal(NamedTuple):
    """What is known of a withdrawal; None is Unknown."""

    destination: int | None = None
    """Digest of the address that it goes to."""
    balance_share: float | None = None
    """How much of the balance it takes, 0 to 1."""


class Question(NamedTuple):
    """One thing that is asked of each withdrawal."""

    name: str
    classes: tuple[str, ...]
    attack: Shares
    legitimate: Shares
    """As measured on pretend histories; each exchange's own are counted instead where there are enough."""
    unknown_is_worst: bool = True
    """Whether no answer counts as the most suspicious one; else as none."""


QUESTIONS: Final = (
    Question("destination", ("new", "recent", "old"), (0.97, 0.02, 0.01), (0.213, 0.034, 0.753)),
    Question("balance share", ("below half", "most", "nearly all"), (0.12, 0.13, 0.75), (0.707, 0.138, 0.155)),
    Question(
        "password change", ("none", "3-7 d", "1-3 d", "24 h"), (0.80, 0.05, 0.05, 0.10), (0.967, 0.005, 0.002, 0.026)
    ),
    Question(
        "factor change", ("none", "3-7 d", "1-3 d", "24 h"), (0.78, 0.04, 0.06, 0.12), (0.984, 0.002, 0.002, 0.012)
    ),
    Question("dormancy", ("no", "return"), (0.85, 0.15), (0.956, 0.044)),
    Question(
        "session",
        ("stayed", "familiar network", "familiar operator", "elsewhere"),
        (0.70, 0.03, 0.09, 0.18),
        (0.940, 0.035, 0.015, 0.010),
        unknown_is_worst=False,
    ),
)
UNKNOWN: Final = -1
_SESSION: Final = 5
_MOVED: Final = 2

Classes = tuple[int, ...]
"""The class of each of `QUESTIONS`, or UNKNOWN."""
Evidence = tuple[Shares, ...]
"""For each question the evidence of each class, and last that of no answer."""


def classes_of(profile: Profile, login: Login, withdrawal: Withdrawal) -> Classes:
    """Return the answers to the questions, from a profile that is settled to the login's instant."""
    at_s = login.at // SECOND
    share = withdrawal.balance_share
    return (
        _destination(profile, withdrawal.destination, at_s),
        UNKNOWN if share is None else 2 if share >= 0.95 else 1 if share >= 0.5 else 0,
        _age_class(at_s, (change for name, change in profile.changes.items() if name in PASSWORDS)),
        _age_class(at_s, (change for name, change in profile.changes.items() if name not in PASSWORDS)),
        _dormancy(profile, login),
        _session(profile, login),
    )


def is_moved(classes: Classes) -> bool:
    """Return whether the withdrawal comes from a network that neither its session began in nor the account knows."""
    return bool(classes) and classes[_SESSION] >= _MOVED


def evidence(legitimate: Sequence[Sequence[float]] | None = None) -> Evidence:
    """Return the evidence of every class, from how often customers are in it."""
    told = legitimate or [one.legitimate for one in QUESTIONS]
    found = []
    for question, shares in zip(QUESTIONS, told, strict=True):
        values = [log(attack / share) for attack, share in zip(question.attack, shares, strict=True)]
        found.append((*values, max(values) if question.unknown_is_worst else 0.0))
    return tuple(found)


def shares_of(counted: Iterable[Classes]) -> list[Shares]:
    """Return how often customers are in each class, drawn towards the shipped shares where few were counted."""
    counts = [[_PRIOR * share for share in question.legitimate] for question in QUESTIONS]
    for classes in counted:
        for place, one in enumerate(classes):
            if one != UNKNOWN:
                counts[place][one] += 1
    return [tuple(max(_LEAST_SHARE, number / sum(row)) for number in row) for row in counts]


_PRIOR: Final = 200
"""Withdrawals that the shipped shares are worth."""
_LEAST_SHARE: Final = 0.001


def _destination(profile: Profile, digest: int | None, at_s: int) -> int:
    if digest is None:
        return UNKNOWN
    use = profile.destinations.get(digest)
    if use is None or use.first_s >= at_s:
        return 0
    return 1 if at_s - use.first_s < _WEEK_S else 2


def _age_class(at_s: int, changes: Iterable[Change]) -> int:
    latest = max((change.at_s for change in changes if change.at_s <= at_s), default=None)
    if latest is None or at_s - latest >= _WEEK_S:
        return 0
    age = at_s - latest
    return 3 if age < HOURS_24 else 2 if age < 3 * HOURS_24 else 1


def _dormancy(profile: Profile, login: Login) -> int:
    came_back = profile.active > 0 and login.at - profile.active > DORMANT
    return int(came_back or (profile.returned_s > 0 and login.at // SECOND - profile.returned_s < _WEEK_S))


def _session(profile: Profile, login: Login) -> int:
    if login.session is None:
        return UNKNOWN
    begun = next((one for one in reversed(profile.latest) if one.session == login.session), None)
    if begun is None:
        return UNKNOWN
    prefix, asn = login.values[PREFIX], login.values[ASN]
    if prefix is not None and prefix == begun.prefix:
        return 0
    if profile.weight(PREFIX, prefix, login.at):
        return 1
    return 2 if asn is not None and (asn == begun.asn or profile.weight(ASN, asn, login.at)) else 3
