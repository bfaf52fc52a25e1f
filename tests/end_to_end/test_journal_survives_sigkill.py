"""Whatever was reported as appended is in the journal after the writer was killed, whenever that happened."""

import asyncio
import os
import random
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from gateway.adapters.journal import FileJournal
from gateway.adapters.proof import check
from gateway.adapters.recorded import find, read_documents
from gateway.adapters.segment_reader import DecisionEntry, read_segment

KILLS = 40

NURSERY = """
import asyncio, itertools, os, sys
from pathlib import Path
from gateway.adapters import journal as journal_module
from gateway.adapters.journal import FileJournal
from gateway.ports import Ruling

journal_module.SEAL_EVERY_S = 0.004

async def write(directory, worker, report):
    journal = FileJournal(Path(directory), worker=worker, segment_bytes=32 * 1024, sync_every_ms=1)
    await journal.start()
    rulings = [Ruling(b'{"facts":null,"n":%d}' % n) for n in range(7)]
    for n in itertools.count():
        # A UUIDv7: its time, its version, its variant, and chance.
        raw = (1_763_700_000_000 + n // 1000).to_bytes(6, 'big') + bytes((0x70, 0, 0x80)) + os.urandom(7)
        journal.append(rulings[n % 7], raw, n, None, 1, b"GET\\0/api/v1/market\\0api\\0" + b"u" * (n % 300))
        os.write(report, raw)
        if n % 40 == 0:
            await asyncio.sleep(0)

for line in sys.stdin:
    directory, worker, pipe = line.rstrip("\\n").split("\\t")
    child = os.fork()
    if child == 0:
        asyncio.run(write(directory, worker, os.open(pipe, os.O_WRONLY)))
    print(child, flush=True)
    _, status = os.waitpid(child, 0)
    print(os.waitstatus_to_exitcode(status), flush=True)
"""


@pytest.fixture
def nursery() -> Iterator[subprocess.Popen[str]]:
    """A process that has everything imported and forks a writer for each line."""
    with subprocess.Popen(
        [sys.executable, "-c", NURSERY], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as p:
        yield p
        assert p.stdin is not None
        p.stdin.close()


def run_and_kill(nursery: subprocess.Popen[str], directory: Path, worker: str, after_s: float) -> list[bytes]:
    """Return the ids that a writer reported before it was killed, `after_s` after its first."""
    assert nursery.stdin is not None
    assert nursery.stdout is not None
    pipe = directory.parent / f"{worker}.pipe"
    os.mkfifo(pipe)
    nursery.stdin.write(f"{directory}\t{worker}\t{pipe}\n")
    nursery.stdin.flush()
    writer = int(nursery.stdout.readline())
    with pipe.open("rb", buffering=0) as report:
        told = report.read(16) or b""
        deadline = time.monotonic() + after_s
        while (left := deadline - time.monotonic()) > 0:
            if select.select([report], [], [], left)[0]:
                told += report.read(1 << 16) or b""
        os.kill(writer, signal.SIGKILL)
        while chunk := report.read(1 << 16):
            told += chunk
    assert nursery.stdout.readline() == f"{-signal.SIGKILL}\n"
    return [told[start : start + 16] for start in range(0, len(told), 16)]


def test_every_reported_decision_is_found_after_a_kill_at_any_instant(
    tmp_path: Path, nursery: subprocess.Popen[str]
) -> None:
    directory = tmp_path / "journal"
    told = {}
    for n in range(KILLS):
        # The same four names again and again: each run tidies up after the one that was killed before it.
        worker = f"w{n % 4}-{n}" if n % 2 else f"w{n % 4}"
        told[n] = (worker, run_and_kill(nursery, directory, f"{worker}", random.uniform(0, 0.1)))
        (tmp_path / f"{worker}.pipe").unlink()
    assert all(ids for _, ids in told.values())
    reported = [raw for _, ids in told.values() for raw in ids]
    assert len(reported) > 10 * KILLS
    for worker in {worker for worker, _ in told.values()}:
        expected = [ids for name, ids in told.values() if name == worker]
        kept = [
            entry.decision_id
            for path in sorted(directory.glob("*.gwj"))
            if path.stem.rpartition("-")[0] == worker
            for entry in read_segment(path)
            if isinstance(entry, DecisionEntry)
        ]
        for ids in expected:
            start = kept.index(ids[0])
            assert kept[start : start + len(ids)] == ids
        # At most one more a kill than was reported: the one between its append and its report.
        assert 0 <= len(kept) - sum(map(len, expected)) <= len(expected)
    found = [document["id"] for document in read_documents(directory)]
    assert len(found) == len(set(found))
    assert {str(UUID(bytes=raw)) for raw in reported} <= set(found)
    last = str(UUID(bytes=reported[-1]))
    document = find(directory, last)
    assert document is not None
    assert document["id"] == last


async def test_a_folder_is_proved_after_each_kill_and_the_next_start(
    tmp_path: Path, nursery: subprocess.Popen[str]
) -> None:
    directory = tmp_path / "journal"
    told = 0
    for n in range(KILLS // 2):
        worker = f"w{n % 3}-{n}" if n % 2 else f"w{n % 3}"
        ids = await asyncio.to_thread(run_and_kill, nursery, directory, worker, random.uniform(0, 0.1))
        (tmp_path / f"{worker}.pipe").unlink()
        told += len(ids)
        killed = check(directory)
        assert killed.ok, killed.text()
        journal = FileJournal(directory, worker="tidy")
        await journal.start()
        await journal.close()
        proof = check(directory)
        assert proof.ok, proof.text()
        assert sum(one.unsealed for one in proof.workers) == 0
        # At most one more a kill than was reported: the one between its append and its report.
        assert told <= sum(one.last for one in proof.workers) <= told + n + 1
    assert sum(one.reclaimed for one in check(directory).workers) >= KILLS // 2 - 1
