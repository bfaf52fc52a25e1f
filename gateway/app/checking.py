"""What would stop a start, all of it at once, without starting: nothing is made, changed or asked over a network."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from gateway.adapters.clock import SystemClock
from gateway.adapters.sql import AccountStore
from gateway.app.admin import Admin
from gateway.app.archives import archive_at
from gateway.app.evidence import evidence_of
from gateway.app.gateway import Gateway
from gateway.app.measuring import hold_line_of, profiles_of, risk_of, withdrawals_of
from gateway.app.parts import bundle_of, geo_of, guarded_by, journal_of, keys_of, plan_of, reader_of
from gateway.app.telling import delivery_of
from gateway.app.upstreams import reverse_proxy
from gateway.app.watching import Watching
from gateway.config import Settings
from gateway.core.addresses import Networks
from gateway.core.errors import GatewayError


class Examined(NamedTuple):
    """What was found."""

    problems: tuple[str, ...]
    """Each stops the start."""
    warnings: tuple[str, ...]
    """Each is said at the start, and stops nothing."""
    bundle: str | None = None
    """The digest of the policies; None where they do not load."""
    editions: tuple[str, ...] = ()


def examined(settings: Settings) -> Examined:
    """Return what a start with these settings would say."""
    problems = list(dict.fromkeys(_problems(settings)))
    warnings = list(_warnings(settings))
    if problems:
        return Examined(tuple(problems), tuple(warnings))
    # All together, as a start does it: what none of the parts by itself can know.
    try:
        gateway = Gateway(settings)
        if settings.admin.port is not None:
            Admin(gateway)
    except GatewayError as fault:
        return Examined(tuple(str(fault).splitlines()), tuple(warnings))
    warnings += gateway.geo.warnings(gateway.clock.now())
    return Examined((), tuple(warnings), gateway.line.bundle.digest, gateway.geo.editions)


def _problems(settings: Settings) -> Iterator[str]:
    clock = SystemClock()
    store = AccountStore(settings.store.url, clock=clock)
    parts: tuple[Callable[[], object], ...] = (
        lambda: reader_of(settings),
        lambda: keys_of(settings, clock),
        lambda: geo_of(settings),
        lambda: bundle_of(settings),
        lambda: guarded_by(settings),
        lambda: risk_of(settings, profiles_of(settings, store), hold_line_of(settings, store)),
        lambda: withdrawals_of(settings),
        lambda: journal_of(settings, clock.now()),
        lambda: plan_of(settings),
        lambda: None if settings.archive_url is None else archive_at(settings.archive_url),
        lambda: delivery_of(settings, store, "check"),
        lambda: evidence_of(settings),
        lambda: Watching(settings, clock),
        lambda: None if settings.upstream is None else reverse_proxy(settings),
        lambda: (
            None
            if settings.forward_auth is None
            else Networks(settings.forward_auth.asked_by, what="forward_auth.asked_by")
        ),
    )
    for build in parts:
        try:
            build()
        except GatewayError as fault:
            yield from str(fault).splitlines()


def _warnings(settings: Settings) -> Iterator[str]:
    if settings.upstream is None and settings.forward_auth is None:
        yield (
            "`gateway serve` has nothing to serve: there is neither `[upstream]` nor `[forward_auth]`; as middleware "
            "in an app it works"
        )
    if settings.identity is None:
        yield "there is no `[identity]`: nobody is ever signed in"
