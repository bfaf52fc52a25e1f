"""The gateway, fully on, as its user would embed it."""

from importlib.machinery import EXTENSION_SUFFIXES

from starlette.types import ASGIApp

from benchmarks.apps.market import exchange
from benchmarks.world import World


def create(world: World) -> ASGIApp:
    """Return the app behind `GatewayMiddleware`, configured by the world's file."""
    from gateway import GatewayMiddleware

    return GatewayMiddleware(exchange(), config=world.config)


def create_compiled(world: World) -> ASGIApp:
    """Return the same, where the modules on the path of every request are compiled. Raise SystemExit elsewhere."""
    from gateway.service import pipeline

    if not pipeline.__file__.endswith(tuple(EXTENSION_SUFFIXES)):
        raise SystemExit(f"benchmark: {pipeline.__file__} is not compiled")
    return create(world)
