"""Who is told what happens to accounts, who tells it, and where evidence is kept: the tables about these."""

import re
from collections import Counter
from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from gateway.config import values
from gateway.config.requests import ASYMMETRIC
from gateway.config.table import Table, Text
from gateway.config.values import HostName, Located, Seconds, Size, meant
from gateway.core.messages import Told


def _name(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,31}", name):
        raise ValueError(f"`{name[:32]}` is not a name; write small letters, digits and `-`, such as `exchange`")
    return name


def _told(kind: str) -> str:
    if kind not in tuple(Told):
        near = meant(kind, Told)
        raise ValueError(
            f"no message is a `{kind[:32]}`{near or '; there are ' + ', '.join(f'`{one}`' for one in Told)}"
        )
    return kind


class Webhook(Table):
    """One who is told what happens to accounts."""

    name: Annotated[str, AfterValidator(_name)] = "exchange"
    url: Text = Field(repr=False)
    secret_file: Located
    types: Annotated[tuple[Annotated[str, AfterValidator(_told)], ...], Field(max_length=32)] = ()
    allow_private: bool = False
    ca_file: Located | None = None


def named_apart(webhooks: tuple[Webhook, ...]) -> tuple[Webhook, ...]:
    """Return the webhooks, where each has a name of its own."""
    for name, times in Counter(one.name for one in webhooks).items():
        if times > 1:
            raise ValueError(f"{times} are called `{name}`; give each a `name` of its own")
    return webhooks


def _signature(name: str) -> str:
    if name.startswith("HS"):
        raise ValueError(
            f"`{name[:32]}` is of shared secrets, which do not prove who sent a token; sign with a key pair"
        )
    if name not in ASYMMETRIC:
        raise ValueError(f"unknown algorithm `{name[:32]}`{meant(name, ASYMMETRIC)}")
    return name


class Issuer(Table):
    """One who may push Security Event Tokens."""

    issuer: Text
    audience: Text
    jwks: Text
    algorithms: Annotated[tuple[Annotated[str, AfterValidator(_signature)], ...], AfterValidator(values.some)]
    subject_issuers: Annotated[tuple[Text, ...], Field(max_length=16)] = ()
    account_hosts: Annotated[tuple[HostName, ...], Field(max_length=16)] = ()
    max_age_s: Seconds = Field(default=86_400, alias="max_age", ge=60, le=30 * 86_400)

    @field_validator("jwks")
    @classmethod
    def _locate(cls, jwks: str, info: ValidationInfo) -> str:
        return values.key_set_address(jwks) if "://" in jwks else values.under_base(jwks, info)


def each_once(issuers: tuple[Issuer, ...]) -> tuple[Issuer, ...]:
    """Return the issuers, where each is configured once."""
    for name, times in Counter(one.issuer for one in issuers).items():
        if times > 1:
            raise ValueError(f"`{name[:64]}` is configured {times} times; keep one, and its keys in one JWKS")
    return issuers


def _place(where: str, info: ValidationInfo) -> str:
    return where if "://" in where else values.under_base(where, info)


class Evidence(Table):
    """Where files of evidence are kept, and what encrypts them."""

    key_file: Located
    where: Annotated[Text, AfterValidator(_place)] = Field(default="var/evidence", validate_default=True)
    largest_file: Size = Field(default=10 * 1024**2, ge=1024, le=64 * 1024**2)
    options: Annotated[Mapping[Text, Text], AfterValidator(values.no_secrets)] = Field(default_factory=dict)
    credentials_file: Located | None = None


def _provider(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}", name):
        raise ValueError(f"`{name[:64]}` is not a name; write letters, digits, spaces, `.`, `_` and `-`, at most 64")
    return name


class IdentityResults(Table):
    """Who checks identities for us."""

    provider: Annotated[str, AfterValidator(_provider)]
    secret_file: Located
