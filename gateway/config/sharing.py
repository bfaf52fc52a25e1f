"""Where several gateways meet besides the store: the table about Redis or Valkey."""

import re
from typing import Annotated, Final, NamedTuple, Self
from urllib.parse import SplitResult, urlsplit

from pydantic import AfterValidator, Field, model_validator

from gateway.config.table import Table, Text
from gateway.config.values import LOOPBACK, Located, Milliseconds, Seconds, Whole, broker, meant

_KINDS: Final = ("", "+sentinel", "+cluster")
SCHEMES: Final = tuple(f"{base}{kind}" for base in ("redis", "rediss") for kind in _KINDS)
_PORTS: Final = {"": 6379, "+sentinel": 26_379, "+cluster": 6379}
_MOST_HOSTS: Final = 32


class Address(NamedTuple):
    """What the URL of a Redis says."""

    kind: str
    """`server`, `sentinel` or `cluster`."""
    tls: bool
    hosts: tuple[tuple[str, int], ...]
    service: str = ""
    """What the sentinels call the servers that they watch."""
    database: int = 0


def address_of(url: str) -> Address:
    """Return what a URL says. Raise ValueError in plain words."""
    scheme, separator, _ = url.partition("://")
    if not separator or scheme not in SCHEMES:
        guess = meant(scheme, SCHEMES) if separator else ""
        raise ValueError(f"write `redis://HOST:6379`, `redis+sentinel://…` or `redis+cluster://…`{guess}")
    if not url.isascii() or re.search(r"[\s\x00-\x1f\x7f]", url):
        raise ValueError("not a URL: it has characters that no URL has")
    parts = urlsplit(url)
    if "@" in parts.netloc:
        raise ValueError("must not carry credentials: say `username`, and put the password into `password_file`")
    if parts.query or parts.fragment:
        raise ValueError("takes no options after `?` or `#`; they are keys of `[store.redis]`")
    base, _, kind = scheme.partition("+")
    hosts = _hosts(parts.netloc, _PORTS[f"+{kind}" if kind else ""])
    rest = parts.path.strip("/")
    tls = base == "rediss"
    if kind == "sentinel":
        return _behind_sentinels(tls, hosts, rest)
    if kind == "cluster":
        if rest:
            raise ValueError("a cluster has one database: nothing follows the hosts")
        return Address("cluster", tls, hosts)
    if len(hosts) > 1:
        raise ValueError("names several servers: did you mean `redis+sentinel://` or `redis+cluster://`?")
    return Address("server", tls, hosts, database=_database(parts))


def _behind_sentinels(tls: bool, hosts: tuple[tuple[str, int], ...], rest: str) -> Address:
    service, _, database = rest.partition("/")
    if not re.fullmatch(r"[A-Za-z0-9._-]{1,128}", service):
        raise ValueError("after the sentinels comes the name of what they watch: `redis+sentinel://HOST,HOST/NAME`")
    return Address("sentinel", tls, hosts, service, _number(database))


def _database(parts: SplitResult) -> int:
    return _number(parts.path.removeprefix("/"))


def _number(database: str) -> int:
    if database and not re.fullmatch(r"\d{1,3}", database, re.ASCII):
        raise ValueError(f"`/{database[:32]}` is not a database; it is a number, such as `/0`")
    return int(database or 0)


def _hosts(netloc: str, port: int) -> tuple[tuple[str, int], ...]:
    found = []
    for one in netloc.split(","):
        named = one if re.search(r":\d+\Z", one) else f"{one}:{port}"
        host, _, number = broker(named).rpartition(":")
        found.append((host.strip("[]").lower(), int(number)))
    if len(found) > _MOST_HOSTS:
        raise ValueError(f"names {len(found)} hosts; {_MOST_HOSTS} are the most")
    return tuple(found)


def _url(url: str) -> str:
    address_of(url)
    return url


def _prefix(prefix: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._:-]{1,64}", prefix):
        raise ValueError("letters, digits, `.`, `_`, `:` and `-`, at most 64")
    return prefix


class Redis(Table):
    """A Redis or Valkey: a bell that tells others of changes, and a cache of what the store holds."""

    url: Annotated[Text, AfterValidator(_url)]
    username: Text | None = None
    password_file: Located | None = None
    sentinel_password_file: Located | None = None
    ca_file: Located | None = None
    cert_file: Located | None = None
    key_file: Located | None = None
    cache_key_file: Located | None = None
    cache_for_s: Seconds = Field(default=60, alias="cache_for", ge=1, le=3600)
    prefix: Annotated[str, AfterValidator(_prefix)] = "gateway"
    timeout_ms: Milliseconds = Field(default=50, alias="timeout", ge=1, le=1000)
    connect_timeout_ms: Milliseconds = Field(default=1000, alias="connect_timeout", ge=10, le=10_000)
    connections: Whole = Field(default=16, ge=1, le=256)

    @property
    def address(self) -> Address:
        """What the URL says."""
        return address_of(self.url)

    @model_validator(mode="after")
    def _what_belongs_together(self) -> Self:
        address = self.address
        if not address.tls:
            for key in ("ca_file", "cert_file", "key_file"):
                if getattr(self, key) is not None:
                    raise ValueError(f"`{key}` is about TLS, and `url` has none: did you mean `rediss`?")
            away = [host for host, _ in address.hosts if host not in LOOPBACK]
            for key in ("password_file", "sentinel_password_file"):
                if getattr(self, key) is not None and away:
                    raise ValueError(f"`{key}` would cross the network to `{away[0]}` in the clear: say `rediss`")
        if (self.cert_file is None) is not (self.key_file is None):
            raise ValueError("`cert_file` and `key_file` belong together: the certificate and its key")
        if self.username is not None and self.password_file is None:
            raise ValueError("`username` needs `password_file`")
        if self.sentinel_password_file is not None and address.kind != "sentinel":
            raise ValueError("`sentinel_password_file` is for `redis+sentinel://`")
        return self


def each_way(value: object) -> object:
    """Return the table of a plain URL, and nothing of an empty one; anything else as it is."""
    if isinstance(value, str):
        return {"url": value} if value else None
    return value
