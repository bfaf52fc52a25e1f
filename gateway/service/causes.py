"""What changed when refusals did: the rules that determined them, the policies that a new bundle changed, the editions.

None of it is counted by the hour, so it is looked up once, when an alarm opens, in a bounded sample of decisions. That
two things came together is no proof that one caused the other.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.core.alarms import HOUR, Alarm, Dimension, RuleShare, changed_texts, rule_shares
from gateway.core.decision import Document
from gateway.core.errors import GatewayError
from gateway.core.search import Search
from gateway.core.terms import Outcome
from gateway.ports import Archive

SAMPLE: Final = 200
"""Refusals, the newest, of which is looked up which rules determined them; as many of the hours compared with."""
LOOKED_UP: Final = 10
"""Alarms of one hour of which that is done, those with most refusals first: each takes up to three searches."""
_READ_FOR_EDITIONS: Final = 50
_FILES_NAMED: Final = 5
_WEEK: Final = 168 * HOUR
_DAY: Final = 24 * HOUR

TextsOf = Callable[[str], Mapping[str, str] | None]
"""The texts of a bundle by its digest, None where it is not known. Raises ReplayError. It may wait for a disk."""


def no_texts(_digest: str) -> None:
    """Return that no bundle is known."""


class Causes:
    """Looks in an archive and in the texts of bundles."""

    def __init__(self, archive: Archive, texts_of: TextsOf) -> None:
        self._archive = archive
        self._texts_of = texts_of

    async def found(
        self, alarms: Sequence[Alarm], bundle_before: Callable[[Alarm], str | None] = lambda _alarm: None
    ) -> list[Alarm]:
        """Return the alarms of one hour with what changed, as far as that can be found: a fault leaves it out."""
        editions = {alarm.hours: await self._new_editions(alarm) for alarm in alarms}
        largest = sorted(alarms, key=lambda one: -max(one.tally.refused, one.band.usual * one.tally.decisions))
        looked_up = {alarm.id for alarm in largest[:LOOKED_UP]}
        return [
            alarm._replace(
                editions=editions[alarm.hours],
                rules=await self._rules(alarm) if alarm.id in looked_up else (),
                policies=await self._changed(alarm, bundle_before(alarm) if alarm.bundles else None),
            )
            for alarm in alarms
        ]

    async def _rules(self, alarm: Alarm) -> tuple[RuleShare, ...]:
        """Return which rules determined the newest of the refusals, beside those of the same hours a week before.

        Of the day before where there were none a week before.
        """
        beside = HOUR if alarm.hours == 1 else 0
        end = alarm.hour + HOUR
        try:
            now = await self._refusals(alarm, alarm.start, end)
            usual: Sequence[Document] = ()
            for ago in (_WEEK, _DAY):
                usual = usual or await self._refusals(alarm, alarm.start - ago - beside, end - ago + beside)
        except GatewayError:
            return ()  # the alarm matters more than what else it could say
        # Of a rule it is counted how often it determined them; what is left to say is which others did with it.
        return tuple(share for share in rule_shares(now, usual, rose=alarm.rose) if share.rule != alarm.value)

    async def _refusals(self, alarm: Alarm, since: int, until: int) -> Sequence[Document]:
        """Return the newest refusals that an alarm is about."""
        search = Search(outcome=str(Outcome.DENY), since=since, until=until)
        match str(alarm.dimension):
            case "country":
                search = search._replace(country=alarm.value)
            case "reason":
                search = search._replace(reason=alarm.value)
            case "operation":
                search = search._replace(operation=alarm.value)
            case _:
                search = search._replace(rule=alarm.value)
        page = await self._archive.search(search, limit=SAMPLE)
        if alarm.dimension is not Dimension.COUNTRY:
            return page.documents
        # A country that was one of several is found by each of them; counted it was as none for certain.
        return [one for one in page.documents if (one.get("facts") or {}).get("country") == alarm.value]

    async def _changed(self, alarm: Alarm, before: str | None) -> tuple[str, ...]:
        """Return the files that the new bundles changed, against the one in use before."""
        if before is None:
            return ()
        try:
            texts = [await asyncio.to_thread(self._texts_of, digest) for digest in (before, *alarm.bundles)]
        except GatewayError:
            return ()
        old, *new = texts
        names = {name for one in new if old is not None and one is not None for name in changed_texts(old, one)}
        return tuple(sorted(names)[:_FILES_NAMED])

    async def _new_editions(self, alarm: Alarm) -> tuple[str, ...]:
        """Return the editions in use at the end of an hour that were not before these hours and the one before."""
        begin = alarm.start - HOUR
        try:
            now = await self._editions(begin, alarm.hour + HOUR)
            before = await self._editions(begin - _DAY, begin)
        except GatewayError:
            return ()
        return tuple(sorted(set(now) - set(before))) if before else ()

    async def _editions(self, since: int, until: int) -> Sequence[str]:
        page = await self._archive.search(Search(since=since, until=until), limit=_READ_FOR_EDITIONS)
        # A request that could not be read was not looked up in any.
        return next((document["editions"] for document in page.documents if document.get("editions")), ())
