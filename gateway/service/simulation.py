"""Simulations over what was recorded: every decision is weighed, those that are alike together."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, NamedTuple, Protocol, runtime_checkable

import orjson

from gateway.core.alike import Alike, Each
from gateway.core.decision import Document
from gateway.core.facts import AnyFact, Facts
from gateway.core.terms import Operation
from gateway.policies.compile import Bundle
from gateway.policies.simulate import Key, Turn, Variety, Weigher
from gateway.policies.simulated import SAMPLES, Simulation, Tally
from gateway.ports import Moment
from gateway.service.memo import Memo

UNREADABLE: Final = "written by something that does not know the format"
_VARIETIES: Final = 100_000
"""Distinct facts that are remembered; where there are more, some are weighed more than once."""
_FAULTS: Final = (KeyError, TypeError, ValueError, AttributeError)

Refresh = Callable[[Sequence[Alike]], Awaitable[Sequence[Mapping[str, AnyFact] | None]]]
"""What is known now of the address and the account of each; None where it stays as it was."""


@runtime_checkable
class Momentary(Protocol):
    """An archive that can be read through. Not among the ports: mypyc compiles none that something is asked to be."""

    def moment(self) -> AbstractAsyncContextManager[Moment]:
        """Give all of the archive as it is now. Raise StoreUnavailable."""


class Weighed(NamedTuple):
    """Decisions of one ruling of which the same became."""

    one: Alike
    variety: Variety
    turn: Turn
    decisions: int
    each: Sequence[Each] = ()
    """These, where each was asked; nothing where they are all of the ruling."""


class Walk:
    """One passage through what was recorded."""

    def __init__(self, weigher: Weigher, since: int, until: int, refresh: Refresh | None = None) -> None:
        self._weigher = weigher
        self._since, self._until = since, until
        self._refresh = refresh
        self._varieties: Memo[Key, Variety | str] = Memo(_VARIETIES)
        self.decisions = 0
        self.varieties = 0
        self.left_out: dict[str, int] = {}
        self.moved: dict[tuple[str, str], int] = {}

    async def weigh(self, moment: Moment, some: Sequence[Alike]) -> list[Weighed]:
        """Return those of these decisions that are answered otherwise, and count all. Raise StoreUnavailable."""
        known: Sequence[Mapping[str, AnyFact] | None] = ()
        asked = self._weigher.asked
        if self._refresh is not None:
            known = await self._refresh(some)
            keys = [self._weigher.key(one, now) for one, now in zip(some, known, strict=True)]
        elif asked.accounts == frozenset() == asked.asns:
            keys = [(one[1],) for one in some]
        else:
            keys = [self._weigher.key(one) for one in some]
        await self._learn(moment, some, keys, known or [None] * len(some))
        return await self._weigh(moment, some, keys)

    async def _learn(
        self,
        moment: Moment,
        some: Sequence[Alike],
        keys: Sequence[Key],
        known: Sequence[Mapping[str, AnyFact] | None],
    ) -> None:
        """See to it that every key of these has its variety. One reading brings all documents that are needed."""
        new = {key: place for place, key in enumerate(keys) if key not in self._varieties}
        if not new:
            return
        if len(self._varieties) + len(new) > _VARIETIES:
            # All at once: what these need must be there together.
            self._varieties.clear()
            new = {key: place for place, key in enumerate(keys)}
        documents = await moment.documents([some[place].ruling for place in new.values()])
        for key, place in new.items():
            self._varieties[key] = self._variety(documents[some[place].ruling], known[place])
            self.varieties += 1

    def _variety(self, document: bytes, now: Mapping[str, AnyFact] | None) -> Variety | str:
        try:
            return self._weigher.variety(orjson.loads(document), now)
        except _FAULTS:
            return UNREADABLE

    async def _weigh(self, moment: Moment, some: Sequence[Alike], keys: Sequence[Key]) -> list[Weighed]:
        weighed: list[Weighed] = []
        asked: list[tuple[Alike, Variety]] = []
        varieties = self._varieties
        total = 0
        for one, key in zip(some, keys, strict=True):
            variety = varieties[key]
            if isinstance(variety, str):
                self._leave_out(variety, one.decisions)
                continue
            if variety.moved is not None:
                self.moved[variety.moved] = self.moved.get(variety.moved, 0) + one.decisions
            turn = variety.always or variety.settled(one.earliest, one.latest)
            if turn is None:
                asked.append((one, variety))
                continue
            total += one.decisions
            if turn.before != turn.after:
                weighed.append(Weighed(one, variety, turn, one.decisions))
        self.decisions += total
        return weighed + await self._ask(moment, asked) if asked else weighed

    async def _ask(self, moment: Moment, asked: Sequence[tuple[Alike, Variety]]) -> list[Weighed]:
        """Return what became of decisions that differ in more than their rulings say."""
        of = {one.ruling: (one, variety) for one, variety in asked}
        found = await moment.each(list(of), self._since, self._until)
        own = {each.ruling for each in found if _needs_document(of[each.ruling][1], each)}
        documents = {ruling: orjson.loads(text) for ruling, text in (await moment.documents(sorted(own))).items()}
        turns: dict[tuple[int, Turn], list[Each]] = {}
        for each in found:
            try:
                turn = self._turn(of[each.ruling][1], each, documents.get(each.ruling))
            except _FAULTS:
                self._leave_out(UNREADABLE, 1)
                continue
            self.decisions += 1
            if turn.before != turn.after:
                turns.setdefault((each.ruling, turn), []).append(each)
        return [Weighed(*of[ruling], turn, len(each), each) for (ruling, turn), each in turns.items()]

    def _turn(self, variety: Variety, each: Each, document: Document | None) -> Turn:
        if document is None:
            return variety.turn(each.at, each.auth_age)
        facts: Facts = self._weigher.facts(document, each.at, each.auth_age, variety)
        return variety.turn_of(facts)

    def _leave_out(self, why: str, decisions: int) -> None:
        self.left_out[why] = self.left_out.get(why, 0) + decisions


def _needs_document(variety: Variety, each: Each) -> bool:
    return variety.whole or (variety.aged and each.auth_age is None)


async def simulate(
    moments: AsyncIterator[Moment],
    candidate: Bundle,
    *,
    since: int,
    until: int,
    against: Bundle | None = None,
    digests: Mapping[str, str] | None = None,
    refresh: Refresh | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Simulation:
    """Return what the candidate would have answered to every decision made in `[since, until)`.

    It is compared with what was answered then, or with what the bundle `against` would have. `digests` is as in
    `Weigher`; `refresh` replaces what was known of addresses and accounts; `told` hears how many were weighed. Raise
    StoreUnavailable.
    """
    weigher = Weigher(candidate, against, since, until, digests=digests)
    walk = Walk(weigher, since, until, refresh)
    simulation = Simulation(since, until, candidate.digest, None if against is None else against.digest)
    counter = Counting(simulation)
    async for moment in moments:
        async for some in moment.alike(since, until):
            await counter.count(moment, await walk.weigh(moment, some))
            told(walk.decisions)
    simulation.decisions, simulation.varieties, simulation.left_out = walk.decisions, walk.varieties, walk.left_out
    simulation.moved = walk.moved
    return simulation


class Counting:
    """Counts what was weighed into a simulation."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._tallies: Memo[tuple[Variety, Turn], tuple[Tally, ...]] = Memo(_VARIETIES)

    async def count(self, moment: Moment, some: Sequence[Weighed]) -> None:
        """Add decisions whose answer is another. Raise StoreUnavailable."""
        paid: list[tuple[Weighed, tuple[Tally, ...]]] = []
        unnamed: list[tuple[Weighed, tuple[Tally, ...]]] = []
        for weighed in some:
            key = (weighed.variety, weighed.turn)
            tallies = self._tallies.get(key)
            if tallies is None:
                tallies = self._tallies.keep(key, self._simulation.tallies(weighed.turn, weighed.variety.facts))
            account = self._simulation.number(weighed.one.account)
            short = False
            for tally in tallies:
                tally.add(weighed.decisions, account)
                short = short or len(tally.samples) < SAMPLES
            if short:
                unnamed.append((weighed, tallies))
            if weighed.variety.facts.operation is Operation.WITHDRAW:
                for tally in tallies:
                    tally.withdrawals += weighed.decisions
                if weighed.variety.paid:
                    paid.append((weighed, tallies))
        await self._name(moment, unnamed)
        await self._price(moment, paid)

    async def _name(self, moment: Moment, unnamed: Sequence[tuple[Weighed, tuple[Tally, ...]]]) -> None:
        """Let each tally that has few samples have some of these."""
        for weighed, tallies in unnamed:
            short = [tally for tally in tallies if len(tally.samples) < SAMPLES]
            if not short:
                continue
            each = weighed.each or await moment.each(
                [weighed.one.ruling], self._simulation.since, self._simulation.until
            )
            for tally in short:
                tally.samples += [one.id for one in each[: SAMPLES - len(tally.samples)]]

    async def _price(self, moment: Moment, paid: Sequence[tuple[Weighed, tuple[Tally, ...]]]) -> None:
        """Add what withdrawals were to move, which each ruling's own document says."""
        if not paid:
            return
        documents = await moment.documents(sorted({weighed.one.ruling for weighed, _ in paid}))
        for weighed, tallies in paid:
            amount = orjson.loads(documents[weighed.one.ruling])["facts"]["amount_usd"]
            for tally in tallies:
                tally.priced += weighed.decisions
                tally.usd_cents += round(amount * 100) * weighed.decisions
