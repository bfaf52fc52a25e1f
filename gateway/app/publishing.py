"""From settings to what publishes policies: how a revision is examined, and on which terms."""

from collections.abc import Mapping
from typing import Final

from gateway.adapters.revisions import RevisionStore
from gateway.adapters.sql import AccountStore
from gateway.app.parts import guarded_by, sources_of
from gateway.app.simulating import Window, simulated
from gateway.config import Settings
from gateway.policies.bundle import Bundle, assemble, load
from gateway.policies.diff import Diff, diff
from gateway.policies.review import review
from gateway.policies.widening import refuse_widening
from gateway.ports import MICROSECONDS
from gateway.service.examining import Difference, Examining, Flips
from gateway.service.publishing import Publishing, Terms

DAY_US: Final = 86_400 * MICROSECONDS
READ_ONLY: Final = (
    'policies come from files here (`[policies] source = "files"`): change the files, and who reviews them where they '
    'are kept; `source = "store"` lets two people publish'
)


def publishing_of(settings: Settings, store: AccountStore) -> Publishing:
    """Return what publishes policies in a store. Raise ConfigError where nobody could be guarded as is said."""
    policies = settings.policies
    supplied = sources_of(settings)

    def loaded(texts: Mapping[str, str]) -> Bundle:
        return load(texts, sources_configured=supplied)

    def assembled(texts: Mapping[str, str]) -> Bundle:
        return assemble(texts, sources_configured=None)

    async def of_the_day_before(candidate: Bundle, against: Bundle | None) -> Flips:
        now = store.clock.now()
        return await simulated(settings, candidate, Window(now - DAY_US, now), against=against)

    return Publishing(
        RevisionStore(store),
        Examining(
            load=loaded,
            assemble=assembled,
            notices=review,
            compare=_compared,
            refuse_widening=_refused_widening,
            simulate=of_the_day_before,
            guarded=guarded_by(settings),
        ),
        Terms(
            approve_within=policies.approve_within_s * MICROSECONDS,
            return_within=policies.return_within_s * MICROSECONDS,
            flips_at_most=policies.flips_at_most,
            read_only=None if policies.source == "store" else READ_ONLY,
        ),
        store.clock,
    )


def _compared(old: Bundle, new: Bundle, since: int) -> Diff:
    return diff(old, new, since=since)


def _refused_widening(difference: Difference, allowed: bool, reason: str) -> str | None:
    assert isinstance(difference, Diff), "it comes from the comparison above"
    return refuse_widening(difference, allowed=allowed, reason=reason)
