import pytest

from gateway.adapters.progress import ProgressFile


def test_what_was_written_is_read_whoever_reads(tmp_path) -> None:
    ProgressFile(tmp_path).write({"at": 5, "oldest": None})
    ProgressFile(tmp_path).write({"at": 6, "oldest": 4})
    assert ProgressFile(tmp_path).read() == {"at": 6, "oldest": 4}
    assert [path.name for path in tmp_path.iterdir()] == ["shipping.json"]


@pytest.mark.parametrize("raw", [None, b"", b"{", b"[1]", b"\xff"])
def test_what_cannot_be_read_is_nothing(tmp_path, raw) -> None:
    file = ProgressFile(tmp_path)
    if raw is not None:
        file.path.write_bytes(raw)
    assert file.read() == {}
