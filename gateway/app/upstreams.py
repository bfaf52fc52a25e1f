"""The reverse proxy, from what the configuration says about upstreams."""

from gateway.config import Settings
from gateway.config.upstreams import Upstream as Table
from gateway.core.errors import ConfigError
from gateway.enforce.proxy_pool import Limits, Upstream
from gateway.enforce.reverse_proxy import ReverseProxy


def reverse_proxy(settings: Settings) -> ReverseProxy:
    """Return the proxy in front of `[upstream]` and `[[upstreams]]`. Raise ConfigError where their TLS cannot work."""
    if settings.upstream is None:
        raise ConfigError("there is no `[upstream]` to pass requests on to")
    return ReverseProxy(_upstream(settings.upstream), [(one.path, _upstream(one)) for one in settings.upstreams])


def _upstream(table: Table) -> Upstream:
    return Upstream(
        table.url,
        Limits(
            connect_s=table.connect_timeout_s,
            queue_s=table.queue_timeout_s,
            response_s=table.response_timeout_s,
            idle_s=table.idle_timeout_s,
            body_s=table.body_timeout_s,
            connections=table.connections,
            websockets=table.websockets,
        ),
        ca_file=table.ca_file,
        server_name=table.server_name,
        certificate=table.cert_file,
        key=table.key_file,
    )
