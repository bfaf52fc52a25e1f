"""The gateway, fully on, as its user would embed it."""

from starlette.types import ASGIApp

from benchmarks.apps.market import exchange
from benchmarks.world import World


def create(world: World) -> ASGIApp:
    """Return the app behind `GatewayMiddleware`, configured by the world's file."""
    from gateway import GatewayMiddleware

    return GatewayMiddleware(exchange(), config=world.config)
