"""Where the gateway listens: the tables about proxies that ask it, the server and the admin API."""

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config import values
from gateway.config.table import Table, Text
from gateway.config.values import HostName, Link, Network, Seconds, Size, Whole

Proxy = Literal["nginx", "caddy", "traefik", "haproxy", "envoy"]


class ForwardAuth(Table):
    """Which proxies ask the gateway about requests that they pass on themselves."""

    proxies: Annotated[tuple[Proxy, ...], AfterValidator(values.some)]
    asked_by: Annotated[tuple[Network, ...], AfterValidator(values.some)]
    grpc_port: Whole | None = Field(default=None, ge=0, le=65_535)

    @model_validator(mode="after")
    def _envoy_alone_asks_over_grpc(self) -> Self:
        if self.grpc_port is not None and "envoy" not in self.proxies:
            raise ValueError('`grpc_port` is where Envoy asks, and `proxies` does not name `"envoy"`')
        return self


class Server(Table):
    """Where the gateway listens."""

    host: Text = "127.0.0.1"
    port: Whole = Field(default=8080, ge=0, le=65_535)
    allowed_hosts: tuple[HostName, ...] = ()
    max_header_bytes: Size = Field(default=32 * 1024, ge=4 * 1024, le=1024**2)
    support_url: Link | None = None
    look_again_s: Seconds = Field(default=30, alias="look_again", ge=1, le=3600)
    drain_s: Seconds = Field(default=0, alias="drain", ge=0, le=300)


class Admin(Table):
    """Where the admin API listens; nowhere without a port."""

    host: Text = "127.0.0.1"
    port: Whole | None = Field(default=None, ge=0, le=65_535)
    tls_in_front: bool = False

    @model_validator(mode="after")
    def _tokens_do_not_cross_a_network_in_the_clear(self) -> Self:
        if self.host not in values.LOOPBACK and not self.tls_in_front:
            raise ValueError(
                f"`host` is `{self.host[:64]}`, which others reach, and the API itself speaks plain HTTP; end TLS in "
                "front of it and say `tls_in_front = true`, or listen on `127.0.0.1`"
            )
        return self
