"""Wiring: the one place that knows everything."""

from gateway.app.gateway import Gateway
from gateway.app.middleware import GatewayMiddleware

__all__ = ["Gateway", "GatewayMiddleware"]
