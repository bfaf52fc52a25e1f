import gzip
import importlib
import random
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet  # type: ignore[import-untyped]
import pytest
from aiohttp import web

from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks import object_store as module
from gateway.adapters.sinks.columns import Row, row_of
from gateway.adapters.sinks.object_store import Form, ObjectStore
from gateway.core.decision import Document
from gateway.core.errors import ConfigError
from tests.adapters.sinks.rig import AMBIGUOUS, AT, HOUR, Taken, accept, answers, document, number_of, service

S3 = {"aws_region": "x", "aws_access_key_id": "a", "aws_secret_access_key": "s3cret"}


def store(folder: Path, form: Form = "ndjson") -> ObjectStore:
    return ObjectStore(folder.as_uri(), worker="w0", form=form)


def lines(path: Path) -> list[Any]:
    return [orjson.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


def the_only(folder: Path, pattern: str) -> Path:
    (found,) = folder.rglob(pattern)
    return found


def written(folder: Path) -> dict[str, list[int]]:
    return {
        path.relative_to(folder).as_posix(): [number_of(one["id"])[1] for one in lines(path)]
        for path in sorted(folder.rglob("*.gz"))
    }


def hourly(numbers: range, each: int) -> list[Document]:
    """Decisions, `each` an hour."""
    return [document(n, at=AT + n // each * HOUR) for n in numbers]


async def test_a_batch_is_one_object_for_each_hour(tmp_path: Path) -> None:
    await store(tmp_path).send(hourly(range(5), 2))
    ids = [document(n)["id"] for n in range(5)]
    assert written(tmp_path) == {
        f"date=2025-11-21/hour=04/w0-{ids[0]}.ndjson.gz": [0, 1],
        f"date=2025-11-21/hour=05/w0-{ids[2]}.ndjson.gz": [2, 3],
        f"date=2025-11-21/hour=06/w0-{ids[4]}.ndjson.gz": [4],
    }
    assert lines(the_only(tmp_path, "hour=06/*")) == hourly(range(4, 5), 2)


@pytest.mark.parametrize("seed", range(20))
async def test_a_batch_that_comes_again_and_ends_elsewhere_leaves_nothing_twice_and_loses_nothing(
    tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    everything = [document(n, at=AT + chance.randrange(3) * HOUR) for n in range(60)]
    sink = store(tmp_path)
    start = 0
    while start < 60:
        end = min(60, start + chance.randint(1, 25))
        await sink.send(everything[start:end])
        # Where the sender is killed before it noted that, it begins there again and ends wherever it does.
        if chance.random() < 0.5:
            start = end
    found = [number for numbers in written(tmp_path).values() for number in numbers]
    assert sorted(found) == list(range(60))


async def test_parquet_has_the_columns_and_the_whole_document(tmp_path: Path) -> None:
    documents = [document(1), document(2, AMBIGUOUS)]
    await store(tmp_path, "parquet").send(documents)
    table = pyarrow.parquet.read_table(BytesIO(the_only(tmp_path, "*.parquet").read_bytes()))
    assert tuple(table.column_names) == Row._fields
    found = table.to_pylist()
    assert [row["document"] for row in found] == [row_of(one).document for one in documents]
    assert [row["rules"] for row in found] == [["us-exit/us-closed"], []]
    assert found[0]["at"].isoformat() == "2025-11-21T04:40:00.001000+00:00"
    assert (found[1]["country"], found[0]["asn"], found[0]["status"]) == (None, 64500, 403)


async def test_s3_gets_the_object_under_its_key() -> None:
    taken: list[Taken] = []
    paths: list[str] = []

    async def answer(request: web.Request, one: Taken) -> web.Response:
        paths.append(request.path)
        return web.Response(headers={"ETag": '"1"'})

    async with service(answer, taken) as url:
        endpoint = url.removesuffix("/logs")
        options = {**S3, "aws_endpoint": endpoint}
        sink = ObjectStore("s3://bucket/audit", worker="w0", options=options, allow_http=True)
        await sink.send([document(1)])
        await sink.close()
    assert paths == [f"/bucket/audit/date=2025-11-21/hour=04/w0-{document(1)['id']}.ndjson.gz"]
    assert "AWS4-HMAC-SHA256" in taken[0].headers["Authorization"]


@pytest.mark.parametrize("status", [403, 503])
async def test_a_store_that_refuses_is_a_failure_that_tells_no_secret(status: int) -> None:
    async with service(answers(*[status] * 10), []) as url:
        options = {**S3, "aws_endpoint": url.removesuffix("/logs")}
        sink = ObjectStore("s3://bucket", worker="w0", options=options, allow_http=True)
        with pytest.raises(SinkUnavailable, match="sink s3://bucket: ") as raised:
            await sink.send([document(1)])
    assert "s3cret" not in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_store_that_does_not_answer_is_left_in_time() -> None:
    async with service(accept, []) as url:
        pass
    options = {**S3, "aws_endpoint": url.removesuffix("/logs")}
    sink = ObjectStore("s3://bucket", worker="w0", options=options, allow_http=True, timeout_s=5)
    with pytest.raises(SinkUnavailable, match="sink s3://bucket: "):
        await sink.send([document(1)])


async def test_a_folder_that_went_away_is_a_failure(tmp_path: Path) -> None:
    folder = tmp_path / "audit"
    folder.mkdir()
    sink = store(folder)
    folder.rmdir()
    folder.write_text("a file now")
    with pytest.raises(SinkUnavailable, match="sink file://"):
        await sink.send([document(1)])


@pytest.mark.parametrize(
    ("url", "options", "says"),
    [
        ("memory:///", {}, "there are s3, gs, az, file"),
        ("https://example.com/x", {}, "there are s3, gs, az, file"),
        ("file:///no/such/folder", {}, "canonicalize"),
        ("file:///tmp", {"aws_region": "x"}, "none here"),
        ("s3://bucket", {"region": "x"}, "those begin with aws_"),
        ("s3://bucket", {"aws_nonsense": "x"}, "aws_nonsense"),
    ],
)
def test_what_cannot_work_is_refused_when_it_is_built(url: str, options: dict[str, str], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        ObjectStore(url, worker="w0", options=options)


def test_a_form_that_there_is_not_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there are ndjson and parquet"):
        ObjectStore(tmp_path.as_uri(), worker="w0", form="csv")  # type: ignore[arg-type]


@pytest.mark.parametrize(("missing", "form"), [("obstore", "ndjson"), ("pyarrow", "parquet")])
def test_a_missing_library_names_the_extra_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str, form: Form
) -> None:
    def without(name: str) -> object:
        if name == missing:
            raise ModuleNotFoundError(name)
        return importlib.import_module(name)

    monkeypatch.setattr(module, "import_module", without)
    monkeypatch.setattr(module, "find_spec", lambda name: None if name == missing else object())
    with pytest.raises(ConfigError, match=rf"`{missing}` is missing; install the extra: .*\[object-store\]") as raised:
        store(tmp_path, form)
    assert "\n" not in str(raised.value)
