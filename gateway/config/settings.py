"""What there is to decide, table by table. Every key, its default and what it means: `docs/configuration.md`.

Keys stand here under the names that the file uses, except durations: the file says `leeway = "30s"`, the code reads
`leeway_s`. Nothing here opens a file; `reading.py` does.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PrivateAttr,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from gateway.config import values
from gateway.config.values import (
    CookieName,
    HeaderName,
    HostName,
    Link,
    Located,
    Milliseconds,
    Network,
    Origin,
    Seconds,
    Size,
    Whole,
    meant,
)
from gateway.core.countries import is_country, is_subdivision
from gateway.core.terms import Operation

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SYMMETRIC = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Algorithm → the least length of its secret in bytes (RFC 7518, section 3.2)."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
BUILT_IN = frozenset({"shipped", "rir"})
"""Sources of location data that are named rather than found in a file."""
LIBRARY = "library:"

_Text = Annotated[str, Field(min_length=1, max_length=512)]


class Table(BaseModel):
    """A table of the configuration: frozen, and every key known."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class ClientIP(Table):
    """Whom we hold responsible for a request."""

    trusted_proxies: tuple[Network, ...]
    header: HeaderName = "X-Forwarded-For"
    trusted_hops: Whole | None = Field(default=None, ge=1, le=32)
    untrusted_peer: Literal["use_peer", "reject"] = "use_peer"
    private_clients: tuple[Network, ...] = ()
    trust_unix_socket: bool = False
    nat64_prefixes: tuple[Network, ...] = ()

    @model_validator(mode="after")
    def _nothing_is_said_about_proxies_where_none_is_trusted(self) -> Self:
        if not self.trusted_proxies and not self.trust_unix_socket:
            for key in ("header", "trusted_hops"):
                if key in self.model_fields_set and getattr(self, key) is not None:
                    raise ValueError(
                        f"`{key}` is given, yet `trusted_proxies = []` says that nobody may speak for another address; "
                        f"name the proxies, or leave `{key}` out"
                    )
            if self.untrusted_peer == "reject":
                raise ValueError('`untrusted_peer = "reject"` with `trusted_proxies = []` leaves no address for anyone')
        return self


def _algorithm(name: str) -> str:
    if name in ASYMMETRIC or name in SYMMETRIC:
        return name
    if name.casefold() == "none":
        raise ValueError("`none` accepts tokens that nobody signed; name the algorithm that your issuer signs with")
    raise ValueError(f"unknown algorithm `{name[:32]}`{meant(name, [*ASYMMETRIC, *SYMMETRIC])}")


class Identity(Table):
    """How credentials are checked."""

    algorithms: Annotated[tuple[Annotated[str, AfterValidator(_algorithm)], ...], AfterValidator(values.some)]
    issuer: _Text
    audience: _Text
    account_claim: _Text = "sub"
    jwks: _Text | None = None
    secret: SecretStr | None = None
    secret_file: Located | None = None
    leeway_s: Seconds = Field(default=30, alias="leeway", ge=0, le=300)
    cookie: CookieName | None = None
    api_key_header: HeaderName | None = None
    max_lifetime_s: Seconds = Field(default=86_400, alias="max_lifetime", ge=1)
    remember_s: Seconds = Field(default=300, alias="remember", ge=0, le=3600)
    assurance: Mapping[str, Annotated[Whole, Field(ge=1, le=3)]] = Field(default_factory=dict)

    @property
    def least_secret_bytes(self) -> int:
        """How long the secret must be for the algorithms in use; 0 where none needs a secret."""
        return max(SYMMETRIC.get(name, 0) for name in self.algorithms)

    @field_validator("jwks")
    @classmethod
    def _locate(cls, jwks: str | None, info: ValidationInfo) -> str | None:
        if jwks is None or "://" in jwks:
            return jwks and values.key_set_address(jwks)
        return values.under_base(jwks, info)

    @field_validator("api_key_header")
    @classmethod
    def _not_a_header_with_another_meaning(cls, name: str | None) -> str | None:
        if name and name.lower() in {"authorization", "cookie", "host"}:
            raise ValueError(f"`{name}` already has a meaning; choose a name of its own, such as `X-API-Key`")
        return name

    @model_validator(mode="after")
    def _one_kind_of_key(self) -> Self:
        symmetric = self.least_secret_bytes > 0
        if symmetric and any(name in ASYMMETRIC for name in self.algorithms):
            # A public key would serve as an HMAC secret: RFC 8725, section 2.1.
            raise ValueError("`algorithms` mixes signatures (public keys) with HMAC (a secret); keep one kind")
        given = [key for key in ("jwks", "secret", "secret_file") if getattr(self, key) is not None]
        if symmetric and given not in (["secret"], ["secret_file"]):
            found = " and ".join(f"`{key}`" for key in given) or "neither"
            raise ValueError(f"HMAC algorithms need `secret_file` (or `secret`) and nothing else; {found} is given")
        if not symmetric and given != ["jwks"]:
            found = " and ".join(f"`{key}`" for key in given) or "nothing"
            raise ValueError(f"`algorithms` are checked with public keys: `jwks` and nothing else; {found} is given")
        if self.secret is not None:
            self.require_long_enough(self.secret.get_secret_value().encode(), "secret")
        return self

    def require_long_enough(self, secret: bytes, key: str) -> None:
        """Return where `secret` is as long as the algorithms need; raise ValueError otherwise, without the secret."""
        if len(secret) < self.least_secret_bytes:
            raise ValueError(
                f"`{key}` has {len(secret)} bytes, {' and '.join(self.algorithms)} needs {self.least_secret_bytes} or "
                "more of randomness; `openssl rand -hex 32 > FILE` makes 64"
            )


