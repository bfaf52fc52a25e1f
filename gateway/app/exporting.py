"""An export: every decision of a search in one file, there when it is whole, gone on with where it broke off."""

import csv
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Final

import orjson

from gateway.core.decision import Document, instant_text
from gateway.core.errors import GatewayError
from gateway.core.exports import CSV_COLUMNS, csv_row, ecs_event, ocsf_event
from gateway.core.search import Search, read_search


def _lines(form: Callable[[Document], Document]) -> Callable[[Sequence[Document]], bytes]:
    return lambda documents: b"".join(orjson.dumps(form(one)) + b"\n" for one in documents)


def _rows(documents: Sequence[Document]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(csv_row(one) for one in documents)
    return text.getvalue().encode()


FORMS: Final[Mapping[str, Callable[[Sequence[Document]], bytes]]] = {
    "ndjson": _lines(lambda document: document),
    "csv": _rows,
    "ocsf": _lines(ocsf_event),
    "ecs": _lines(ecs_event),
}
"""What an export can be, and what makes its bytes of a page."""


class Export:
    """One file in the making: `FILE.part`, and beside it `FILE.part.json`, which says how far it is."""

    def __init__(self, file: Path, form: str, asked: Mapping[str, str], now: int) -> None:
        self.file = file
        self._form = form
        self._asked = dict(asked)
        self._part = file.with_name(f"{file.name}.part")
        self._mark = file.with_name(f"{file.name}.part.json")
        self._out: BinaryIO | None = None
        self._until = now
        self.written = 0
        """How many decisions are in the file."""
        self.cursor: str | None = None
        """Where the next page begins; None for the first."""
        self.done = False
        """Whether the last page is written: a resumed export may have only its name to take."""

    @property
    def search(self) -> Search:
        """What is searched for, as it was when the export began: what is made meanwhile is not in it."""
        asked = {name: text for name, text in self._asked.items() if name in Search._fields}
        search = read_search(asked, self._until)
        return search._replace(until=min(search.until or self._until, self._until))

    @contextmanager
    def opened(self, *, resume: bool) -> Iterator[None]:
        """Write inside; at the end the file takes its name. Raise GatewayError where it cannot be written."""
        if self.file.exists():
            raise GatewayError(f"{self.file} is there already; name another file, or remove it")
        try:
            if resume:
                self._take_up()
            else:
                self._begin()
            assert self._out is not None
            with self._out:
                yield
                self._out.flush()
                os.fsync(self._out.fileno())
            self._part.replace(self.file)
            self._mark.unlink()
        except OSError as fault:
            raise GatewayError(f"{self.file}: {fault.strerror}; what was written is kept, --resume goes on") from fault

    def write(self, documents: Sequence[Document], cursor: str | None) -> None:
        """Add a page, and note that the next one begins at `cursor`."""
        assert self._out is not None
        self._out.write(FORMS[self._form](documents))
        self.written += len(documents)
        self.cursor, self.done = cursor, cursor is None
        self._note()

    def _begin(self) -> None:
        if self._part.exists():
            raise GatewayError(f"{self._part} is left of an export that broke off; --resume goes on, or remove it")
        # What people see of a decision is personal data: nobody else on the machine may read it.
        self._out = os.fdopen(os.open(self._part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb")
        if self._form == "csv":
            self._out.write(",".join(CSV_COLUMNS).encode() + b"\r\n")
        self._note()

    def _take_up(self) -> None:
        try:
            mark: dict[str, Any] = json.loads(self._mark.read_text())
            same = mark["asked"] == self._digest()
            self._until, self.written, self.cursor = int(mark["until"]), int(mark["written"]), mark["cursor"]
            self.done, length = mark["done"] is True, int(mark["bytes"])
        except FileNotFoundError:
            raise GatewayError(f"there is nothing to go on with: no {self._mark}; leave --resume out") from None
        except (ValueError, KeyError, TypeError) as fault:
            raise GatewayError(
                f"{self._mark} does not say how far the export is; remove it and {self._part}"
            ) from fault
        if not same:
            raise GatewayError(f"{self._part} was begun with other options; give the same ones, or remove it")
        self._out = self._part.open("r+b")
        if os.fstat(self._out.fileno()).st_size < length:
            self._out.close()
            raise GatewayError(f"{self._part} is shorter than it was; remove it and {self._mark}, and begin again")
        # Whatever was written after the mark would be there twice.
        self._out.truncate(length)
        self._out.seek(length)

    def _note(self) -> None:
        assert self._out is not None
        self._out.flush()
        mark = {
            "asked": self._digest(),
            "until": self._until,
            "begun": instant_text(self._until),
            "written": self.written,
            "cursor": self.cursor,
            "done": self.done,
            "bytes": self._out.tell(),
        }
        new = self._mark.with_suffix(".new")
        new.write_text(json.dumps(mark))
        new.replace(self._mark)

    def _digest(self) -> str:
        """Return what tells one export's options from another's."""
        return hashlib.sha256(json.dumps([self._form, self._asked], sort_keys=True).encode()).hexdigest()
