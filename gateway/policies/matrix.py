"""Who may do what: the answer for each country, operation and status at one instant, and which countries are alike."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from gateway.core.countries import CONTINENT_OF
from gateway.core.country_names import NAMES
from gateway.core.decision import instant_text
from gateway.core.errors import PolicyError
from gateway.core.facts import AnyFact, Facts, Unknown
from gateway.core.subdivisions import SUBDIVISIONS
from gateway.core.terms import Operation, Outcome, Reason, Status, WhyUnknown
from gateway.core.verdict import RuleRef
from gateway.policies.atoms import Among
from gateway.policies.compile import Bundle
from gateway.policies.demands import atoms_of
from gateway.policies.domains import natural
from gateway.policies.evaluate import evaluate
from gateway.policies.findings import quoted
from gateway.policies.world_map import world_map

UNKNOWN: Final = "unknown"
"""The row of an address whose place nobody knows."""

COLUMNS: Final = ("place", "name", "status", "operation", "outcome", "reason", "rules")
STATUSES: Final = tuple(status for status in Status if status is not Status.NONE)

_VARIED: Final = ("operation", "status", "country", "subdivision", "continent")
_SAID: Final = {Outcome.ALLOW: "yes", Outcome.CHALLENGE: "ask", Outcome.DENY: "no"}
_MOST_CODES: Final = 12
_LEGEND: Final = {
    "allow": "open",
    "challenge": "open once a proof is given",
    "mixed": "open in part",
    "deny": "closed, or open for support alone",
}


class Cell(NamedTuple):
    """One answer."""

    outcome: Outcome
    reason: Reason | None
    rules: tuple[RuleRef, ...]
    """The limits and requirements that exclude the operation."""


class Row(NamedTuple):
    """The answers of one place, by status and operation."""

    place: str
    cells: Mapping[tuple[Status, Operation], Cell]

    @property
    def name(self) -> str:
        """What the place is called; its code where that is not known."""
        return NAMES.get(self.place, self.place)


class Matrix(NamedTuple):
    """The answers of every country, of the parts of countries that rules name, and of nowhere in particular."""

    at: int
    operations: tuple[Operation, ...]
    statuses: tuple[Status, ...]
    rows: tuple[Row, ...]

    def alike(self) -> list[tuple[tuple[str, ...], Row]]:
        """Return the rows, those together that no rule tells apart, the most places first."""
        groups: dict[tuple[Cell, ...], list[Row]] = {}
        for row in self.rows:
            # A part of a country stands by itself where it differs from the country: else nothing is to be said of it.
            groups.setdefault(tuple(row.cells.values()), []).append(row)
        ordered = sorted(groups.values(), key=lambda rows: (-len(rows), rows[0].place))
        return [(tuple(row.place for row in rows), rows[0]) for rows in ordered]

    def text(self) -> Iterator[str]:
        """Yield a table for each status, countries that are alike in one line."""
        groups = self.alike()
        labels = [_label(places, others=not number and len(groups) > 1) for number, (places, _) in enumerate(groups)]
        width = max(map(len, labels))
        for status in self.statuses:
            yield f"{f'status {status}':<{width}}  {'  '.join(self.operations)}"
            for label, (_, row) in zip(labels, groups, strict=True):
                said = (f"{_SAID[row.cells[status, one].outcome]:<{len(one)}}" for one in self.operations)
                yield f"{label:<{width}}  {'  '.join(said)}".rstrip()
            yield ""
        yield "yes: open; ask: open once a proof is given; no: closed"

    def csv(self) -> Iterator[tuple[str, ...]]:
        """Yield a heading, and a row for each answer."""
        yield COLUMNS
        for row in self.rows:
            for (status, operation), cell in row.cells.items():
                rules = " ".join(f"{ref.policy}/{ref.rule}" for ref in cell.rules)
                yield row.place, row.name, status, operation, cell.outcome, cell.reason or "", rules

    def to_json(self) -> dict[str, Any]:
        """Return the answers as a JSON object, places that are alike together."""
        return {
            "at": instant_text(self.at),
            "operations": list(map(str, self.operations)),
            "statuses": list(map(str, self.statuses)),
            "groups": [
                {
                    "places": list(places),
                    "answers": [
                        {
                            "status": str(status),
                            "operation": str(operation),
                            "outcome": str(cell.outcome),
                            "reason": None if cell.reason is None else str(cell.reason),
                            "rules": [ref._asdict() for ref in cell.rules],
                        }
                        for (status, operation), cell in row.cells.items()
                    ],
                }
                for places, row in self.alike()
            ],
        }

    def svg(self, status: Status) -> str:
        """Return a map of the world for one status, with the parts of countries in its legend."""
        fill = {row.place: self._shade(row, status) for row in self.rows}
        title = {row.place: f"{row.name}: {self._summary(row, status)}" for row in self.rows}
        parts = {shade: [place for place in fill if "-" in place and fill[place] == shade] for shade in _LEGEND}
        legend = {
            shade: words + (f"; so are {', '.join(parts[shade])}" if parts[shade] else "")
            for shade, words in _LEGEND.items()
            if shade in fill.values()
        }
        countries = {place for place in fill if place in CONTINENT_OF}
        return world_map(
            {place: fill[place] for place in countries},
            {place: title[place] for place in countries},
            label=f"Who may {', '.join(self.operations)} with status {status}, at {instant_text(self.at)}",
            legend=legend,
        )

    def _shade(self, row: Row, status: Status) -> str:
        outcomes = {one: row.cells[status, one].outcome for one in self.operations}
        found = set(outcomes.values())
        if len(found) == 1:
            return str(*found)
        # Nearly every rule leaves support open: a map on which that counted would show no country as closed.
        if {outcome for one, outcome in outcomes.items() if one is not Operation.SUPPORT} == {Outcome.DENY}:
            return "deny"
        return "mixed" if Outcome.DENY in found else "challenge"

    def _summary(self, row: Row, status: Status) -> str:
        counted = Counter(row.cells[status, operation].outcome for operation in self.operations)
        if len(counted) == 1:
            return _LEGEND[str(next(iter(counted)))]
        closed = [one for one in self.operations if row.cells[status, one].outcome is Outcome.DENY]
        return f"closed: {', '.join(closed)}" if closed else _LEGEND["challenge"]


def matrix(
    bundle: Bundle,
    at: int,
    *,
    operations: Sequence[Operation] = tuple(Operation),
    statuses: Sequence[Status] = STATUSES,
    facts: Mapping[str, AnyFact] = MappingProxyType({}),
) -> Matrix:
    """Return who may do what at an instant, microseconds since the epoch.

    `facts` say what is not as it usually is of a customer who has signed in with a second factor just now, is verified
    in full, and has no marks, holds or documents. Raise PolicyError where they state what the matrix varies by itself.
    """
    for name in _VARIED:
        if name in facts:
            raise PolicyError(f"{quoted(name)} is what the matrix varies: it cannot be stated as well")
    named = _parts_named(bundle)
    places = [*sorted(CONTINENT_OF), *sorted(named), UNKNOWN]
    rows = []
    for place in places:
        customer = {**_placed(place, named), **facts}
        rows.append(Row(place, dict(_cells(bundle, at, customer, operations, statuses))))
    return Matrix(at, tuple(operations), tuple(statuses), tuple(rows))


def _cells(
    bundle: Bundle,
    at: int,
    customer: Mapping[str, Any],
    operations: Iterable[Operation],
    statuses: Sequence[Status],
) -> Iterator[tuple[tuple[Status, Operation], Cell]]:
    for status in statuses:
        for operation in operations:
            verdict = evaluate(Facts(at=at, operation=operation, **{**customer, "status": str(status)}), bundle)
            rules = tuple(RuleRef(one.policy, one.rule) for one in verdict.by)
            yield (status, operation), Cell(verdict.outcome, verdict.reason, rules)


def _parts_named(bundle: Bundle) -> frozenset[str]:
    """Return the parts of countries that rules name."""
    named = (atom.values for atom in atoms_of(bundle) if isinstance(atom, Among) and atom.fact == "subdivision")
    return frozenset(str(one) for values in named for one in values)


def _placed(place: str, named: frozenset[str]) -> dict[str, Any]:
    """Return the facts of a customer in a country, in a part of it that no rule names; in a part; or nowhere known."""
    if place == UNKNOWN:
        nowhere = Unknown(WhyUnknown.NO_RECORD)
        return {**natural(), "country": nowhere, "subdivision": nowhere, "continent": nowhere, "asn": nowhere}
    country, part, _ = place.partition("-")
    if part:
        return {**natural(country), "subdivision": place}
    parts = (f"{country}-{one}" for one in reversed(SUBDIVISIONS.get(country, "").split()))
    return {**natural(country), "subdivision": next((one for one in parts if one not in named), f"{country}-00")}


def _label(places: Sequence[str], *, others: bool) -> str:
    if others:
        return f"all others ({len(places)})"
    more = f" and {len(places) - _MOST_CODES} more" if len(places) > _MOST_CODES else ""
    return ", ".join(places[:_MOST_CODES]) + more
