import gzip
import random
from pathlib import Path

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks.clickhouse import ClickHouse
from gateway.adapters.sinks.object_store import ObjectStore
from gateway.adapters.sinks.opa import OpaLog
from gateway.adapters.sinks.post import MOST_ANSWER, Poster, TooLarge, halved, parcels, retry_after, shown, zipped
from gateway.core.errors import ConfigError
from tests.adapters.sinks.rig import Answer, Taken, accept, answers, service


async def posted(answer: Answer, secret_file: Path | None = None, timeout_s: float = 10) -> list[Taken]:
    taken: list[Taken] = []
    async with service(answer, taken) as url:
        poster = Poster(url, name="sink log", secret_file=secret_file, timeout_s=timeout_s)
        try:
            await poster.post(b"body", {"Content-Type": "text/plain"}, {"query": "a b"})
        finally:
            await poster.close()
    return taken


async def test_body_headers_query_and_secret_arrive(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    (taken,) = await posted(accept, tmp_path / "token")

    assert (taken.body, taken.query) == (b"body", {"query": "a b"})
    assert taken.headers["Authorization"] == "Bearer s3cret"
    assert taken.headers["Content-Type"] == "text/plain"


async def test_a_secret_that_was_replaced_is_used_at_the_next_request(tmp_path: Path) -> None:
    taken: list[Taken] = []
    file = tmp_path / "token"
    file.write_text("old")
    async with service(accept, taken) as url:
        poster = Poster(url, name="sink log", secret_file=file)
        await poster.post(b"", {})
        file.write_text("new")
        await poster.post(b"", {})
        file.unlink()
        with pytest.raises(SinkUnavailable, match="cannot be read: No such file"):
            await poster.post(b"", {})
        await poster.close()
    assert [one.headers["Authorization"] for one in taken] == ["Bearer old", "Bearer new"]


@pytest.mark.parametrize(
    ("answer", "says", "pause"),
    [
        (answers(503), "answered 503", None),
        (answers(429, **{"Retry-After": "7"}), "answered 429", 7.0),
        (answers(301, Location="http://127.0.0.1:1/"), "redirects are not followed", None),
        (answers(401), "does the file with the secret hold the right one", None),
        (answers(None), "sink log: ", None),
    ],
)
async def test_whatever_is_not_2xx_is_a_failure_that_says_what(answer: Answer, says: str, pause: float | None) -> None:
    with pytest.raises(SinkUnavailable, match=says) as raised:
        await posted(answer)
    assert raised.value.retry_after_s == pause


async def test_413_is_told_apart() -> None:
    with pytest.raises(TooLarge, match="answered 413"):
        await posted(answers(413))


async def test_what_the_other_side_says_is_shown_cut_and_escaped() -> None:
    async def answer(request: web.Request, taken: Taken) -> web.Response:
        return web.Response(status=400, text="no such table\x1b[31m" + "x" * 5000)

    with pytest.raises(SinkUnavailable) as raised:
        await posted(answer)
    assert "no such table\\x1b[31m" in str(raised.value)
    assert len(str(raised.value)) < 300


@pytest.mark.parametrize("status", [200, 500])
async def test_of_an_answer_without_end_only_the_beginning_is_read(status: int) -> None:
    written = 0

    async def answer(request: web.Request, taken: Taken) -> web.StreamResponse:
        nonlocal written
        response = web.StreamResponse(status=status)
        await response.prepare(request)
        while written < 1 << 30:
            try:
                await response.write(b"x" * 65536)
            except ConnectionError:
                break
            written += 65536
        return response

    if status == 200:
        await posted(answer)
    else:
        with pytest.raises(SinkUnavailable, match="answered 500"):
            await posted(answer)
    assert MOST_ANSWER < written < 1 << 26


async def test_a_service_that_says_nothing_is_left_in_time() -> None:
    import asyncio

    over = asyncio.Event()

    async def answer(request: web.Request, taken: Taken) -> web.Response:
        await over.wait()
        return web.Response()

    with pytest.raises(SinkUnavailable, match=r"no answer within 0\.05 s"):
        await posted(answer, timeout_s=0.05)


async def test_nobody_there_is_a_failure_not_a_crash() -> None:
    async with service(accept, []) as url:
        pass
    poster = Poster(url, name="sink log")
    with pytest.raises(SinkUnavailable, match="sink log: "):
        await poster.post(b"", {})
    await poster.close()


@pytest.mark.parametrize(
    ("url", "secret", "says"),
    [
        ("ftp://example.com/", False, "not an address such as"),
        ("https://", False, "not an address such as"),
        ("https://example.com:99999/", False, "[Pp]ort"),
        ("https://user:word@example.com/", False, "holds a password"),
        ("http://example.com/logs", True, "everybody on the way reads the secret"),
    ],
)
def test_an_address_that_cannot_work_is_refused_when_it_is_built(
    tmp_path: Path, url: str, secret: bool, says: str
) -> None:
    (tmp_path / "token").write_text("x")
    with pytest.raises(ConfigError, match=says) as raised:
        Poster(url, name="sink log", secret_file=tmp_path / "token" if secret else None)
    assert "word" not in str(raised.value).replace("password", "")


@pytest.mark.parametrize("content", [b"", b"\n", b"two\nlines", b"x" * 9000, "é".encode()])
def test_a_file_without_a_secret_of_one_line_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    with pytest.raises(ConfigError, match="token"):
        Poster("https://example.com/", name="sink log", secret_file=tmp_path / "token")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"Retry-After": "120"}, 120.0),
        ({"Retry-After": "99999999999999"}, 3600.0),
        ({"Retry-After": "-5"}, None),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "Fri, 21 Nov 2025 12:01:00 GMT", "Date": "Fri, 21 Nov 2025 12:00:00 GMT"}, 60.0),
        ({"Retry-After": "Fri, 21 Nov 2025 11:00:00 GMT", "Date": "Fri, 21 Nov 2025 12:00:00 GMT"}, 0.0),
        ({"Retry-After": "Fri, 21 Nov 2025 12:01:00 GMT"}, None),
    ],
)
def test_how_long_to_wait_is_read_in_both_forms_and_bounded(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers) == seconds


