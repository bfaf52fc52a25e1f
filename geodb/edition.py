"""One dated build of one database: what it is, how old it is, and the digest that a decision can cite."""

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from typing_extensions import override

MICROSECONDS = 1_000_000


class BadEdition(Exception):
    """A database that cannot be used. The message says which file, what is wrong, and what was probably meant."""


class Edition(NamedTuple):
    """What identifies the data behind an answer."""

    name: str
    path: Path | None
    """The file it was read from; None for data inside a library."""
    database_type: str
    built_at: int | None
    """Seconds since the epoch; None where the source does not say."""
    sha256: str
    size: int
    version: str = ""
    """What stands in place of the date where the source has a version and no date."""

    @property
    def date(self) -> str:
        """The build date, else the version, else `undated`."""
        if self.built_at is None:
            return self.version or "undated"
        return datetime.fromtimestamp(self.built_at, UTC).date().isoformat()

    def age_s(self, at: int) -> int | None:
        """Return the age in seconds at `at` (microseconds since the epoch); None where the source has no date."""
        return None if self.built_at is None else at // MICROSECONDS - self.built_at

    @override
    def __str__(self) -> str:
        return f"{self.name}@{self.date}#{self.sha256[:8]}"


def slug(text: str) -> str:
    """Return `text` as a short lower-case name that cannot be mistaken for anything else in a log line."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")[:48] or "unnamed"
