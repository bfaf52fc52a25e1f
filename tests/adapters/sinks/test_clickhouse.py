import gzip
from collections.abc import Awaitable, Callable
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks.clickhouse import ClickHouse, line
from gateway.adapters.sinks.columns import Row
from gateway.core.errors import ConfigError
from gateway.core.pseudonyms import Pseudonyms
from tests.adapters.sinks.rig import AMBIGUOUS, RULING, Taken, accept, answers, document, service

ROOT = Path(__file__).resolve().parents[3]


def rows(taken: Taken) -> list[dict[str, object]]:
    return [orjson.loads(line) for line in gzip.decompress(taken.body).splitlines()]


async def test_a_batch_is_one_insert_of_json_lines_with_a_token(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("s3cret\n")
    taken: list[Taken] = []
    async with service(accept, taken) as url:
        sink = ClickHouse(url, database="audit", user="writer", password_file=tmp_path / "password")
        await sink.send([document(n) for n in range(3)])
        await sink.close()
    (one,) = taken
    assert one.query["query"] == "INSERT INTO audit.decisions FORMAT JSONEachRow"
    assert (one.query["async_insert"], one.query["wait_end_of_query"]) == ("0", "1")
    assert len(one.query["insert_deduplication_token"]) == 64
    assert one.headers["X-ClickHouse-User"] == "writer"
    assert one.headers["X-ClickHouse-Key"] == "s3cret"
    assert "s3cret" not in str(one.query)
    assert [row["id"] for row in rows(one)] == [document(n)["id"] for n in range(3)]
    assert rows(one)[0]["address"] == "::ffff:81.20.30.40"
    assert rows(one)[0]["at"] == "2025-11-21T04:40:00.000000Z"


async def test_the_same_batch_has_the_same_token_and_another_one_another() -> None:
    taken: list[Taken] = []
    async with service(accept, taken) as url:
        sink = ClickHouse(url)
        for numbers in ((1, 2), (1, 2), (1, 3)):
            await sink.send([document(n) for n in numbers])
        await sink.close()
    first, repeat, other = (one.query["insert_deduplication_token"] for one in taken)
    assert first == repeat != other


async def test_an_insert_whose_answer_was_lost_is_there_once_when_it_is_repeated() -> None:
    table: dict[str, list[dict[str, object]]] = {}

    def losing(answer: Callable[[web.Request, Taken], Awaitable[web.StreamResponse | None]]) -> object:
        async def insert(request: web.Request, one: Taken) -> web.StreamResponse | None:
            table.setdefault(one.query["insert_deduplication_token"], rows(one))
            return await answer(request, one)

        return insert

    async with service(losing(answers(None)), []) as url:  # type: ignore[arg-type]
        sink = ClickHouse(url)
        with pytest.raises(SinkUnavailable):
            await sink.send([document(n) for n in range(9)])
        await sink.send([document(n) for n in range(9)])
        await sink.close()
    assert [row["id"] for inserted in table.values() for row in inserted] == [document(n)["id"] for n in range(9)]


async def test_the_table_has_a_column_for_each_field_of_a_row_and_is_made_on_request() -> None:
    taken: list[Taken] = []
    async with service(accept, taken) as url:
        sink = ClickHouse(url)
        await sink.prepare()
        await sink.send([document(1, AMBIGUOUS)])
        await sink.close()
    statement = taken[0].body.decode()
    assert statement == sink.create_table()
    names = [line.split()[0] for line in statement.splitlines() if line.startswith("    ")]
    assert tuple(names) == Row._fields == tuple(rows(taken[1])[0])
    assert rows(taken[1])[0]["address"] is None


def test_the_page_shows_the_statement() -> None:
    assert ClickHouse("https://127.0.0.1:8443/").create_table() in (ROOT / "docs/sinks.md").read_text()


async def test_a_fault_of_the_server_is_said() -> None:
    async def answer(request: web.Request, taken: Taken) -> web.Response:
        return web.Response(status=404, text="Code: 60. DB::Exception: Table default.decisions does not exist.")

    async with service(answer, []) as url:
        sink = ClickHouse(url)
        with pytest.raises(SinkUnavailable, match=r"Table default\.decisions does not exist"):
            await sink.send([document(1)])
        await sink.close()


@pytest.mark.parametrize("name", ["", "a b", "x; DROP TABLE y", "1a", "é", "a" * 65])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="letters, digits"):
        ClickHouse("https://127.0.0.1:8443/", table=name)
    with pytest.raises(ConfigError, match="letters, digits"):
        ClickHouse("https://127.0.0.1:8443/", database=name)
    with pytest.raises(ConfigError, match="letters, digits"):
        ClickHouse("https://127.0.0.1:8443/", user=name)


def test_an_address_that_became_a_digest_is_no_address_and_stays_in_the_document() -> None:
    pseudonyms = Pseudonyms(bytes(range(32)))
    row = orjson.loads(line(document(1, pseudonyms.of_ruling(RULING))))
    assert row["address"] is None
    assert row["account"] == pseudonyms.account("alice")
    assert pseudonyms.address("81.20.30.40") in row["document"]
