"""An alarm: what was refused unusually often or seldom, what changed with it, and who has seen that."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum, unique
from typing import Any, Final, NamedTuple

from gateway.core.decision import Document, instant_text, parse_instant

HOUR: Final = 3_600_000_000
"""Microseconds."""
LEAST_WHY, LONGEST_WHY, LONGEST_WHO = 10, 500, 200
_NAMED: Final = 3
"""Rules that are named at most, and the share of the refusals from which on one is."""
_SHARE: Final = 0.1
_ODD: Final = re.compile(r"[^A-Za-z0-9._~-]+")


@unique
class Dimension(StrEnum):
    """What refusals are counted by."""

    COUNTRY = "country"
    REASON = "reason"
    OPERATION = "operation"
    RULE = "rule"


class Tally(NamedTuple):
    """Decisions of one hour, and how many of them were refusals."""

    refused: int
    decisions: int


class Band(NamedTuple):
    """Rates of refusal, 0 to 1."""

    usual: float
    low: float
    high: float


class RuleShare(NamedTuple):
    """How many of some refusals a rule determined, now and usually."""

    rule: str
    """`policy/rule`."""
    now: int
    of: int
    """How many refusals were looked at: not all of them, but the newest."""
    usually: int
    of_usually: int
    """0 where there were none to compare with."""

    def text(self) -> str:
        """Return it in words."""
        then = f"usually {self.usually} of {self.of_usually}" if self.of_usually else "none to compare with"
        return f"rule {self.rule} determined {self.now} of the newest {self.of}, {then}"


class Alarm(NamedTuple):
    """An hour in which something was refused unusually often, or unusually seldom."""

    hour: int
    """Its beginning, microseconds since the epoch."""
    dimension: Dimension
    value: str | None
    """The country, reason, operation or rule (`policy/rule`); None for decisions whose country was not certain."""
    rose: bool
    tally: Tally
    """For a reason or a rule: refusals for this reason, or by this rule, among all decisions."""
    band: Band
    mostly: tuple[tuple[Dimension, str | None, int], ...]
    """In the other dimensions, what most of these refusals had in common, and how many of them."""
    bundles: tuple[str, ...]
    """Digests that were not in use in the day before these hours and the one before them."""
    hours: int = 1
    """How many hours, the last of which is `hour`, were counted together: 1, or 24 where one has few decisions."""
    editions: tuple[str, ...] = ()
    """GeoIP editions likewise, where somebody looked them up."""
    rules: tuple[RuleShare, ...] = ()
    """What determined the newest of these refusals, where somebody looked it up."""
    policies: tuple[str, ...] = ()
    """Files of policies and lists that the new bundles changed, where their texts are at hand."""

    @property
    def start(self) -> int:
        """The beginning of the first of its hours."""
        return self.hour - (self.hours - 1) * HOUR

    @property
    def id(self) -> str:
        """What the alarm is called: the same hour, cause and direction have the same name, whoever finds them."""
        when = instant_text(self.hour)[:13].replace("-", "")
        # A rule is written `policy/rule`; no name has a tilde, and every address may.
        what = _ODD.sub("-", (self.value or "uncertain").replace("/", "~"))
        return f"{when}-{self.dimension}-{what}-{'rose' if self.rose else 'fell'}"

    def text(self) -> str:
        """Return what is to be known in one line."""
        refused, decisions = self.tally
        when = "hour" if self.hours == 1 else f"{self.hours} hours"
        usual, low, high = self.band
        parts = [f"{self.dimension} {self.value or 'uncertain'}, {when} from {instant_text(self.start)[:16]}Z"]
        parts += [f"{refused} of {decisions} refused ({refused / decisions:.1%})"]
        parts += [f"usually {usual:.1%} ({low:.1%} to {high:.1%})"]
        parts += [f"{count} of them {dimension} {value or 'uncertain'}" for dimension, value, count in self.mostly]
        parts += [share.text() for share in self.rules]
        parts += [f"bundle {digest[:12]} is new" for digest in self.bundles]
        parts += [f"{name} changed with it" for name in self.policies]
        parts += [f"edition {edition} is new" for edition in self.editions]
        return "; ".join(parts)


class Acknowledgement(NamedTuple):
    """Somebody has seen an alarm. It lasts as long as it does all the same."""

    who: str
    why: str
    at: int


class KeptAlarm(NamedTuple):
    """An alarm on record."""

    alarm: Alarm
    opened_at: int
    """When it was noticed, microseconds since the epoch."""
    ended: int | None = None
    """The beginning of the first hour that was usual again; None while it lasts."""
    acknowledged: Acknowledgement | None = None


def rule_shares(now: Iterable[Document], usual: Iterable[Document], *, rose: bool) -> tuple[RuleShare, ...]:
    """Return which rules determined these refusals, those first that did the most of them; at most three.

    Where an alarm fell it is what usually determined them that is missed, so those come first.
    """
    now, usual = list(now), list(usual)
    here, there = _determining(now), _determining(usual)
    shares = [RuleShare(rule, here[rule], len(now), there[rule], len(usual)) for rule in sorted({*here, *there})]
    shares = [one for one in shares if max(_share(one.now, one.of), _share(one.usually, one.of_usually)) >= _SHARE]

    def weight(one: RuleShare) -> tuple[float, float]:
        both = (_share(one.now, one.of), _share(one.usually, one.of_usually))
        return both if rose else (both[1], both[0])

    return tuple(sorted(shares, key=weight, reverse=True)[:_NAMED])


def changed_texts(before: Mapping[str, str], after: Mapping[str, str]) -> tuple[str, ...]:
    """Return the names whose text is not the same in both."""
    return tuple(sorted(name for name in {*before, *after} if before.get(name) != after.get(name)))


def unfit(who: str, why: str) -> str | None:
    """Return what is wrong with an acknowledgement; None where nothing is."""
    if not (len(why) <= LONGEST_WHY and len(why.strip()) >= LEAST_WHY and why.isprintable()):
        return f"say why in one line of {LEAST_WHY} to {LONGEST_WHY} characters"
    if not (1 <= len(who) <= LONGEST_WHO and who.isprintable() and who.strip()):
        return f"say who acknowledges it in one line of 1 to {LONGEST_WHO} characters"
    return None


def to_json(kept: KeptAlarm) -> Document:
    """Return an alarm as the file keeps it and as the API and the command line show it."""
    alarm, seen = kept.alarm, kept.acknowledged
    return {
        "id": alarm.id,
        "open": kept.ended is None,
        "what": alarm.text(),
        "by": str(alarm.dimension),
        "value": alarm.value,
        "rose": alarm.rose,
        "start": instant_text(alarm.start),
        "hours": alarm.hours,
        "refused": alarm.tally.refused,
        "decisions": alarm.tally.decisions,
        **alarm.band._asdict(),
        "mostly": [{"by": str(by), "value": value, "refused": count} for by, value, count in alarm.mostly],
        "rules": [share._asdict() for share in alarm.rules],
        "bundles": list(alarm.bundles),
        "policies": list(alarm.policies),
        "editions": list(alarm.editions),
        "opened_at": instant_text(kept.opened_at),
        "ended": None if kept.ended is None else instant_text(kept.ended),
        "acknowledged": None if seen is None else {**seen._asdict(), "at": instant_text(seen.at)},
    }


def from_json(document: Mapping[str, Any]) -> KeptAlarm:
    """Return the alarm that `to_json` gave. Raise KeyError, TypeError or ValueError where it is none."""
    hours = _whole(document["hours"])
    alarm = Alarm(
        hour=parse_instant(_text(document["start"])) + (hours - 1) * HOUR,
        dimension=Dimension(document["by"]),
        value=_may_be_text(document["value"]),
        rose=document["rose"] is True,
        tally=Tally(_whole(document["refused"]), _whole(document["decisions"]) or 1),
        band=Band(*(float(document[name]) for name in Band._fields)),
        mostly=tuple(
            (Dimension(one["by"]), _may_be_text(one["value"]), _whole(one["refused"])) for one in document["mostly"]
        ),
        bundles=_texts(document["bundles"]),
        hours=hours,
        editions=_texts(document["editions"]),
        rules=tuple(
            RuleShare(_text(one["rule"]), *(_whole(one[name]) for name in RuleShare._fields[1:]))
            for one in document["rules"]
        ),
        policies=_texts(document["policies"]),
    )
    ended, seen = document["ended"], document["acknowledged"]
    return KeptAlarm(
        alarm,
        parse_instant(_text(document["opened_at"])),
        None if ended is None else parse_instant(_text(ended)),
        None if seen is None else Acknowledgement(_text(seen["who"]), _text(seen["why"]), parse_instant(seen["at"])),
    )


def _determining(documents: Sequence[Document]) -> Counter[str]:
    found: Counter[str] = Counter()
    for document in documents:
        found.update({f"{one['policy']}/{one['rule']}" for one in (document.get("verdict") or {}).get("by", ())})
    return found


def _share(count: int, of: int) -> float:
    return count / of if of else 0.0


def _whole(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError(f"`{str(value)[:40]}` is no count")
    return value


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"`{str(value)[:40]}` is no text")
    return value


def _may_be_text(value: object) -> str | None:
    return None if value is None else _text(value)


def _texts(values: Iterable[object]) -> tuple[str, ...]:
    return tuple(map(_text, values))