def _operation(name: str) -> str:
    if name not in list(Operation):
        raise ValueError(f"unknown operation `{name[:32]}`{meant(name, Operation)}")
    return name


def _method(name: str) -> str:
    if name not in METHODS:
        raise ValueError(f"unknown method `{name[:32]}`{meant(name, METHODS)}")
    return name


class Route(Table):
    """One line of the operation table: what a method and a path attempt."""

    operation: Annotated[str, AfterValidator(_operation)]
    path: _Text
    methods: tuple[Annotated[str, AfterValidator(_method)], ...] = ()

    @field_validator("path")
    @classmethod
    def _begins_with_a_slash(cls, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError(f"`{path[:64]}` does not begin with `/`: did you mean `/{path[:64]}`?")
        return path


def _policy_path(path: str, info: ValidationInfo) -> str:
    return path if path.startswith(LIBRARY) else values.under_base(path, info)


class Policies(Table):
    """Which policies decide."""

    paths: Annotated[tuple[Annotated[_Text, AfterValidator(_policy_path)], ...], AfterValidator(values.some)] = (
        "library:account-status",
        "library:credentials",
        "library:holds",
    )


def _source(name: str, info: ValidationInfo) -> str:
    return name if name in BUILT_IN else values.under_base(name, info)


_Source = Annotated[_Text, AfterValidator(_source)]
_NetworkName = Annotated[str, AfterValidator(values.network_name)]


class MaxAge(Table):
    """How old an edition may grow."""

    warn_s: Seconds = Field(default=35 * 86_400, alias="warn", ge=1)
    refuse_s: Seconds | None = Field(default=None, alias="refuse", ge=1)

    @model_validator(mode="after")
    def _warned_before_refused(self) -> Self:
        if self.refuse_s is not None and self.refuse_s < self.warn_s:
            raise ValueError("`refuse` comes before `warn`; nobody would have been warned")
        return self


class Override(Table):
    """What the operator says of a network, against every database."""

    country: str | None = None
    subdivision: str | None = None
    asn: Whole | None = Field(default=None, ge=1, le=4_294_967_295)
    network: tuple[_NetworkName, ...] | None = None

    @model_validator(mode="after")
    def _names_real_places(self) -> Self:
        if self.country is not None and not is_country(self.country):
            raise ValueError(f"`{self.country[:16]}` is not a country code of ISO 3166-1, such as `DE`")
        if self.subdivision is not None:
            if not is_subdivision(self.subdivision):
                raise ValueError(f"`{self.subdivision[:16]}` is not a subdivision code of ISO 3166-2, such as `US-NY`")
            if self.country is not None and not self.subdivision.startswith(f"{self.country}-"):
                raise ValueError(f"subdivision `{self.subdivision}` does not lie in country `{self.country}`")
        if not self.model_fields_set:
            raise ValueError("says nothing: give country, subdivision, asn or network")
        return self


class GeoDB(Table):
    """Where location data comes from."""

    country: tuple[_Source, ...] = ("shipped",)
    subdivision: tuple[_Source, ...] = ()
    asn: tuple[_Source, ...] = ("shipped",)
    anonymizer: tuple[_Source, ...] = ()
    networks: Mapping[_NetworkName, Located] = Field(default_factory=dict)
    combine: Literal["any", "first"] = "any"
    max_age: MaxAge = MaxAge()
    overrides: Mapping[Network, Override] = Field(default_factory=dict)
    check_every_s: Seconds = Field(default=30, alias="check_every", ge=1)

    @field_validator("subdivision", "asn", "anonymizer")
    @classmethod
    def _built_in_sources_know_less(cls, sources: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        for name in BUILT_IN.intersection(sources):
            if (info.field_name, name) != ("asn", "shipped"):
                raise ValueError(f"`{name}` has no {info.field_name} data; give the path of a database")
        return sources

    @property
    def max_age_warn_s(self) -> int:
        """Seconds after which an edition is warned about."""
        return self.max_age.warn_s

    @property
    def max_age_refuse_s(self) -> int | None:
        """Seconds after which an edition makes location facts Unknown; None for never."""
        return self.max_age.refuse_s


class Store(Table):
    """Where accounts live."""

    url: _Text = Field(default="sqlite:///var/gateway.db", repr=False, validate_default=True)
    redis: str = Field(default="", repr=False)

    @field_validator("url")
    @classmethod
    def _locate(cls, url: str, info: ValidationInfo) -> str:
        scheme, _, path = url.partition(":///")
        if scheme != "sqlite" or not path or "?" in path:
            raise ValueError("must be `sqlite:///PATH`: the embedded store is the only one that this version has")
        return f"sqlite:///{values.under_base(path, info)}"

    @field_validator("redis")
    @classmethod
    def _not_yet(cls, redis: str) -> str:
        if redis:
            raise ValueError("this version keeps no shared state; leave `redis` empty")
        return redis


class Journal(Table):
    """Where decisions are recorded."""

    directory: Located = Field(default=Path("var/journal"), validate_default=True)
    segment_bytes: Size = Field(default=64 * 1024**2, ge=1024**2, le=1024**3)
    sync_every_ms: Milliseconds = Field(default=20, alias="sync_every", ge=1, le=10_000)
    signing_key: Located | None = None
    publish: Located | None = None


class Archive(Table):
    """Where decisions go from the journal, and how long either keeps them."""

    url: _Text | None = Field(default=None, repr=False)
    ship: Literal["process", "thread", "off"] = "process"
    keep_s: Seconds | None = Field(default=None, alias="keep", ge=3600)
    keep_journal_s: Seconds = Field(default=7 * 86_400, alias="keep_journal", ge=60)
    journal_at_most: Size | None = Field(default=None, ge=16 * 1024**2)
    warn_behind_s: Seconds = Field(default=60, alias="warn_behind", ge=1)

    @field_validator("url")
    @classmethod
    def _locate(cls, url: str | None, info: ValidationInfo) -> str | None:
        scheme, _, rest = (url or "none").partition("://")
        if scheme == "none" or (scheme == "postgresql" and rest):
            return url
        if scheme != "sqlite" or len(rest) < 2 or rest[0] != "/" or "?" in rest:
            raise ValueError("must be `sqlite:///PATH`, `postgresql://USER@HOST/DATABASE` or `none`")
        return f"sqlite:///{values.under_base(rest[1:], info)}"


class Upstream(Table):
    """What the gateway stands in front of."""

    url: Origin


class Server(Table):
    """Where the gateway listens."""

    host: _Text = "127.0.0.1"
    port: Whole = Field(default=8080, ge=0, le=65_535)
    allowed_hosts: tuple[HostName, ...] = ()
    max_header_bytes: Size = Field(default=32 * 1024, ge=4 * 1024, le=1024**2)
    support_url: Link | None = None


class Admin(Table):
    """Where the admin API listens; nowhere without a port."""

    host: _Text = "127.0.0.1"
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


_OPTIONAL = ("policies", "geodb", "store", "journal", "archive", "server", "admin")


class Settings(Table):
    """The whole configuration. `gateway.config.load` makes it from a file and the environment."""

    client_ip: ClientIP
    identity: Identity | None = None
    operations: tuple[Route, ...] = ()
    policies: Policies = Policies()
    geodb: GeoDB = GeoDB()
    store: Store = Store()
    journal: Journal = Journal()
    archive: Archive = Archive()
    upstream: Upstream | None = None
    server: Server = Server()
    admin: Admin = Admin()
    _base: Path = PrivateAttr(default=Path())

    @model_validator(mode="before")
    @classmethod
    def _tables_left_out_are_empty(cls, data: object) -> object:
        """Return `data` with every optional table in it, so that default paths are resolved like given ones."""
        return {**{name: {} for name in _OPTIONAL}, **data} if isinstance(data, Mapping) else data

    @property
    def archive_url(self) -> str | None:
        """Where decisions are archived; None where they stay in the journal."""
        if self.archive.url is None:
            return f"sqlite:///{Path(self.store.url.removeprefix('sqlite:///')).parent / 'decisions.db'}"
        return None if self.archive.url == "none" else self.archive.url

    @property
    def base(self) -> Path:
        """The folder that relative paths were resolved against."""
        return self._base

    @model_validator(mode="after")
    def _remember_the_folder(self, info: ValidationInfo) -> Self:
        if info.context:
            self._base = info.context["base"]
        return self
