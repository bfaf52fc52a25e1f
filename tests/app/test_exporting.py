import csv
import json
from contextlib import suppress
from pathlib import Path

import pytest

from gateway.app.exporting import FORMS, Export
from gateway.core.errors import GatewayError
from gateway.core.exports import CSV_COLUMNS
from tests.core.test_exports import AMBIGUOUS, DENIED

NOW = 1_795_253_400_000_000


def export(tmp_path: Path, form: str = "ndjson", now: int = NOW, **asked: str) -> Export:
    return Export(tmp_path / "out", form, asked, now)


class Broken(Exception):
    pass


def broken_off(tmp_path: Path, form: str = "ndjson", **asked: str) -> None:
    job = export(tmp_path, form, **asked)
    with suppress(Broken), job.opened(resume=False):
        job.write([DENIED], "c1")
        raise Broken


@pytest.mark.parametrize("form", FORMS)
def test_a_file_takes_its_name_when_it_is_whole(tmp_path: Path, form: str) -> None:
    job = export(tmp_path, form)
    with job.opened(resume=False):
        job.write([DENIED], "c1")
        assert not (tmp_path / "out").exists()
        job.write([AMBIGUOUS], None)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    text = (tmp_path / "out").read_text()
    if form == "csv":
        rows = list(csv.DictReader(text.splitlines()))
        assert [row["operation"] for row in rows] == ["withdraw", "ambiguous"]
        assert list(rows[0]) == list(CSV_COLUMNS)
    else:
        assert len([json.loads(line) for line in text.splitlines()]) == 2


@pytest.mark.parametrize("form", FORMS)
def test_what_broke_off_is_gone_on_with_to_the_same_bytes(tmp_path: Path, form: str) -> None:
    (tmp_path / "a").mkdir()
    whole = export(tmp_path / "a", form)
    with whole.opened(resume=False):
        whole.write([DENIED], "c1")
        whole.write([AMBIGUOUS], None)
    broken_off(tmp_path, form)
    with (tmp_path / "out.part").open("ab") as part:
        part.write(b"half a rec")
    job = export(tmp_path, form, now=NOW + 10**9)
    with job.opened(resume=True):
        assert (job.cursor, job.written, job.done) == ("c1", 1, False)
        assert job.search.until == NOW
        job.write([AMBIGUOUS], None)
    assert (tmp_path / "out").read_bytes() == (tmp_path / "a" / "out").read_bytes()


def test_an_export_that_lacks_only_its_name_is_not_begun_again(tmp_path: Path) -> None:
    job = export(tmp_path)
    with suppress(Broken), job.opened(resume=False):
        job.write([DENIED], None)
        raise Broken
    again = export(tmp_path)
    with again.opened(resume=True):
        assert again.done
    assert (tmp_path / "out").read_text().count("\n") == 1


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(GatewayError, match="is there already"), export(tmp_path).opened(resume=False):
        pass
    assert (tmp_path / "out").read_text() == "precious"
    (tmp_path / "out").unlink()
    broken_off(tmp_path)
    with pytest.raises(GatewayError, match="--resume goes on"), export(tmp_path).opened(resume=False):
        pass


def test_only_the_same_export_is_gone_on_with(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="nothing to go on with"), export(tmp_path).opened(resume=True):
        pass
    broken_off(tmp_path, account="alice")
    for job in (export(tmp_path, account="bob"), export(tmp_path, "csv", account="alice")):
        with pytest.raises(GatewayError, match="with other options"), job.opened(resume=True):
            pass
    (tmp_path / "out.part").write_bytes(b"")
    with (
        pytest.raises(GatewayError, match="shorter than it was"),
        export(tmp_path, account="alice").opened(resume=True),
    ):
        pass
    (tmp_path / "out.part.json").write_text("{}")
    with (
        pytest.raises(GatewayError, match="does not say how far"),
        export(tmp_path, account="alice").opened(resume=True),
    ):
        pass


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match="No such file"), export(tmp_path / "no").opened(resume=False):
        pass


def test_what_is_made_meanwhile_is_left_out(tmp_path: Path) -> None:
    assert export(tmp_path).search.until == NOW
    assert export(tmp_path, until="2020-01-01T00:00:00Z").search.until < NOW
    assert export(tmp_path, since="1h").search.since == NOW - 3_600_000_000
