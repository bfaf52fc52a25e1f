"""Wiring: the one place that knows everything."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.app.gateway import Gateway
    from gateway.app.middleware import GatewayMiddleware

__all__ = ["Gateway", "GatewayMiddleware"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the types are declared above
    # On demand: the process that ships needs neither policies nor databases of places, and lives in a third less.
    if name == "Gateway":
        from gateway.app.gateway import Gateway  # noqa: PLC0415 - see above

        return Gateway
    if name == "GatewayMiddleware":
        from gateway.app.middleware import GatewayMiddleware  # noqa: PLC0415 - see above

        return GatewayMiddleware
    raise AttributeError(f"module `gateway.app` has no attribute `{name}`")
