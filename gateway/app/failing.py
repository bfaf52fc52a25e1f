"""From settings to what is done while something does not answer, or while there is too much to do."""

from collections.abc import Mapping

from gateway.config import Settings
from gateway.core.errors import StoreUnavailable
from gateway.core.failing import Grace, Kind
from gateway.core.terms import Operation
from gateway.ports import Clock
from gateway.service.breaker import Breaker
from gateway.service.load import Load


def grace_of(settings: Settings) -> Grace:
    """Return how long what stays open goes on while nobody can decide about it."""
    streams = settings.failure.streams
    return Grace(streams.go_on_s, streams.end_within_s, frozenset(map(Operation, streams.strict)))


def remembered_of(settings: Settings) -> Mapping[Kind, int]:
    """Return for how many seconds of the store's silence an account is relied on from memory."""
    remembered = settings.failure.remembered
    return {Kind.LOOKS: remembered.looks_s, Kind.CHANGES: remembered.changes_s}


def breaker_of(settings: Settings, clock: Clock, what: str = "store") -> Breaker:
    """Return what stands before the store, or before one use of it that may fail alone."""
    failure = settings.failure
    return Breaker(what, clock, StoreUnavailable, faults=failure.store_faults, rest_us=failure.store_rest_ms * 1000)


def load_of(settings: Settings) -> Load:
    """Return what counts the requests in work, and refuses what is too much."""
    return Load(most=settings.failure.in_work, late_s=settings.failure.late_ms / 1000)
