"""fastapi-guard's country filter: the country of the client address against a list, and nothing else.

Only what the comparison needs is on. Rate limits, bans, attack detection, security headers, Redis, HTTPS redirection
and the log line of every admitted request are off, as its configuration reference describes; the database is the one
that the others read, opened once through its documented `GeoIPHandler` protocol. The client address comes from the
same header by the same trusted peer. Both of its middlewares are measured: `SecurityMiddleware`, which its
documentation shows, and the pure ASGI one, which it names for those who avoid `BaseHTTPMiddleware`.
"""

from typing import Any

import maxminddb
from guard import PureASGISecurityMiddleware, SecurityConfig, SecurityMiddleware
from starlette.types import ASGIApp

from benchmarks.apps.market import exchange
from benchmarks.rules import CLOSED
from benchmarks.world import World


class Countries:
    """The shipped edition behind fastapi-guard's `GeoIPHandler`."""

    def __init__(self, path: str) -> None:
        self._reader = maxminddb.open_database(path)

    @property
    def is_initialized(self) -> bool:
        """Open from the start."""
        return True

    async def initialize(self) -> None:
        """Nothing is left to load."""

    async def initialize_redis(self, redis_handler: object) -> None:
        """Nothing is shared."""

    async def initialize_agent(self, agent_handler: object) -> None:
        """Nobody is told."""

    async def refresh(self) -> None:
        """The edition stays for the run."""

    def get_country(self, ip: str) -> str | None:
        """Return the country code of an address."""
        record: Any = self._reader.get(ip)
        return record["country"]["iso_code"] if record else None

    def close(self) -> None:
        """Close the database."""
        self._reader.close()


def config(world: World) -> SecurityConfig:
    """Return a configuration in which the country filter alone is on."""
    return SecurityConfig(
        trusted_proxies=("127.0.0.1",),
        geo_ip_handler=Countries(str(world.country_db)),
        blocked_countries=frozenset(CLOSED),
        enable_redis=False,
        enable_rate_limiting=False,
        enable_ip_banning=False,
        enable_penetration_detection=False,
        security_headers=None,
        log_request_level=None,
        log_country_check_level=None,
    )


def create(world: World) -> ASGIApp:
    """Return the app behind `SecurityMiddleware`."""
    app = exchange()
    app.add_middleware(SecurityMiddleware, config=config(world))
    return app


def create_pure(world: World) -> ASGIApp:
    """Return the app behind the pure ASGI variant."""
    app = exchange()
    app.add_middleware(PureASGISecurityMiddleware, config=config(world))
    return app
