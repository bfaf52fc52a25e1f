"""How unusual a request is for its account: the facts `signals` and `risk`, with what they were measured from."""

from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import structlog

from gateway.core.anomaly import SHIPPED, Params, Score, holds, score
from gateway.core.client_ip import ClientIP
from gateway.core.decision import Document
from gateway.core.errors import StoreUnavailable
from gateway.core.facts import Fact, Uncertain, Unknown
from gateway.core.login import (
    DEVICE,
    PREFIX,
    Digests,
    Login,
    destination_about,
    device_about,
    login_of,
    network_about,
)
from gateway.core.obligations import about_of
from gateway.core.profile import Profile
from gateway.core.risk_words import words
from gateway.core.signals import Lines, Signal, risk_of, signals_of
from gateway.core.terms import Operation, WhyUnknown
from gateway.core.verdict import Obligation, RuleRef
from gateway.core.withdrawal_context import Withdrawal
from gateway.core.withdrawal_request import Asked
from gateway.policies.bundle import Bundle
from gateway.policies.expression import Comparison, Condition, Literal, Literals, comparisons, facts_of
from gateway.ports import Connection, Identity, Profiles
from gateway.service.devices import Seen
from gateway.service.hold_line import HoldLine

log: Any = structlog.get_logger("gateway")

_NOTHING: Final = Asked()
_WITHDRAWALS: Final = frozenset({Operation.WITHDRAW})
_NO_SIGNALS: Final[frozenset[str]] = frozenset()


class Came(NamedTuple):
    """What a request shows of where it comes from, besides its address."""

    agent: str | None = None
    device: Seen | None = None
    """The device that was recognised; None where none was."""


class Measured(NamedTuple):
    """The facts, and what a reviewer reads of them."""

    signals: Fact[frozenset[str]]
    risk: Fact[str]
    destination: Fact[str | None]
    detail: Document | None = None
    """Score, terms and signals as the decision records them; None where nothing was measured."""
    about: Mapping[str, str] = MappingProxyType({})
    """The network, device and destination, as tickets are about them."""
    unfamiliar: frozenset[str] = frozenset()
    """Which of those the account does not know."""


class Risk:
    """Measures requests against profiles. What it cannot learn is Unknown, and never a reason for trust."""

    def __init__(
        self,
        *,
        profiles: Profiles,
        digests: Digests,
        lines: Lines,
        params: Params = SHIPPED,
        hold_line: HoldLine | None = None,
        paying: frozenset[Operation] = _WITHDRAWALS,
    ) -> None:
        """Build for fixed lines, or for those that a budget draws. `paying` is what is measured as a withdrawal."""
        self._profiles = profiles
        self._digests = digests
        self._lines = lines
        self._hold_line = hold_line
        self._paying = paying
        self._params = params

    @property
    def generation(self) -> int:
        """A number that changes whenever any profile did."""
        return self._profiles.generation

    async def __call__(  # noqa: PLR0917 - the parts of one request
        self,
        at: int,
        operation: Operation,
        client_ip: ClientIP,
        connection: Connection,
        identity: Identity,
        came: Came,
        asked: Asked = _NOTHING,
    ) -> Measured:
        """Return what is unusual about a request. Never raises."""
        uid = identity.account
        # Other operations have no destination, and that is knowledge.
        destination = asked.destination if operation in self._paying else None
        if uid is None:
            # Nobody is signed in, which is knowledge too: nothing is unusual for nobody.
            return Measured(_NO_SIGNALS, "low", "new" if isinstance(destination, str) else destination)
        if not isinstance(uid, str):
            return _unknown(uid.why, destination)
        try:
            profile = await self._profiles.read(uid)
        except StoreUnavailable:
            return _unknown(WhyUnknown.STORE_UNAVAILABLE, destination)
        except Exception:
            # Whatever else a store can do: the request is decided and recorded, as one of which nothing is known.
            log.exception("profiles:failed")
            return _unknown(WhyUnknown.STORE_UNAVAILABLE, destination)
        device = None if came.device is None else came.device.key
        login = login_of(
            self._digests, at,
            ip=client_ip.geo_key or client_ip.address, agent=came.agent, device=device, session=identity.session,
            country=_known(connection.country), asn=_known(connection.asn), networks=_known(connection.network),
            place=connection.place,
        )  # fmt: skip
        withdrawal = self._withdrawal(asked) if operation in self._paying else None
        return self._measure(uid, profile or Profile(), login, withdrawal, destination)

    def _measure(
        self, uid: str, profile: Profile, login: Login, withdrawal: Withdrawal | None, destination: Fact[str | None]
    ) -> Measured:
        profile.settle(login.at)
        attempts = self._profiles.networks.attempts(_number(login, PREFIX), login.at)
        found = signals_of(profile, login, withdrawal, attempts)
        total = score(profile, self._profiles.everyone, login, withdrawal, self._params)
        to = None if withdrawal is None else withdrawal.destination
        lines = self._lines if self._hold_line is None else self._hold_line.lines
        if self._hold_line is not None and withdrawal is not None:
            self._hold_line.count(uid, to, total, login.at, held=holds(total, lines.high))
        about = {
            "network": network_about(login),
            "device": device_about(login),
            "destination": destination_about(to),
        }
        use = None if to is None else profile.destinations.get(to)
        known = use is not None and use.first_s < login.at // 1_000_000
        strange = {
            "network": not profile.weight(PREFIX, login.values[PREFIX], login.at),
            "device": not profile.weight(DEVICE, login.values[DEVICE], login.at),
            "destination": not known,
        }
        novelty: Fact[str | None] = "known" if known else "new"
        return Measured(
            frozenset(map(str, {one.name for one in found})),
            risk_of(total, lines),
            novelty if isinstance(destination, str) else destination,
            _detail(total, found, login, lines),
            about,
            frozenset(name for name, is_strange in strange.items() if is_strange),
        )

    def _withdrawal(self, asked: Asked) -> Withdrawal:
        to, share = asked.destination, asked.balance_share
        return Withdrawal(
            self._digests.text(b"destination", to) if isinstance(to, str) else None,
            share if isinstance(share, float) else None,
        )


