"""What was removed from a journal's folder on purpose, as far as it is signed."""

from collections.abc import Iterator
from pathlib import Path

from gateway.adapters.proof_report import Finding, Report
from gateway.adapters.seal_lines import START, Removal, SealFault, digest_of, is_signed, read_removal
from gateway.adapters.seals import REMOVED, read_lines
from gateway.adapters.signing import Keys


class Removals:
    """The notes of removals, read again when something is missing: retention may work beside the check."""

    def __init__(self, directory: Path, keys: Keys) -> None:
        self._path = directory / REMOVED
        self._keys = keys
        self._notes: list[Removal] = []

    def read(self, report: Report) -> None:
        """Read the notes; report each line that is not as it was written."""
        self._notes = list(self._read(report))

    def removed(self, worker: str, segment: int) -> bool:
        """Return whether a segment was removed on purpose."""
        return any(one.segments[0] <= segment <= one.segments[1] for one in self._of(worker, segment=segment))

    def decisions(self, worker: str, lines: tuple[int, int], seal: str | None) -> int | None:
        """Return how many decisions went with these lines of a worker's seals; None where they did not go on purpose.

        `seal` is the digest of the last of them, where it is known.
        """
        after, until = lines
        went = 0
        for one in sorted(self._of(worker, line=until), key=lambda note: note.lines):
            if one.lines[0] <= after <= one.lines[1]:
                went += one.last - one.first + 1
                after = one.lines[1] + 1
                if one.lines[1] == until and seal not in {None, one.seal}:
                    return None
        return went if after > until else None

    def _of(self, worker: str, *, segment: int = 0, line: int = 0) -> list[Removal]:
        def known() -> list[Removal]:
            return [one for one in self._notes if one.worker == worker]

        if not any(one.segments[1] >= segment and one.lines[1] >= line for one in known()):
            self._notes = list(self._read(lambda _: None))
        return known()

    def _read(self, report: Report) -> Iterator[Removal]:
        previous: str | None = START
        expected = 1
        try:
            for number, (raw, whole) in enumerate(read_lines(self._path), 1):
                what = None
                note = None
                try:
                    note = read_removal(raw)
                    if not whole:
                        what = "the line was cut at its end"
                    elif not is_signed(raw, note.key, self._keys):
                        what = f"its signature is not that of key {note.key}, or that key is not known"
                    elif note.line != expected or previous not in {None, note.previous}:
                        what = "lines before this one are gone or were replaced"
                except SealFault as fault:
                    what = f"a note of what was removed was altered: {fault}"
                if what is not None:
                    report(Finding("", REMOVED, number, None, None, what, None))
                if note is not None and is_signed(raw, note.key, self._keys):
                    yield note
                    expected, previous = note.line + 1, digest_of(raw)
                else:
                    expected, previous = expected + 1, None
        except FileNotFoundError:
            return
