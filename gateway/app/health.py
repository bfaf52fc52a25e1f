"""What of a gateway is looked at, to say whether it is ready."""

from gateway.app.gateway import Gateway
from gateway.service.health import Check


def checks_of(gateway: Gateway) -> tuple[Check, ...]:
    """Return every check as it is now. Nothing is waited for."""
    at = gateway.clock.now()
    bundle = gateway.line.bundle
    aged = len(gateway.geo.warnings(at))
    heard = gateway.store.fresh(at)
    fault = gateway.journal.fault
    serving = gateway.started and not gateway.ending
    stays = gateway.policies.running.refused is not None
    # Without it changes are heard of a tenth of a second later, and accounts come from the store.
    shared = gateway.sharing
    redis = () if shared is None else (Check("redis", shared.up, "answers" if shared.up else "away", needed=False),)
    return (
        Check("started", serving, "serving" if serving else "starting, or ending"),
        Check("policies", bool(bundle.policies), f"bundle {bundle.digest[:12]}, {len(bundle.rules)} rules"),
        # It decides by what it had, which was published as well.
        Check("revision", not stays, "decides by what is in force" if not stays else "cannot take it", needed=False),
        Check("journal", fault is None, "written" if fault is None else "decisions cannot be recorded"),
        # Where the store is away each request is still answered, from what is known or with 503: sending everybody
        # elsewhere would only help where it is away for this machine alone.
        Check("store", heard, "heard from" if heard else "not heard from for over a second", needed=False),
        *redis,
        Check("editions", not aged, f"{aged} older than wished" if aged else "fresh enough", needed=False),
    )
