"""Where decisions go and how long they stay: the tables about the journal and the archive."""

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from gateway.config import values
from gateway.config.table import Table, Text
from gateway.config.values import Located, Milliseconds, Seconds, Size


class Journal(Table):
    """Where decisions are recorded."""

    directory: Located = Field(default=Path("var/journal"), validate_default=True)
    segment_bytes: Size = Field(default=64 * 1024**2, ge=1024**2, le=1024**3)
    sync_every_ms: Milliseconds = Field(default=20, alias="sync_every", ge=1, le=10_000)
    signing_key: Located | None = None
    publish: Located | None = None


class Archive(Table):
    """Where decisions go from the journal, and how long either keeps them."""

    url: Text | None = Field(default=None, repr=False)
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
