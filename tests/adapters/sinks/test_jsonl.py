import asyncio
import errno
import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks.jsonl import LinesFile, LinesOut
from tests.adapters.sinks.rig import document, number_of


def numbers(text: bytes) -> list[int]:
    return [number_of(orjson.loads(line)["id"])[1] for line in text.splitlines()]


def files(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def batch(start: int, end: int) -> list[dict[str, object]]:
    return [document(n) for n in range(start, end)]


async def test_a_line_for_each_decision_in_order(tmp_path: Path) -> None:
    path = tmp_path / "out" / "decisions.jsonl"
    sink = LinesFile(path)
    await sink.send(batch(0, 3))
    await sink.send(batch(3, 5))
    await sink.close()
    assert numbers(path.read_bytes()) == [0, 1, 2, 3, 4]
    assert orjson.loads(path.read_bytes().splitlines()[2]) == document(2)
    assert path.stat().st_mode & 0o777 == 0o600


async def test_a_full_file_is_renamed_and_the_oldest_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    sink = LinesFile(path, rotate_bytes=3 * len(orjson.dumps(document(0))) + 10, keep=2)
    for n in range(20):
        await sink.send(batch(n, n + 1))
    await sink.close()
    names = ["decisions.jsonl", "decisions.jsonl.1", "decisions.jsonl.2"]
    assert files(tmp_path) == names
    assert [numbers((tmp_path / name).read_bytes()) for name in reversed(names)] == [
        [12, 13, 14],
        [15, 16, 17],
        [18, 19],
    ]


async def test_a_batch_larger_than_a_file_is_written_whole(tmp_path: Path) -> None:
    sink = LinesFile(tmp_path / "x", rotate_bytes=10)
    await sink.send(batch(0, 3))
    await sink.send(batch(3, 6))
    await sink.close()
    assert numbers((tmp_path / "x.1").read_bytes()) == [0, 1, 2]
    assert numbers((tmp_path / "x").read_bytes()) == [3, 4, 5]


async def test_a_line_that_a_crash_cut_is_removed_before_more_is_written(tmp_path: Path) -> None:
    path = tmp_path / "x"
    sink = LinesFile(path)
    await sink.send(batch(0, 2))
    await sink.close()
    for torn in (b'{"id": "' + b"x" * 200_000, b'{"id"'):
        with path.open("ab") as file:
            file.write(torn)
        sink = LinesFile(path)
        await sink.send([])
        await sink.close()
        assert numbers(path.read_bytes()) == [0, 1]
    (tmp_path / "y").write_bytes(b"never ended")
    sink = LinesFile(tmp_path / "y")
    await sink.send(batch(0, 1))
    await sink.close()
    assert numbers((tmp_path / "y").read_bytes()) == [0]


async def test_a_full_disk_leaves_nothing_of_the_batch_and_the_next_attempt_succeeds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink = LinesFile(tmp_path / "x")
    await sink.send(batch(0, 1))

    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", full)
        with pytest.raises(SinkUnavailable, match="No space left"):
            await sink.send(batch(1, 3))
    assert numbers((tmp_path / "x").read_bytes()) == [0]
    await sink.send(batch(1, 3))
    await sink.close()
    assert numbers((tmp_path / "x").read_bytes()) == [0, 1, 2]


async def test_a_file_that_somebody_renamed_is_begun_anew(tmp_path: Path) -> None:
    sink = LinesFile(tmp_path / "x")
    await sink.send(batch(0, 1))
    (tmp_path / "x").rename(tmp_path / "moved")
    await sink.send(batch(1, 2))
    await sink.close()
    assert (numbers((tmp_path / "moved").read_bytes()), numbers((tmp_path / "x").read_bytes())) == ([0], [1])


async def test_two_writers_of_one_file_are_refused(tmp_path: Path) -> None:
    one, other = LinesFile(tmp_path / "x"), LinesFile(tmp_path / "x")
    await one.send(batch(0, 1))
    with pytest.raises(SinkUnavailable, match="another process writes it"):
        await other.send(batch(1, 2))
    await one.close()
    await other.send(batch(1, 2))
    await other.close()
    assert numbers((tmp_path / "x").read_bytes()) == [0, 1]


def test_sizes_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="1 or more"):
        LinesFile(tmp_path / "x", keep=0)


async def test_a_reader_that_stopped_is_not_waited_for_and_finds_whole_lines_later() -> None:
    reading, writing = os.pipe()
    try:
        sink = LinesOut(writing, within_s=0.05)
        with pytest.raises(SinkUnavailable, match=r"nobody read it for 0\.05 s"):
            await sink.send(batch(0, 200))
        patient = LinesOut(writing, within_s=60)
        patient._owed = sink._owed
        everything = asyncio.create_task(patient.send(batch(0, 200)))  # noqa: TID251 - awaited below
        text = b""
        while not text.endswith(b"\n") or len(numbers(text)) < 200 or numbers(text)[-1] != 199:
            text += await asyncio.to_thread(os.read, reading, 1 << 16)
        await everything
        await sink.close()
    finally:
        os.close(reading)
        os.close(writing)
    found = numbers(text)
    again = found.index(0, 1)
    assert found == [*range(again), *range(200)]
    assert 0 < again < 200


async def test_a_reader_that_is_gone_is_a_failure() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with pytest.raises(SinkUnavailable, match="Broken pipe"):
        await LinesOut(writing).send(batch(0, 1))
    os.close(writing)


def test_standard_output_is_the_default() -> None:
    program = (
        "import asyncio\n"
        "from gateway.adapters.sinks.jsonl import LinesOut\n"
        "asyncio.run(LinesOut().send([{'id': 'x'}, {'id': 'y'}]))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert done.stdout == b'{"id":"x"}\n{"id":"y"}\n'
