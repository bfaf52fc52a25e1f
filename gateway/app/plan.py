"""What shipping needs to know of the settings: plain values, for a process of its own."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson


class Plan(NamedTuple):
    """Where decisions go and how long they stay. Secrets are named by their files."""

    directory: str
    url: str | None
    """Of the archive; None where decisions go to sinks alone."""
    keep_journal_s: int
    journal_at_most: int | None
    warn_behind_s: int
    keep_money_s: int | None = None
    keep_refused_s: int | None = None
    keep_rest_s: int | None = None
    keep_personal_s: int | None = None
    personal: str = "clear"
    digest_key: str | None = None
    """The file with the key of digests."""
    export: str | None = None
    """The folder into which the archive writes days that it lets go."""
    compress: bool = True
    signing_key: str | None = None
    """The file with the key that seals the journal; None where it is the folder's own."""
    store: str = ""
    """Of the accounts, for what decisions ask for besides an answer; empty where nothing carries that out."""
    sinks: Sequence[Mapping[str, Any]] = ()
    """What `sinks_of` reads: one mapping for each sink."""
    shadow: Mapping[str, Any] | None = None
    """What `Shadowing` reads of the candidate that is followed beside the policies in force; None where none is."""

    def line(self) -> bytes:
        """Return the plan as one line, for `of_line` in another process."""
        return orjson.dumps(list(self)) + b"\n"

    @classmethod
    def of_line(cls, line: bytes) -> "Plan":
        """Return the plan that `line` is."""
        return cls(*orjson.loads(line))

    @property
    def ships(self) -> bool:
        """Whether decisions go anywhere: else the journal is only read."""
        return self.url is not None or bool(self.sinks)

    @property
    def to_stdout(self) -> bool:
        """Whether a sink writes to standard output."""
        return any(sink["kind"] == "stdout" for sink in self.sinks)
