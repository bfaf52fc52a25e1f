"""The table of failures: read from `docs/failure.toml`, shown in `docs/failure.md`."""

import tomllib
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT: Final = Path(__file__).resolve().parents[3]
DATA: Final = ROOT / "docs/failure.toml"
PAGE: Final = ROOT / "docs/failure.md"
KINDS: Final = ("money", "changes", "looks", "nobody")
ALWAYS: Final = "as always"
_BEGIN: Final = "<!-- the table, from failure.toml -->\n"
_END: Final = "<!-- the end of the table -->\n"


class Row(NamedTuple):
    """One fault, and what each class of requests gets."""

    part: str
    what: str
    cells: dict[str, str]
    note: str
    recorded: bool
    fault: str | None
    proved_by: tuple[str, ...]

    def expected(self, kind: str) -> tuple[int, str | None]:
        """Return status and reason."""
        cell = self.cells[kind]
        if cell == ALWAYS:
            return 200, None
        status, reason = cell.split()
        return int(status), reason


def rows() -> list[Row]:
    """Return every row. Raise KeyError or ValueError for one that is not whole."""
    found = []
    for one in tomllib.loads(DATA.read_text())["row"]:
        row: dict[str, Any] = dict(one)
        cells = {kind: row.pop(kind) for kind in KINDS}
        made = Row(
            row.pop("part"), row.pop("what"), cells, row.pop("note"), row.pop("recorded", True),
            row.pop("fault", None), tuple(row.pop("proved_by", ())),
        )  # fmt: skip
        if row or (made.fault is None) == (not made.proved_by):
            raise ValueError(f"{made.part} {made.what}: {row or 'a fault that is made here, or tests that prove it'}")
        found.append(made)
    return found


def markdown() -> str:
    """Return the table as it stands on the page."""
    lines = ["| what fails | moves money | changes | looks | nobody signed in | besides |", "|---|---|---|---|---|---|"]
    for row in rows():
        cells = [row.cells[kind] for kind in KINDS]
        shown = [cell if cell == ALWAYS else "{} `{}`".format(*cell.split()) for cell in cells]
        lines.append(f"| **{row.part}** {row.what} | {' | '.join(shown)} | {row.note} |")
    return "\n".join(lines) + "\n"


def page() -> str:
    """Return the page with the table in it."""
    text = PAGE.read_text()
    before, _, rest = text.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}{markdown()}{_END}{after}"
