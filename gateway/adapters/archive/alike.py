"""Decisions that are held in memory, by rulings, as a simulation takes them: what other archives are compared with."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Final

from gateway.adapters.archive.documents import ReadRuling, read_ruling
from gateway.core.alike import Alike, Each
from gateway.ports import RecordedDecision, Stretch

AT_ONCE: Final = 20_000
"""Rulings that are told of at once."""
ADDRESS: Final = 16
"""Bytes of an address. What is longer is a digest that stands in its place."""
ASN: Final = 4


class HeldMoment:
    """The `Moment` port on decisions in memory, which nobody changes meanwhile."""

    def __init__(
        self,
        rulings: Mapping[bytes, tuple[bytes, ReadRuling]],
        decisions: Iterable[RecordedDecision],
        taken: Mapping[str, tuple[int, int]] | None = None,
    ) -> None:
        self.taken: Mapping[str, tuple[int, int]] = dict(taken or {})
        self._rulings = rulings
        self._of: dict[bytes, list[RecordedDecision]] = {}
        for decision in decisions:
            self._of.setdefault(decision.ruling, []).append(decision)
        self._names = list(self._of)

    @classmethod
    def of(cls, stretch: Stretch) -> "HeldMoment":
        """Return the decisions of a piece of the journal."""
        rulings = {digest: (document, read_ruling(document)) for digest, document in stretch.rulings.items()}
        return cls(rulings, stretch.decisions)

    async def alike(self, since: int, until: int) -> AsyncIterator[Sequence[Alike]]:
        """Yield the decisions made in `[since, until)`, by rulings."""
        found = [self._alike(ruling, instants) for ruling, instants in self._instants(since, until)]
        for start in range(0, len(found), AT_ONCE):
            yield found[start : start + AT_ONCE]

    async def documents(self, rulings: Sequence[int]) -> Mapping[int, bytes]:
        """Return the JSON of rulings."""
        return {ruling: self._rulings[self._names[ruling]][0] for ruling in rulings}

    async def each(self, rulings: Sequence[int], since: int, until: int) -> Sequence[Each]:
        """Return the decisions of rulings that were made in `[since, until)`."""
        return [
            Each(ruling, one.id, one.at, one.auth_age)
            for ruling in rulings
            for one in self._of[self._names[ruling]]
            if since <= one.at < until
        ]

    def _instants(self, since: int, until: int) -> Iterable[tuple[int, list[int]]]:
        for ruling, decisions in enumerate(self._of.values()):
            instants = [one.at for one in decisions if since <= one.at < until]
            if instants:
                yield ruling, instants

    def _alike(self, ruling: int, instants: list[int]) -> Alike:
        read = self._rulings[self._names[ruling]][1]
        address, asns = read.found_by.address, read.found_by.asns
        return Alike(
            ruling,
            read.matter,
            read.found_by.account,
            address if address is not None and len(address) == ADDRESS else None,
            asns[0].to_bytes(ASN, "big") if len(asns) == 1 else None,
            len(instants),
            min(instants),
            max(instants),
        )
