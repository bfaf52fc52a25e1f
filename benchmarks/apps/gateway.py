"""The gateway, fully on, as its user would embed it."""

from importlib.machinery import EXTENSION_SUFFIXES
from types import ModuleType

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

    _must_be_compiled(pipeline)
    return create(world)


def create_bare(_world: World) -> ASGIApp:
    """Return the app with nothing in front of it, for the compiled protocol. Raise SystemExit where it is not."""
    from gateway.enforce import http_protocol

    _must_be_compiled(http_protocol)
    return exchange()


def _must_be_compiled(module: ModuleType) -> None:
    if module.__file__ is None or not module.__file__.endswith(tuple(EXTENSION_SUFFIXES)):
        raise SystemExit(f"benchmark: {module.__file__} is not compiled")
