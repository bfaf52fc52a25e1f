"""How much more a login or withdrawal looks like an attacker's than like the account's owner, as a sum of terms.

Each term is a logarithm of how likely somebody else would show this, by how likely the owner would (Freeman et al.
2016, with exact back-off). For each level of detail the ratio is the share among the account's logins by the share
among all logins; a mixture of the levels explains the owner (`customer`), another one an attacker who can match the
owner up to a level (`attacker`). Nothing is trusted for being unknown: what is missing counts as never seen.
"""

from bisect import bisect_right
from collections.abc import Sequence
from math import log
from typing import Final, NamedTuple

from gateway.core.everyone import ENOUGH, Global
from gateway.core.forgetting import DAY, EXPIRY_DAYS, SECOND
from gateway.core.login import ASN, DEV, DEVICE, NET, PREFIX, TIME, Login
from gateway.core.profile import Profile
from gateway.core.risk_tables import (
    ALWAYS_ANONYMOUS,
    ANONYMITY,
    AT_HOME,
    GROUPS,
    LEAST,
    MOST,
    NEARBY,
    PAYS_A_STRANGER,
    SIZES,
    UNFAMILIAR_DEVICE,
    Row,
)
from gateway.core.withdrawal_context import (
    QUESTIONS,
    UNKNOWN,
    Classes,
    Evidence,
    Withdrawal,
    classes_of,
    evidence,
    is_moved,
)

FEW: Final = SIZES[0]
"""Trusted logins before an account's history is more than a beginning."""

_DAY_S: Final = DAY // SECOND
_GROUP_LEVELS: Final = (NET, DEV, TIME)


class Term(NamedTuple):
    """One thing that speaks for or against, with what it was computed from. `risk_words` puts it into words."""

    name: str
    value: float
    """Positive where it speaks against the owner."""
    levels: tuple[int, ...] = ()
    shares: tuple[float | None, ...] = ()
    """For each level, the share of the account's logins with this value; None where the value is missing."""
    told: str = ""
    """The class of a withdrawal, or the kind of network."""


class Score(NamedTuple):
    """The sum, and what it is the sum of."""

    total: float
    terms: tuple[Term, ...]
    learning: tuple[str, ...] = ()
    """Why the score says little yet; empty where it does not."""
    classes: Classes = ()
    """The answers about the withdrawal, to be counted; empty for a login."""
    new_here: bool = False
    """Whether simple rule N would hold it: a destination that is not known, by a device or operator that is not."""
    too_early: bool = False
    """Whether there is nothing to score by, so that rule N decides as well."""


class Params(NamedTuple):
    """The fitted half of the tables."""

    customer: tuple[tuple[Row, ...], ...]
    """For each group and history size, how a customer's login is explained."""
    evidence: Evidence

    @classmethod
    def of(
        cls,
        customer: tuple[tuple[Row, ...], ...] | None = None,
        legitimate: Sequence[Sequence[float]] | None = None,
    ) -> "Params":
        """Return the shipped numbers, or fitted ones in their place."""
        return cls(customer or tuple(group.customer for group in GROUPS), evidence(legitimate))


def bucket_of(logins: float) -> int:
    """Return the place of a history size in the tables."""
    return bisect_right(SIZES, logins)


def ratios(
    profile: Profile, everyone: Global, login: Login, levels: tuple[int, ...]
) -> tuple[list[float], list[float | None]]:
    """Return for each level how much more usual the value is for the account than for all, and its share."""
    horizon = login.at // DAY - EXPIRY_DAYS
    total = profile.total
    # What the account did is part of what all did, even where the count of all was lost.
    factor = max(everyone.total, total) / total if total else 0.0
    found: list[float] = [1.0]
    shares: list[float | None] = []
    for level in levels:
        value = login.values[level]
        entry = profile.known[level].get(value)
        if entry is None or value is None or entry[1] < horizon:
            found.append(0.0)
            shares.append(None if value is None else 0.0)
            continue
        weight = entry[0]
        found.append(factor * weight / max(everyone.weight(level, value), weight))
        shares.append(weight / total)
    return found, shares


