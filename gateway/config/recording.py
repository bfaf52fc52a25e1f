"""Where decisions are recorded and how long they stay: the tables about the journal and the archive."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator, model_validator

from gateway.config import values
from gateway.config.table import ALSO_TEXT, Table, Text
from gateway.config.values import CalledAddress, Located, Milliseconds, Seconds, Size, StampingAddress

_HOUR_S: Final = 3600
_MOST_S: Final = 100 * 365 * 86_400
"""A hundred years: what is kept longer is kept for ever."""


class Publishing(Table):
    """A place outside the journal's folder that the newest seals go to."""

    file: Located | None = None
    url: CalledAddress | None = None
    secret_file: Located | None = None
    timestamp_url: StampingAddress | None = None

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [key for key in ("file", "url", "timestamp_url") if getattr(self, key) is not None]
        if len(given) != 1:
            found = " and ".join(f"`{key}`" for key in given) or "none"
            raise ValueError(f"is one place: `file`, `url` or `timestamp_url`; {found} is given")
        if (self.secret_file is None) is (self.url is not None):
            raise ValueError(
                "`url` needs `secret_file`: whoever is called tells by it that the seal is yours"
                if self.url is not None
                else f"`secret_file` signs what is posted to `url`; `{given[0]}` takes none"
            )
        return self


def _each_in_a_table(value: object) -> object:
    return [{"file": value}] if isinstance(value, str | Path) else value


class Journal(Table):
    """Where decisions are recorded."""

    directory: Located = Field(default=Path("var/journal"), validate_default=True)
    segment_bytes: Size = Field(default=64 * 1024**2, ge=1024**2, le=1024**3)
    sync_every_ms: Milliseconds = Field(default=20, alias="sync_every", ge=1, le=10_000)
    signing_key: Located | None = None
    publishing: Annotated[tuple[Publishing, ...], ALSO_TEXT, BeforeValidator(_each_in_a_table)] = Field(
        default=(), alias="publish", max_length=16
    )
    compress: bool = True


class Keep(Table):
    """How long the archive keeps a decision: each belongs to the first of these that holds for it."""

    money_s: Seconds | None = Field(default=None, alias="money", ge=_HOUR_S, le=_MOST_S)
    refused_s: Seconds | None = Field(default=None, alias="refused", ge=_HOUR_S, le=_MOST_S)
    rest_s: Seconds | None = Field(default=None, alias="rest", ge=_HOUR_S, le=_MOST_S)

    @property
    def drops_whole_days(self) -> bool:
        """Whether a day comes after which nothing is kept of it."""
        return None not in {self.money_s, self.refused_s, self.rest_s}


def _all_alike(value: object) -> object:
    """Return one duration as what is kept of each kind. Raise ValueError where it is none, or out of bounds."""
    if isinstance(value, Mapping | Keep):
        return value
    seconds = values.seconds(value)
    if not _HOUR_S <= seconds <= _MOST_S:
        raise ValueError("must be from 1h to 100y; leave it out to keep for ever")
    return dict.fromkeys(("money", "refused", "rest"), f"{seconds}s")


class Archive(Table):
    """Where decisions go from the journal, and how long either keeps them."""

    url: Text | None = Field(default=None, repr=False)
    ship: Literal["process", "thread", "off"] = "process"
    keep: Annotated[Keep, ALSO_TEXT, BeforeValidator(_all_alike)] = Keep()
    keep_journal_s: Seconds = Field(default=7 * 86_400, alias="keep_journal", ge=60, le=_MOST_S)
    journal_at_most: Size | None = Field(default=None, ge=16 * 1024**2)
    warn_behind_s: Seconds = Field(default=60, alias="warn_behind", ge=1, le=_MOST_S)
    personal: Literal["clear", "digest"] = "clear"
    keep_personal_s: Seconds | None = Field(default=None, alias="keep_personal", ge=_HOUR_S, le=_MOST_S)
    digest_key: Located | None = None
    export: Located | None = None

    @field_validator("url")
    @classmethod
    def _locate(cls, url: str | None, info: ValidationInfo) -> str | None:
        scheme, _, rest = (url or "none").partition("://")
        if scheme == "none" or (scheme == "postgresql" and rest):
            return url
        if scheme != "sqlite" or len(rest) < 2 or rest[0] != "/" or "?" in rest:
            raise ValueError("must be `sqlite:///PATH`, `postgresql://USER@HOST/DATABASE` or `none`")
        return f"sqlite:///{values.under_base(rest[1:], info)}"

    @model_validator(mode="after")
    def _digests_have_a_key(self) -> Self:
        if self.personal == "digest" and self.keep_personal_s is not None:
            raise ValueError(
                '`keep_personal` is given beside `personal = "digest"`, which keeps nothing that could be replaced '
                "later; leave one of them out"
            )
        wanted = '`personal = "digest"`' if self.personal == "digest" else "`keep_personal`"
        if self.digest_key is None and (self.personal == "digest" or self.keep_personal_s is not None):
            raise ValueError(
                f"{wanted} needs `digest_key`, a file with 32 bytes or more of randomness; "
                "`openssl rand -hex 32 > FILE` makes 64"
            )
        return self

    @model_validator(mode="after")
    def _export_has_something_to_take(self) -> Self:
        if self.export is None:
            return self
        if not (self.url or "").startswith("postgresql://"):
            raise ValueError("`export` takes the days that PostgreSQL lets go; `url` names another kind of archive")
        if not self.keep.drops_whole_days:
            raise ValueError(
                "`export` takes whole days that are let go, and none ever is: say how long they are kept, "
                '`keep = "400d"`, or each of `money`, `refused` and `rest`'
            )
        return self
