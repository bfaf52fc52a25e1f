"""Each row of the table of failures: the fault is made, and every class of requests gets the answer that is stated."""

import ast
import asyncio

import pytest

from gateway.adapters.recorded import read_documents
from tests.end_to_end.chaos.faults import FAULTS, LASTS, Live
from tests.end_to_end.chaos.table import KINDS, PAGE, ROOT, Row, page, rows

ROWS = rows()
MADE = [row for row in ROWS if row.fault is not None]


@pytest.mark.parametrize("row", MADE, ids=lambda row: row.fault)
async def test_a_fault_has_the_answer_that_is_stated_and_passes_with_its_cause(row: Row, site, monkeypatch) -> None:
    assert row.fault is not None
    live = Live(site, monkeypatch)
    try:
        async with FAULTS[row.fault](live):
            before = live.gateway.line.unrecorded
            async with asyncio.timeout(5):
                answers = dict(zip(KINDS, await asyncio.gather(*map(live.ask, KINDS)), strict=True))
            for kind, answer in answers.items():
                assert (answer.status, answer.reason) == row.expected(kind), kind
                if answer.reason in {"account-unknown", "overloaded", "record-unavailable"}:
                    assert answer.headers[b"retry-after"] == b"5"
            ids = {answer.headers[b"gateway-decision"].decode() for answer in answers.values()}
            if row.recorded:
                assert ids <= {one["id"] for one in read_documents(site.folder / "journal")}
            else:
                assert live.gateway.line.unrecorded == before + len(ids)
        if row.fault not in LASTS:
            await _until_all_is_as_always(live)
    finally:
        await live.close()


async def _until_all_is_as_always(live: Live) -> None:
    """Return once a withdrawal and all else is let through again, without anybody's doing."""
    async with asyncio.timeout(20):
        while {(await live.ask(kind)).status for kind in KINDS} != {200}:  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0.05)


def test_every_fault_that_can_be_made_is_a_row() -> None:
    assert sorted(row.fault for row in MADE) == sorted(FAULTS)


@pytest.mark.parametrize("name", sorted({name for row in ROWS for name in row.proved_by}))
def test_what_is_proved_elsewhere_is_proved_there(name: str) -> None:
    file, _, test = name.partition("::")
    tree = ast.parse((ROOT / file).read_text())
    found = {one.name for one in ast.walk(tree) if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert test in found if test else any(one.startswith("test_") for one in found)


def test_the_page_shows_the_table_as_it_is() -> None:
    assert PAGE.read_text() == page(), "run `python -m tests.end_to_end.chaos.pages`"
