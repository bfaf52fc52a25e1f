"""Who asks for what: the tables about a request's address, its credential and its operation."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, ValidationInfo, field_validator, model_validator

from gateway.config import values
from gateway.config.table import Table, Text
from gateway.config.values import CookieName, HeaderName, Located, Network, OperationName, Seconds, Whole, meant

ASYMMETRIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SYMMETRIC = {"HS256": 32, "HS384": 48, "HS512": 64}
"""Algorithm → the least length of its secret in bytes (RFC 7518, section 3.2)."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


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
    issuer: Text
    audience: Text
    account_claim: Text = "sub"
    jwks: Text | None = None
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


def method(name: str) -> str:
    """Return `name` where it is a method that requests may have."""
    if name not in METHODS:
        raise ValueError(f"unknown method `{name[:32]}`{meant(name, METHODS)}")
    return name


class Route(Table):
    """One line of the operation table: what a method and a path attempt."""

    operation: OperationName
    path: Text
    methods: tuple[Annotated[str, AfterValidator(method)], ...] = ()

    @field_validator("path")
    @classmethod
    def _begins_with_a_slash(cls, path: str) -> str:
        if not path.startswith("/"):
            raise ValueError(f"`{path[:64]}` does not begin with `/`: did you mean `/{path[:64]}`?")
        return path
