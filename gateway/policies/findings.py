"""What is wrong with a policy file, where, and what was probably meant."""

from collections.abc import Iterable
from difflib import get_close_matches
from enum import StrEnum, unique
from typing import Final, NamedTuple

from typing_extensions import override

from gateway.core.errors import PolicyError

MOST_LINES: Final = 200


class Place(NamedTuple):
    """A spot in a file, counted from 1."""

    file: str
    line: int
    column: int

    @override
    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@unique
class Severity(StrEnum):
    """How much a finding matters."""

    ERROR = "error"
    """The bundle is not loaded."""
    WARNING = "warning"
    """It is loaded; somebody should look."""
    NOTE = "note"


class Finding(NamedTuple):
    """One thing that somebody must mend, or should look at."""

    place: Place
    message: str
    code: str = "invalid"
    """A stable word for what kind of thing it is, such as `rule-never-determines`: for SARIF, and for filters."""
    severity: Severity = Severity.ERROR

    @override
    def __str__(self) -> str:
        matter = "" if self.severity is Severity.ERROR else f"{self.severity}: "
        return f"{self.place}: {matter}{self.message}"


class Rejected(PolicyError):
    """Policies that are not loaded. The message lists every finding, one a line, as far as anybody reads."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = tuple(sorted(set(findings)))
        lines = [str(finding) for finding in self.findings[:MOST_LINES]]
        if len(self.findings) > MOST_LINES:
            lines.append(f"and {len(self.findings) - MOST_LINES} more findings")
        super().__init__("\n".join(lines))


def quoted(word: object) -> str:
    """Return what somebody wrote, in backticks, cut to a length that leaves the message readable."""
    text = str(word).replace("\n", " ")
    return f"`{text}`" if len(text) <= 60 else f"`{text[:57]}...`"


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return `: did you mean X?` with the nearest of the options, or the options where they are few, or nothing."""
    known = sorted(set(options))
    folded = {_fold(option): option for option in known}
    near = get_close_matches(_fold(word[:64]), folded, n=1, cutoff=0.6)
    if near:
        return f": did you mean `{folded[near[0]]}`?"
    if 0 < len(known) <= 8:
        return f": it is one of {', '.join(f'`{option}`' for option in known)}"
    return ""


def _fold(word: str) -> str:
    return word.casefold().replace("-", "_").replace(" ", "_")
