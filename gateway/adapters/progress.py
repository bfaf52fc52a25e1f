"""How far shipping is, in a small file beside the journal: whoever ships writes it, every process can read it."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import orjson

_NAME: Final = "shipping.json"
_LARGEST: Final = 64 * 1024


class ProgressFile:
    """The file of one journal folder."""

    def __init__(self, directory: Path) -> None:
        self.path = directory / _NAME

    def write(self, fields: Mapping[str, int | None]) -> None:
        """Write it down, whole or not at all. Raise OSError."""
        beside = self.path.with_suffix(f".{os.getpid()}")
        beside.write_bytes(orjson.dumps(fields))
        beside.replace(self.path)

    def read(self) -> dict[str, int | None]:
        """Return what was written last; nothing where there is nothing that can be read."""
        try:
            with self.path.open("rb") as file:
                found = orjson.loads(file.read(_LARGEST))
        except (OSError, ValueError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {name: value for name, value in found.items() if value is None or isinstance(value, int)}
