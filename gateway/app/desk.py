"""From settings to the desk of the admin API: accounts, tickets, messages, and what takes in what others tell."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gateway.adapters.desk_store import DeskStore
from gateway.adapters.event_book import EventBook
from gateway.adapters.identity_results import IdentityResults
from gateway.adapters.once import OnceStore
from gateway.adapters.outbox_store import OutboxStore
from gateway.adapters.revisions import RevisionStore
from gateway.adapters.security_event_tokens import SetReceiver, issuer_of
from gateway.adapters.sql import AccountStore
from gateway.adapters.webhooks import SecretFile
from gateway.api.services import Desk, PolicyDesk
from gateway.app.evidence import evidence_of
from gateway.app.measuring import digests_of
from gateway.app.publishing import publishing_of
from gateway.config import Settings
from gateway.config.desk import Issuer
from gateway.core.errors import ConfigError
from gateway.core.security_events import Transmitter
from gateway.ports import MICROSECONDS, Clock, Events, Geo


def desk_of(settings: Settings, store: AccountStore, tickets: DeskStore, geo: Geo | None) -> Desk:
    """Return the desk on a store. Raise ConfigError where a table cannot work.

    `tickets` is the gateway's own, so that what it carries out at once is the same here; `geo` knows where the
    addresses of events are.
    """
    once, events = OnceStore(store), EventBook(store, digests_of(settings), geo)
    return Desk(
        accounts=store,
        tickets=tickets,
        outbox=OutboxStore(store),
        once=once,
        events=events,
        security_events=_receiver(settings, events, once, store.clock),
        evidence=evidence_of(settings),
        identity_results=_results(settings, once, store.clock),
        policies=PolicyDesk(publishing_of(settings, store), RevisionStore(store)),
    )


@asynccontextmanager
async def at_work(desk: Desk) -> AsyncIterator[None]:
    """Keep up to date what the desk needs: the keys of who pushes security events. Raise ConfigError."""
    receiver = desk.security_events
    try:
        if receiver is not None:
            await receiver.start()
        yield
    finally:
        if receiver is not None:
            await receiver.close()


def _receiver(settings: Settings, events: Events, once: OnceStore, clock: Clock) -> SetReceiver | None:
    if not settings.security_events:
        return None
    try:
        issuers = [
            issuer_of(_transmitter(one), audience=one.audience, jwks=one.jwks, algorithms=one.algorithms, clock=clock)
            for one in settings.security_events
        ]
        return SetReceiver(issuers, events=events, seen=once, clock=clock)
    except ConfigError as fault:
        raise ConfigError(f"[[security_events]] {fault}") from None


def _transmitter(table: Issuer) -> Transmitter:
    return Transmitter(
        table.issuer,
        subject_issuers=frozenset(table.subject_issuers),
        account_hosts=frozenset(table.account_hosts),
        max_age=table.max_age_s * MICROSECONDS,
    )


def _results(settings: Settings, once: OnceStore, clock: Clock) -> IdentityResults | None:
    told = settings.identity_results
    if told is None:
        return None
    try:
        return IdentityResults(told.provider, SecretFile(told.secret_file), seen=once, clock=clock)
    except ConfigError as fault:
        raise ConfigError(f"[identity_results] {fault}") from None
