"""What a check of the journal found, as values and in words."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from gateway.core.decision import Document

MOST_FINDINGS: Final = 1000
"""How many a proof holds; what is beyond is counted, and was reported."""


class Finding(NamedTuple):
    """One place where the journal is not what was sealed."""

    worker: str
    file: str
    offset: int | None
    """Where in the file: a byte of a segment, or the number of a line of the seals."""
    first: int | None
    last: int | None
    """The sequence numbers of the decisions in question: 1 is the worker's first."""
    what: str
    hides: int | None
    """How many answered requests it may hide at most; None where that cannot be said."""

    def text(self) -> str:
        """Return one line for people."""
        unit = "offset" if self.file.endswith(".gwj") else "line"
        place = f"{self.file}, {unit} {self.offset}" if self.offset is not None else self.file
        which = ""
        if self.first is not None and self.last is not None and self.first <= self.last:
            which = f" (decisions {self.first:,} to {self.last:,} of {self.worker})"
        hides = "; how many answered requests it may hide cannot be said"
        if self.hides is not None:
            hides = f"; may hide {self.hides:,} answered requests" if self.hides else "; hides none"
        return f"{place}: {self.what}{which}{hides}"


Report = Callable[[Finding], None]


class WorkerProof(NamedTuple):
    """What is proved of one worker."""

    worker: str
    first: int
    """The sequence number of the first decision that is sealed and there."""
    last: int
    """That of the last; `first - 1` where there is none."""
    segments: int
    seals: int
    reclaimed: int
    """How many segments another process sealed, after the worker had been killed."""
    removed: int
    """How many decisions were removed on purpose."""
    unsealed: int
    """How many decisions at the newest end are not sealed yet."""
    unsealed_at: str | None
    """Where that end begins: file and offset."""


class Witness(NamedTuple):
    """Something beside the chain that names a line of it, and agrees."""

    worker: str
    line: int
    where: str
    at: int | None
    """When an authority stamped it, microseconds since the epoch; None where it was published only."""

    def text(self) -> str:
        """Return it in words."""
        if self.at is None:
            return f"line {self.line:,} is in {self.where}"
        # Never later than it was, whatever the part of a second.
        at = datetime.fromtimestamp(self.at // 1_000_000, UTC)
        return f"line {self.line:,} was stamped {at:%Y-%m-%dT%H:%M:%SZ}, {self.where}"


class Proof(NamedTuple):
    """The outcome of a check."""

    directory: Path
    workers: tuple[WorkerProof, ...]
    findings: tuple[Finding, ...]
    more: int = 0
    """How many findings there are beyond those."""
    witnesses: tuple[Witness, ...] = ()
    """The newest line of each worker in each file of published seals, and the newest that was stamped."""

    @property
    def ok(self) -> bool:
        """Whether everything that was sealed is there, as it was sealed."""
        return not self.findings

    def text(self) -> str:
        """Return the outcome for people."""
        findings = len(self.findings) + self.more
        outcome = "as it was sealed" if self.ok else f"{findings:,} finding{'s' if findings > 1 else ''}"
        lines = [f"journal {self.directory}: {outcome}", *(f"  {one.text()}" for one in self.findings)]
        if self.more:
            lines.append(f"  … and {self.more:,} more")
        for one in self.workers:
            extra = [
                *([f"{one.reclaimed} sealed after a kill"] if one.reclaimed else []),
                *([f"{one.removed:,} decisions removed on purpose"] if one.removed else []),
                *([f"{one.unsealed:,} decisions not sealed yet, from {one.unsealed_at}"] if one.unsealed else []),
            ]
            numbers = f"decisions {one.first:,} to {one.last:,}" if one.first <= one.last else "no decisions"
            counts = f"{numbers}, {one.segments:,} segments, {one.seals:,} seals"
            lines.append(f"  {one.worker}: {'; '.join([counts, *extra])}")
            lines += [f"    {named.text()}" for named in self.witnesses if named.worker == one.worker]
        return "\n".join(lines)

    def to_json(self) -> Document:
        """Return the outcome as a JSON document."""
        return {
            "directory": str(self.directory),
            "ok": self.ok,
            "findings": [one._asdict() for one in self.findings],
            "more_findings": self.more,
            "workers": [one._asdict() for one in self.workers],
            "witnesses": [one._asdict() for one in self.witnesses],
        }