def abouts(bundle: Bundle, obligations: tuple[Obligation, ...], measured: Measured) -> dict[RuleRef, str]:
    """Return for each rule that asks for something, and spoke of signals or risk, what those were about."""
    found: dict[RuleRef, str] = {}
    for ref in dict.fromkeys(RuleRef(one.policy, one.rule) for one in obligations):
        spoken = _spoken(bundle).get(ref)
        if spoken is None or not isinstance(measured.signals, frozenset):
            continue
        if spoken.risk:
            # A score is about all that the account does not know, and where it knows everything, about everything.
            names = measured.unfamiliar or frozenset(measured.about)
            text = ",".join(f"{name}={value}" for name, value in measured.about.items() if value and name in names)
        else:
            text = about_of(measured.signals & spoken.signals, **measured.about)
        if text:
            found[ref] = text
    return found


class _Spoken(NamedTuple):
    """What a rule's condition says of what was measured."""

    risk: bool
    signals: frozenset[str]


@lru_cache(maxsize=4)
def _spoken(bundle: Bundle) -> Mapping[RuleRef, _Spoken]:
    """Return the rules that speak of signals or risk. Asked for each refusal: worked out once for a bundle."""
    found = {}
    for rule in bundle.rules:
        facts = facts_of(rule.when)
        if facts & {"signals", "risk"}:
            found[rule.ref] = _Spoken("risk" in facts, _signals_in(rule.when))
    return found


def _signals_in(condition: Condition) -> frozenset[str]:
    named: set[str] = set()
    for one in comparisons(condition):
        if isinstance(one, Comparison) and "signals" in facts_of(one):
            for side in (one.left, one.right):
                match side:
                    case Literal(value):
                        named.add(str(value))
                    case Literals(values):
                        named |= set(map(str, values))
                    case _:
                        pass
    return frozenset(named)


def _detail(total: Score, found: tuple[Signal, ...], login: Login, lines: Lines) -> Document:
    terms = sorted(total.terms, key=lambda term: -term.value)
    return {
        "score": round(total.total, 3),
        "lines": {"medium": lines.medium, "high": lines.high},
        "learning": list(total.learning),
        "terms": [{"name": term.name, "value": round(term.value, 3), "words": words(term, login)} for term in terms],
        "signals": [{"name": str(one.name), "measured": dict(one.terms)} for one in found],
    }


def _unknown(why: WhyUnknown, destination: Fact[str | None]) -> Measured:
    unknown = Unknown(why)
    return Measured(unknown, unknown, unknown if isinstance(destination, str) else destination)


def _number(login: Login, level: int) -> int | None:
    value = login.values[level]
    return value if isinstance(value, int) else None


def _known(fact: Any) -> Any:  # noqa: ANN401 - a fact of any type, or None where it is not certain
    return None if isinstance(fact, Uncertain) else fact
