"""Envoy with filters of its own in the gateway's place: country by address, a verified token, countries refused.

It knows no accounts, keeps no record and has a dozen rules: what the nearest built-in filters do of the same work.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from benchmarks.rules import CLOSED
from benchmarks.servers import Server, binary, free_port, process
from benchmarks.world import AUDIENCE, ISSUER, World

_TYPE: Final = "type.googleapis.com/envoy.extensions."
_COUNTRY: Final = "x-geo-country"


@contextmanager
def envoy(name: str, folder: Path, world: World, exchange: int, core: int | None) -> Iterator[Server]:
    """Envoy before the exchange; asked at `/authz/nginx` it answers 200 to what it would let through."""
    own = folder / f"envoy-{name}"
    own.mkdir()
    port = free_port()
    file = own / "envoy.json"
    file.write_text(json.dumps(_bootstrap(port, world, exchange)))
    command = [binary("envoy"), "-c", str(file), "--log-level", "error", "--concurrency", "1", "--disable-hot-restart"]
    with process(name, command, folder, core, port) as server:
        yield server


def _bootstrap(port: int, world: World, exchange: int) -> dict[str, Any]:
    routes = [
        {"match": {"path": "/authz/nginx"}, "direct_response": {"status": 200}},
        {"match": {"prefix": "/"}, "route": {"cluster": "exchange"}},
    ]
    connections = {
        "@type": f"{_TYPE}filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "web",
        "route_config": {"virtual_hosts": [{"name": "exchange", "domains": ["*"], "routes": routes}]},
        "http_filters": [_geoip(world), _jwt(world), _rbac(), _filter("router", "router.v3.Router", {})],
    }
    chain = {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": connections}]}
    cluster = {
        "name": "exchange",
        "load_assignment": {
            "cluster_name": "exchange",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": _address(exchange)}}]}],
        },
    }
    listener = {"name": "web", "address": _address(port), "filter_chains": [chain]}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _filter(name: str, kind: str, config: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"envoy.filters.http.{name}",
        "typed_config": {"@type": f"{_TYPE}filters.http.{kind}", **config},
    }


def _geoip(world: World) -> dict[str, Any]:
    provider = {
        "@type": f"{_TYPE}geoip_providers.maxmind.v3.MaxMindConfig",
        "common_provider_config": {"geo_field_keys": {"country": _COUNTRY, "asn": "x-geo-asn"}},
        "country_db_path": str(world.country_db),
        "asn_db_path": str(world.asn_db),
    }
    config = {
        "xff_config": {"xff_num_trusted_hops": 0},
        "provider": {"name": "envoy.geoip_providers.maxmind", "typed_config": provider},
    }
    return _filter("geoip", "geoip.v3.Geoip", config)


def _jwt(world: World) -> dict[str, Any]:
    provider = {
        "issuer": ISSUER,
        "audiences": [AUDIENCE],
        "local_jwks": {"inline_string": world.jwks.read_text()},
        "forward": True,
        "jwt_cache_config": {"jwt_cache_size": 4096},
    }
    rules = [{"match": {"prefix": "/"}, "requires": {"provider_name": "exchange"}}]
    return _filter("jwt_authn", "jwt_authn.v3.JwtAuthentication", {"providers": {"exchange": provider}, "rules": rules})


def _rbac() -> dict[str, Any]:
    closed = {
        country: {
            "permissions": [{"any": True}],
            "principals": [{"header": {"name": _COUNTRY, "string_match": {"exact": country}}}],
        }
        for country in CLOSED
    }
    return _filter("rbac", "rbac.v3.RBAC", {"rules": {"action": "DENY", "policies": closed}})
