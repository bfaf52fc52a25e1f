"""The segments that lie in a journal's folder, and which of them nobody writes any more."""

import fcntl
import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from gateway.adapters.segment import SUFFIX, Header, HeaderFault, NewerFormat
from gateway.adapters.segment_content import Begun, read_begun
from gateway.adapters.segment_reader import Damage, Report
from gateway.adapters.worker_lock import LOCK

Taken = Mapping[str, tuple[int, int]]
"""How far each worker's journal was taken: the segment, and the offset in it."""


class SegmentFile(NamedTuple):
    """One begun segment of a worker."""

    begun_at: int
    """Never before that of the worker's segment before it, so that sorting keeps each worker's order."""
    worker: str
    number: int
    path: Path
    finished: bool
    """Whether nobody writes to it any more: all that will ever be in it can be read now."""
    header: Header
    sealed: bool
    """Whether its writer closed it."""
    packed: bool
    """Whether it is compressed."""


def segment_files(
    directory: Path, since: Taken, report: Report, known: dict[Path, Begun] | None = None
) -> list[SegmentFile]:
    """Return the begun segments of every worker from those in `since` on, the oldest first.

    One whose header cannot be read is reported and left out; what a newer gateway wrote is left to that, with all that
    its worker wrote afterwards. `known` holds what was found of sealed segments, for whoever asks again and again: they
    are not opened anew, and whether one was compressed meanwhile is not noticed.
    """
    known = {} if known is None else known
    workers: dict[str, list[tuple[int, Path]]] = {}
    for path in directory.glob(f"*{SUFFIX}"):
        worker, _, number = path.stem.rpartition("-")
        if worker and number.isdigit() and int(number) >= since.get(worker, (0, 0))[0]:
            workers.setdefault(worker, []).append((int(number), path))
    return sorted(
        file for worker, files in workers.items() for file in _begun(directory, worker, sorted(files), report, known)
    )


def _begun(
    directory: Path, worker: str, files: list[tuple[int, Path]], report: Report, known: dict[Path, Begun]
) -> list[SegmentFile]:
    # Asked before the headers are read: whoever was dead then had written all that is there.
    written = is_written(directory, worker)
    found: list[SegmentFile] = []
    latest = 0
    for number, path in files:
        try:
            begun = known.get(path) or read_begun(path)
        except FileNotFoundError:
            continue
        except NewerFormat:
            break
        except HeaderFault as fault:
            report(Damage(path, 0, 0, str(fault)))
            continue
        if begun is not None:
            if begun.sealed:
                known[path] = begun
            header, sealed, packed = begun
            latest = max(latest, header.begun_at)
            found.append(SegmentFile(latest, worker, number, path, sealed or not written, header, sealed, packed))
    return [one._replace(finished=True) for one in found[:-1]] + found[-1:]


def is_written(directory: Path, worker: str) -> bool:
    """Return whether a living process writes under this name."""
    try:
        fd = os.open(directory / f"{worker}{LOCK}", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(fd)
    return False
