"""Where the data of each edition comes from, and the attribution that its licence asks for."""

import json
import os
import tomllib
from collections.abc import Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, NamedTuple

from geodb.edition import BadEdition, Edition

SHIPPED: Final = Path(__file__).parent / "data"
"""The editions that come with the project."""
MANIFEST: Final = "datasets.toml"
ATTRIBUTION: Final = "ATTRIBUTION.md"
_HEADING: Final = """# Data from others

The GeoIP editions in this folder are not under the licence of the code. Written from `datasets.toml` by
`gateway geodb build`.
"""


class Dataset(NamedTuple):
    """One data set: who made it, under which licence, and the one file made of it."""

    name: str
    title: str
    file: str
    source: str
    """Where it can be had."""
    licence: str
    """SPDX identifier."""
    attribution: str
    """The sentence, with its links, that the licence asks to be shown."""
    changes: str
    """What was done to the data since (CC-BY 4.0, section 3(a)(1)(B))."""
    date: date
    """Of the data, not of the build."""
    sha256: str

    @property
    def built_at(self) -> int:
        """The date as seconds since the epoch."""
        return int(datetime(self.date.year, self.date.month, self.date.day, tzinfo=UTC).timestamp())


def datasets(folder: Path = SHIPPED) -> tuple[Dataset, ...]:
    """Return the data sets of a folder, by name. Raise BadEdition where the manifest cannot be read."""
    path = folder / MANIFEST
    try:
        content = tomllib.loads(path.read_text("utf-8"))
        return tuple(Dataset(name=name, **content[name]) for name in sorted(content))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError, TypeError) as error:
        raise BadEdition(f"{path}: not a manifest of data sets: {error}") from error


def record(folder: Path, dataset: Dataset) -> None:
    """Write the data set into the folder's manifest, in the place of one of that name, and the attribution anew."""
    known = {one.name: one for one in datasets(folder)} if (folder / MANIFEST).exists() else {}
    known[dataset.name] = dataset
    ordered = [known[name] for name in sorted(known)]
    _replace(folder / MANIFEST, manifest(ordered))
    _replace(folder / ATTRIBUTION, attribution(ordered))


def manifest(known: Iterable[Dataset]) -> str:
    """Return the text of `datasets.toml`."""
    parts = ["# Written by `gateway geodb build`.\n"]
    for one in known:
        lines = [
            f"{name} = {value.isoformat() if isinstance(value, date) else json.dumps(value, ensure_ascii=False)}\n"
            for name, value in one._asdict().items()
            if name != "name"
        ]
        parts.append(f"[{json.dumps(one.name)}]\n{''.join(lines)}")
    return "\n".join(parts)


def attribution(known: Iterable[Dataset]) -> str:
    """Return the text of `ATTRIBUTION.md`: what the licences of the shipped data ask everybody to be told."""
    parts = [_HEADING]
    parts.extend(
        f"## {one.title}\n\n"
        f"{one.attribution}\n\n"
        f"- Licence: {one.licence}\n"
        f"- Source: <{one.source}>\n"
        f"- Date of the data: {one.date.isoformat()}\n"
        f"- Changes: {one.changes}\n"
        f"- File: `{one.file}`, SHA-256 `{one.sha256}`\n"
        for one in known
    )
    return "\n".join(parts)


def licence_of(edition: Edition, folder: Path = SHIPPED) -> Dataset | None:
    """Return the shipped data set with exactly the content of this edition; None for any other."""
    return next((one for one in datasets(folder) if one.sha256 == edition.sha256), None)


def _replace(path: Path, text: str) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    partial.write_text(text, "utf-8")
    partial.replace(path)
