"""From settings to what is done while something does not answer."""

from gateway.config import Settings
from gateway.core.failing import Grace
from gateway.core.terms import Operation


def grace_of(settings: Settings) -> Grace:
    """Return how long what stays open goes on while nobody can decide about it."""
    streams = settings.failure.streams
    return Grace(streams.go_on_s, streams.end_within_s, frozenset(map(Operation, streams.strict)))