@given(pieces=st.lists(st.binary(max_size=30), max_size=40), most=st.integers(1, 60))
def test_parcels_keep_everything_in_order_and_their_size(pieces: list[bytes], most: int) -> None:
    found = list(parcels(pieces, most))
    assert [piece for parcel in found for piece in parcel] == pieces
    assert all(len(parcel) == 1 or sum(map(len, parcel)) <= most for parcel in found)


async def test_a_parcel_that_is_too_large_arrives_in_halves_in_order() -> None:
    arrived: list[bytes] = []

    async def post(parcel: object) -> None:
        assert isinstance(parcel, list)
        if len(parcel) > 3:
            raise TooLarge("413")
        arrived.extend(parcel)

    pieces = [bytes([n]) for n in range(20)]
    await halved(pieces, post)
    assert arrived == pieces


async def test_one_piece_that_is_too_large_alone_says_so() -> None:
    async def post(parcel: object) -> None:
        raise TooLarge("413")

    with pytest.raises(TooLarge):
        await halved([b"x", b"y"], post)


def test_the_same_body_is_zipped_to_the_same_bytes() -> None:
    body = random.Random(1).randbytes(1000)
    assert zipped(body) == zipped(body)
    assert gzip.decompress(zipped(body)) == body


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("https://logs.example/in?key=hunter2", "https://logs.example/in"),
        ("https://me:hunter2@logs.example/in", "https://logs.example/in"),
        ("https://me:hunt@er2@logs.example", "https://logs.example"),
        ("s3://bucket/a@b", "s3://bucket/a@b"),
        ("https://logs.example/in#hunter2", "https://logs.example/in"),
        ("logs.example", "logs.example"),
    ],
)
def test_a_url_is_shown_without_what_may_be_secret(url: str, text: str) -> None:
    assert shown(url) == text


@pytest.mark.parametrize("url", ["https://me:hunter2@logs.example/in", "s3://me:hunter2@bucket/?k=hunter2"])
def test_a_sink_that_is_refused_does_not_show_the_password_in_its_address(url: str) -> None:
    for build in (lambda: OpaLog(url, labels={}), lambda: ClickHouse(url), lambda: ObjectStore(url, worker="w")):
        with pytest.raises(ConfigError) as caught:
            build()
        assert "hunter2" not in str(caught.value)
