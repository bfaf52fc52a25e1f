"""Proves a journal's folder against its seals, or names each place where it is not what was sealed.

What can be proved, and what cannot, is in `docs/journal.md`. Reads beside a running gateway, a piece at a time.
"""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from gateway.adapters.proof_chain import ChainCheck, line_of
from gateway.adapters.proof_removals import Removals
from gateway.adapters.proof_report import MOST_FINDINGS, Finding, Proof, Report, Witness, WorkerProof
from gateway.adapters.proof_witnesses import read_witnesses
from gateway.adapters.seal_lines import SealFault, digest_of, read_removal
from gateway.adapters.seals import REMOVED, Files, files_of, read_lines
from gateway.adapters.signing import Keys, read_keys
from gateway.adapters.worker_lock import LOCK
from gateway.core.errors import JournalUnavailable

_Reference = tuple[int, str, int, str]
"""A line that something else names: its number, its digest, its last decision, and who names it."""


def check(
    directory: Path,
    *,
    since: int | None = None,
    report: Report = lambda _: None,
    keys: Path | None = None,
    published: Path | Sequence[Path] | None = None,
) -> Proof:
    """Return what is proved of the folder, and each place where it is not what was sealed.

    Args:
        directory: the journal's folder.
        since: microseconds since the epoch; segments that hold nothing as late are not read, only their seals.
        report: told of each finding as it is made.
        keys: a public key, or a folder of them, kept out of reach of whoever can write the journal; without it, those
            of the folder.
        published: files of seals that were published, one a line. Timestamps are found in the folder.

    Raise JournalUnavailable where there is no such folder or key, OSError where it cannot be read.
    """
    if not directory.is_dir():
        raise JournalUnavailable(f"journal {directory}: there is no such folder")
    return _Check(directory, read_keys(keys or directory), report, since).run(
        (published,) if isinstance(published, Path) else published or ()
    )


class _Check:
    def __init__(self, directory: Path, keys: Keys, report: Report, since: int | None) -> None:
        self._directory = directory
        self._keys = keys
        self._tell = report
        self._since = since
        self._findings: list[Finding] = []
        self._more = 0
        self._removals = Removals(directory, keys)
        # The newest reference is enough: the lines before it hang together by their digests.
        self._references: dict[str, _Reference] = {}

    def run(self, published: Sequence[Path]) -> Proof:
        # Asked before and after the files are listed: who is gone now may have lived, and who lives now may be new.
        living = self._living()
        files = files_of(self._directory)
        living |= self._living()
        self._removals.read(self._report)
        workers = [self._worker(name, files[name], living=name in living) for name in sorted(files)]
        witnesses: list[Witness] = []
        for found in read_witnesses(self._directory, published, self._keys, self._report):
            self._refer(found.seal.worker, (found.seal.line, found.digest, found.seal.last, found.who))
            witnesses.append(Witness(found.seal.worker, found.seal.line, found.where, found.at))
        # Listed anew: a line is on the disk before another names it, perhaps in a file that was not there before.
        files = files_of(self._directory)
        for name in sorted(self._references):
            self._check_reference(name, files.get(name, Files({}, {})))
        return Proof(self._directory, tuple(workers), tuple(self._findings), self._more, tuple(witnesses))

    def _living(self) -> set[str]:
        return {path.stem for path in self._directory.glob(f"*{LOCK}")}

    def _worker(self, name: str, files: Files, *, living: bool) -> WorkerProof:
        def refer(chain: str, line: int, digest: str, last: int) -> None:
            self._refer(chain, (line, digest, last, f"a seal of {name}"))

        return ChainCheck(
            name,
            files,
            keys=self._keys,
            removals=self._removals,
            report=self._report,
            refer=refer,
            since=self._since,
            living=living,
        ).run()

    def _report(self, finding: Finding) -> None:
        self._tell(finding)
        if len(self._findings) < MOST_FINDINGS:
            self._findings.append(finding)
        else:
            self._more += 1

    def _refer(self, chain: str, reference: _Reference) -> None:
        if reference > self._references.get(chain, (0, "", 0, "")):
            self._references[chain] = reference

    def _check_reference(self, name: str, files: Files) -> None:
        """Compare the newest line that something else names of a chain with what the folder has of it."""
        line, digest, last, who = self._references[name]
        if name == REMOVED:
            if digest not in self._removed_lines():
                what = f"its line {line:,}, which {who} names, is not there: notes of removals are gone"
                self._report(Finding("", REMOVED, line, None, None, what, None))
            return
        found, newest, newest_last = line_of(files, line)
        if found == digest or self._removals.decisions(name, (line, line), digest) is not None:
            return
        if found is not None:
            what = f"its line {line:,} is not the one that {who} names: the seals were written anew"
            self._report(Finding(name, f"{name}.seals", line, None, None, what, None))
        else:
            first = newest_last + 1
            gone = "everything of this worker is gone" if not newest else f"its seals end at line {newest:,}"
            what = f"{gone}, and {who} names line {line:,}"
            hides = max(0, last - newest_last)
            self._report(Finding(name, f"{name}.seals", line, first, last, what, hides))

    def _removed_lines(self) -> set[str]:
        found = set()
        with suppress(FileNotFoundError):
            for raw, _ in read_lines(self._directory / REMOVED):
                with suppress(SealFault):
                    read_removal(raw)
                    found.add(digest_of(raw))
        return found
