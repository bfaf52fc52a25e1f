"""What the gateway stands in front of: the tables about upstreams."""

from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from gateway.config.table import Table
from gateway.config.values import HostName, Located, Origin, Seconds, Whole
from gateway.core.errors import ConfigError
from gateway.core.operations import checked_path


def route(path: str) -> str:
    """Return `path` where it is in Starlette's syntax and requests can have it."""
    try:
        return checked_path(path)
    except ConfigError as fault:
        raise ValueError(str(fault)) from None


class Upstream(Table):
    """Where requests go, how long each step may take, and whose certificate is believed."""

    url: Origin
    connect_timeout_s: Seconds = Field(default=5, alias="connect_timeout", ge=1, le=60)
    queue_timeout_s: Seconds = Field(default=1, alias="queue_timeout", ge=1, le=60)
    response_timeout_s: Seconds = Field(default=60, alias="response_timeout", ge=1, le=3600)
    idle_timeout_s: Seconds = Field(default=60, alias="idle_timeout", ge=1, le=86_400)
    body_timeout_s: Seconds = Field(default=30, alias="body_timeout", ge=1, le=600)
    connections: Whole = Field(default=256, ge=1, le=10_000)
    websockets: Whole = Field(default=10_000, ge=0, le=100_000)
    ca_file: Located | None = None
    server_name: HostName | None = None
    cert_file: Located | None = None
    key_file: Located | None = None

    @model_validator(mode="after")
    def _certificates_are_for_tls(self) -> Self:
        if not self.url.startswith("https://"):
            for key in ("ca_file", "server_name", "cert_file", "key_file"):
                if getattr(self, key) is not None:
                    raise ValueError(f"`{key}` is about TLS, and `url` is plain HTTP: did you mean `https://`?")
        if self.key_file is not None and self.cert_file is None:
            raise ValueError("`key_file` is the key of a certificate: name that as `cert_file`")
        return self


class RoutedUpstream(Upstream):
    """Where the requests of one path go."""

    path: Annotated[str, Field(max_length=512), AfterValidator(route)]


def each_once(upstreams: tuple[RoutedUpstream, ...]) -> tuple[RoutedUpstream, ...]:
    """Return the tables where no two have the same path."""
    paths = [one.path for one in upstreams]
    for number, path in enumerate(paths):
        if path in paths[:number]:
            raise ValueError(f"`{path}` stands there twice, and the first one takes every request")
    return upstreams
