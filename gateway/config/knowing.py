"""What is known and what decides: the tables about policies, location data and accounts."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from gateway.config import values
from gateway.config.sharing import Redis, each_way
from gateway.config.store_url import SHAPES, postgres_url
from gateway.config.table import ALSO_TEXT, Table, Text
from gateway.config.values import Located, Network, OperationName, Seconds, Whole
from gateway.core.countries import is_country, is_subdivision

BUILT_IN = frozenset({"shipped", "rir"})
"""Sources of location data that are named rather than found in a file."""
LIBRARY = "library:"


def _policy_path(path: str, info: ValidationInfo) -> str:
    return path if path.startswith(LIBRARY) else values.under_base(path, info)


class NeverLockOut(Table):
    """Requests that a revision of the policies must go on allowing."""

    name: Text
    operations: Annotated[tuple[OperationName, ...], AfterValidator(values.some)]
    facts: Mapping[str, str | int | tuple[str, ...]]


class Policies(Table):
    """Which policies decide, and on which terms they are published."""

    paths: Annotated[tuple[Annotated[Text, AfterValidator(_policy_path)], ...], AfterValidator(values.some)] = (
        "library:account-status",
        "library:credentials",
        "library:holds",
    )
    shadow: tuple[Annotated[Text, AfterValidator(_policy_path)], ...] = ()
    source: Literal["files", "store"] = "files"
    approve_within_s: Seconds = Field(default=7 * 86_400, alias="approve_within", ge=60, le=90 * 86_400)
    return_within_s: Seconds = Field(default=7 * 86_400, alias="return_within", ge=3600, le=90 * 86_400)
    flips_at_most: float = Field(default=0.05, ge=0, le=1)
    never_lock_out: tuple[NeverLockOut, ...] = Field(default=(), max_length=64)


def _source(name: str, info: ValidationInfo) -> str:
    return name if name in BUILT_IN else values.under_base(name, info)


_Source = Annotated[Text, AfterValidator(_source)]
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

    # Before `url`, whose query they become: so one text says where the store is, to every process that needs it.
    password_file: Located | None = None
    ca_file: Located | None = None
    url: Text = Field(default="sqlite:///var/gateway.db", repr=False, validate_default=True)
    redis: Annotated[Redis | None, ALSO_TEXT, BeforeValidator(each_way)] = None

    @field_validator("url")
    @classmethod
    def _locate(cls, url: str, info: ValidationInfo) -> str:
        files = {name: info.data.get(name) for name in ("password_file", "ca_file")}
        if url.startswith("postgresql://"):
            return postgres_url(url, **files)
        scheme, _, path = url.partition(":///")
        if scheme != "sqlite" or not path or "?" in path:
            raise ValueError(SHAPES)
        for name in (name for name, file in files.items() if file is not None):
            raise ValueError(f"is a file, which takes no `{name}`: that is for PostgreSQL")
        return f"sqlite:///{values.under_base(path, info)}"
