"""A journal to ship, and what an archive took of it."""

import asyncio
from pathlib import Path

import pytest

from gateway.adapters.archive.sqlite import SqliteArchive
from gateway.adapters.journal import FileJournal
from gateway.app.plan import Plan
from gateway.ports import Ruling

AT = 1_763_700_000_000_000


@pytest.fixture
def plan(tmp_path) -> Plan:
    return Plan(
        directory=str(tmp_path / "journal"),
        url=f"sqlite:///{tmp_path}/decisions.db",
        keep_journal_s=7 * 86_400,
        journal_at_most=None,
        warn_behind_s=60,
    )


def journal_of(plan: Plan, decisions: int, ruling: bytes = b'{"facts":null}') -> None:
    async def live() -> None:
        journal = FileJournal(Path(plan.directory), worker="w0", segment_bytes=1 << 20)
        await journal.start()
        for n in range(decisions):
            journal.append(Ruling(ruling), n.to_bytes(16), AT + n, None, 5, b"GET\0/\0h\0u")
        await journal.close()

    asyncio.run(live())


def taken_by(plan: Plan) -> dict[str, tuple[int, int]]:
    async def read() -> dict[str, tuple[int, int]]:
        archive = SqliteArchive(Path(plan.url.removeprefix("sqlite:///")))
        await archive.start()
        try:
            return dict(await archive.taken())
        finally:
            await archive.close()

    return asyncio.run(read())
