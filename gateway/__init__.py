"""An access-control and geofencing gateway: which operations may this customer perform, from here, now."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gateway.app import GatewayMiddleware
    from gateway.enforce.embedded import protocol

__all__ = ["GatewayMiddleware", "protocol"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - the type is declared above
    # On demand: `import gateway.core.terms` must not open databases, nor import a web client.
    if name == "GatewayMiddleware":
        from gateway.app import GatewayMiddleware  # noqa: PLC0415

        return GatewayMiddleware
    if name == "protocol":
        from gateway.enforce.embedded import protocol  # noqa: PLC0415

        return protocol
    raise AttributeError(f"module `gateway` has no attribute `{name}`")
