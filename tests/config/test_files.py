"""Files that settings name are looked at before anything starts, and what they hold is not shown."""

import os
from pathlib import Path

import pytest

from gateway.config.files import LARGEST_SECRET, text_of, why

LEAST = "[client_ip]\ntrusted_proxies = []\n"


def test_a_file_is_read_as_far_as_it_may_be_large(tmp_path: Path) -> None:
    file = tmp_path / "text"
    file.write_text("x" * 10)

    assert text_of(file, 10) == "x" * 10
    with pytest.raises(ValueError, match="is larger than 9 bytes"):
        text_of(file, 9)


def test_what_is_no_file_or_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes").write_bytes(b"ab\xff")
    os.mkfifo(tmp_path / "pipe")

    for name, said in (("bytes", "byte 2"), ("pipe", "is not a file")):
        with pytest.raises(ValueError, match=said):
            text_of(tmp_path / name, 100)


def test_why_names_no_path() -> None:
    assert why(FileNotFoundError(2, "No such file or directory", "/a/path")) == (
        "cannot be read: No such file or directory"
    )
    assert why(ValueError("is not a file")) == "is not a file"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "`key` is empty"),
        (b"x" * 31, "`key` has 31 bytes, and 32 or more of randomness are needed"),
        (b"x" * 31 + b"\n", "`key` has 31 bytes, and 32 or more of randomness are needed"),
        (b"x" * (LARGEST_SECRET + 1), f"`key` is larger than {LARGEST_SECRET} bytes"),
        (b"x" * 32, None),
        (bytes(range(128, 160)), None),
    ],
)
def test_a_key_has_a_length_that_is_counted_and_a_content_that_is_not_shown(
    tmp_path: Path, load_text, refusal, content, said
) -> None:
    (tmp_path / "key").write_bytes(content)
    text = f'{LEAST}[archive]\ndigest_key = "key"'

    if said is None:
        assert load_text(text).archive.digest_key == tmp_path / "key"
    else:
        (line,) = refusal(text)
        assert line.startswith(f"gateway.toml: archive.digest_key: {said}")
