"""What was said of a journal's seals elsewhere: lines that were published, and lines that were stamped."""

from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from gateway.adapters.proof_report import Finding, Report
from gateway.adapters.seal_lines import MAX_LINE, Seal, SealFault, digest_of, is_signed, read_seal
from gateway.adapters.seals import read_lines
from gateway.adapters.signing import Keys
from gateway.adapters.timestamp import MOST_ANSWER, STAMPS, TimestampFault, read_answer


class Found(NamedTuple):
    """The newest line of one worker that a file has, or that was stamped."""

    seal: Seal
    digest: str
    where: str
    who: str
    """The same, more closely."""
    at: int | None = None


def read_witnesses(directory: Path, published: Iterable[Path], keys: Keys, report: Report) -> Iterator[Found]:
    """Yield what is found; report what is not as it was written. Raise OSError where a published file cannot be read.

    The newest line is enough: the lines before it hang together by their digests.
    """
    for path in published:
        yield from _newest(_lines(path, keys, report))
    yield from _newest(_stamps(directory / STAMPS, keys, report))


def _newest(all_found: Iterable[Found]) -> Iterable[Found]:
    newest: dict[str, Found] = {}
    for one in all_found:
        before = newest.get(one.seal.worker)
        if before is None or (one.seal.line, one.digest) > (before.seal.line, before.digest):
            newest[one.seal.worker] = one
    return newest.values()


def _lines(path: Path, keys: Keys, report: Report) -> Iterator[Found]:
    for index, (raw, _) in enumerate(read_lines(path), 1):
        if raw:
            seal = _seal(raw, keys)
            if seal is None:
                what = "this is no seal that was published, or its key is not known"
                report(Finding("", str(path), index, None, None, what, None))
            else:
                yield Found(seal, digest_of(raw), str(path), f"line {index} of {path}")


def _stamps(directory: Path, keys: Keys, report: Report) -> Iterator[Found]:
    for path in sorted(directory.glob("*.tsr")):
        name = f"{directory.name}/{path.name}"
        try:
            raw, answer = _beginning(path.with_suffix(".seal"), MAX_LINE), _beginning(path, MOST_ANSWER)
            at = read_answer(answer, sha256(raw).digest(), None).at
        except FileNotFoundError:
            if path.exists():
                what = f"what was stamped, {path.stem}.seal, is not there"
                report(Finding("", name, None, None, None, what, None))
            continue
        except TimestampFault as fault:
            report(Finding("", name, None, None, None, f"it is no timestamp of {path.stem}.seal: {fault}", None))
            continue
        seal = _seal(raw, keys)
        if seal is None:
            what = f"what was stamped, {path.stem}.seal, is no seal, or its key is not known"
            report(Finding("", name, None, None, None, what, None))
        else:
            yield Found(seal, digest_of(raw), name, name, at)


def _seal(raw: bytes, keys: Keys) -> Seal | None:
    try:
        seal = read_seal(raw)
    except SealFault:
        return None
    return seal if is_signed(raw, seal.key, keys) else None


def _beginning(path: Path, most: int) -> bytes:
    with path.open("rb") as file:
        return file.read(most + 1)