def score(
    profile: Profile, everyone: Global, login: Login, withdrawal: Withdrawal | None = None, params: Params | None = None
) -> Score:
    """Return the score of a login, or of a withdrawal made as one; the profile is settled to the instant before."""
    params = params or SHIPPED
    logins = profile.logins(login.at)
    bucket = bucket_of(logins)
    classes = () if withdrawal is None else classes_of(profile, login, withdrawal)
    stranger = bool(classes) and classes[0] <= 0
    terms: list[Term] = []
    at_address = 0.0
    for number, (group, levels) in enumerate(zip(GROUPS, _GROUP_LEVELS, strict=True)):
        found, shares = ratios(profile, everyone, login, levels)
        attacker = customer = 0.0
        for ratio, a, c in zip(found, group.attacker, params.customer[number][bucket], strict=True):
            attacker += a * ratio
            customer += c * ratio
        value = group.weight * max(LEAST, min(MOST, log(attacker / customer)))
        terms.append(Term(group.name, value, levels, tuple(shares)))
        if not number:
            at_address = found[-1]
    operator, device = bool(terms[0].shares[ASN]), bool(terms[1].shares[-1])
    if stranger and not device and not at_address and terms[0].value < NEARBY:
        terms[0] = terms[0]._replace(value=NEARBY)
    if is_moved(classes) and terms[1].value < 0:
        # Who copies a session copies the device's cookie with it, so that the device cannot speak for the owner.
        terms[1] = terms[1]._replace(value=0.0)
    new_device = Term("new device", 0.0) if device else _device(profile, login, at_address, stranger=stranger)
    terms += (new_device, _anonymity(login.networks, familiar=operator))
    few, early = logins < FEW, everyone.seen < ENOUGH
    learning = _learning(logins, everyone) if few or early else ()
    if withdrawal is None:
        return Score(sum([term.value for term in terms]), tuple(terms), learning)
    for question, one, values in zip(QUESTIONS, classes, params.evidence, strict=True):
        terms.append(Term(question.name, values[one], told="unknown" if one == UNKNOWN else question.classes[one]))
    total = sum([term.value for term in terms])
    return Score(total, tuple(terms), learning, classes, stranger and not (operator and device), early or not logins)


def holds(score: Score, threshold: float) -> bool:
    """Return whether a withdrawal is held: by its score, or by rule N where there is nothing yet to score by.

    So an account whose history was lost is not one that has nothing against it.
    """
    return score.total > threshold or (score.new_here and score.too_early)


def _device(profile: Profile, login: Login, at_address: float, *, stranger: bool) -> Term:
    """Return what a device says that is not trusted; `at_address` is the ratio of the account's address."""
    key = login.values[DEVICE]
    since = [one for one in profile.waiting if one.values[DEVICE] == key] if key is not None else []
    told = "today"
    if since and login.at // SECOND - since[0].at_s >= _DAY_S:
        at_home = any(profile.weight(PREFIX, one.values[PREFIX], login.at) for one in since)
        told = "waiting" if at_home else "never at home"
    attacker, customer = AT_HOME
    home = log((1 - attacker + attacker * at_address) / (1 - customer + customer * at_address))
    return Term("new device", UNFAMILIAR_DEVICE[told] + home + PAYS_A_STRANGER * stranger, told=told)


def _anonymity(networks: frozenset[str] | None, *, familiar: bool) -> Term:
    worst, kind = 0.0, ""
    for one in networks or ():
        value = ANONYMITY.get(one, 0.0)
        if value > worst and (not familiar or one in ALWAYS_ANONYMOUS):
            worst, kind = value, one
    return Term("anonymity", worst, told=kind)


def _learning(logins: float, everyone: Global) -> tuple[str, ...]:
    found = []
    if logins < FEW:
        found.append(f"the account has {logins:.1f} trusted logins, an older one counting less; it takes {FEW:g}")
    if everyone.seen < ENOUGH:
        found.append(f"all accounts together have {everyone.seen} logins; it takes {ENOUGH}")
    return tuple(found)


SHIPPED: Final = Params.of()
