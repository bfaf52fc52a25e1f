"""One reading of every target, and of every Host."""

import json
import posixpath
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.target import Ambiguous, canonical_host, canonical_target, decode_unreserved, shown, shown_target
from gateway.core.terms import Ambiguity

CORPUS = Path(__file__).parents[1] / "corpus/targets"
TARGETS = json.loads((CORPUS / "targets.json").read_text("utf-8"))
HOSTS = json.loads((CORPUS / "hosts.json").read_text("utf-8"))

PCHAR = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_~!$&'()*+,=:@."
segments = st.text(PCHAR, min_size=1, max_size=8).filter(lambda segment: not segment.endswith("."))
paths = st.builds(
    lambda parts, slash: "/" + "/".join(parts) + ("/" if slash and parts else ""),
    st.lists(segments, max_size=5),
    st.booleans(),
)


@pytest.mark.parametrize("row", TARGETS, ids=[row["lesson"] for row in TARGETS])
def test_every_target_of_the_corpus_reads_as_its_lesson_says(row: dict[str, Any]) -> None:
    host = row.get("host", "api.exchange.example")
    read = canonical_target(row["target"].encode("latin-1"), None if host is None else host.encode())
    if row["path"] is not None:
        assert read == row["path"]
    else:
        assert isinstance(read, Ambiguous)
        assert read.why == row["why"]
        assert "hunter2" not in read.detail


@pytest.mark.parametrize("row", HOSTS, ids=[row["lesson"] for row in HOSTS])
def test_every_host_of_the_corpus_reads_as_its_lesson_says(row: dict[str, Any]) -> None:
    read = canonical_host(row["host"].encode("latin-1"))
    if row["name"] is not None:
        assert read == row["name"]
        assert canonical_host(row["name"].encode()) == row["name"]
    else:
        assert isinstance(read, Ambiguous)
        assert read.why is Ambiguity.HOST


@given(path=paths)
def test_a_plain_path_is_its_own_canonical_form(path: str) -> None:
    assert canonical_target(path.encode(), b"a.example") == path
    assert canonical_target(b"http://a.example" + path.encode(), b"A.example") == path


@given(path=paths, data=st.data())
def test_escapes_of_unreserved_characters_change_nothing(path: str, data: st.DataObject) -> None:
    written = "".join(
        f"%{ord(sign):{data.draw(st.sampled_from(['02x', '02X']))}}"
        if sign.isalnum() and data.draw(st.booleans())
        else sign
        for sign in path
    )
    assert canonical_target(written.encode(), None) == path


@given(target=st.binary(max_size=40).map(lambda rest: b"/" + rest))
def test_what_is_read_has_no_second_reading(target: bytes) -> None:
    read = canonical_target(target, None)
    if isinstance(read, Ambiguous):
        assert len(read.detail) <= 300
        assert read.detail.replace("…", "").isascii()
        assert read.detail.isprintable()
        return
    assert read.isascii()
    assert canonical_target(read.encode(), None) == read
    # Decoding again, or resolving dots and slashes, or both, changes nothing any more.
    assert unquote(read) == read
    assert unquote(target.decode("ascii")) == read
    assert posixpath.normpath(read) == (read.rstrip("/") or "/")
    assert not set(read) & set("\\;?#%")


@given(octet=st.integers(0, 255), escape=st.sampled_from(["%{:02x}", "%{:02X}"]))
def test_only_letters_digits_and_three_signs_may_be_escaped(octet: int, escape: str) -> None:
    read = canonical_target(f"/a{escape.format(octet)}b".encode(), None)
    if quote(bytes([octet]), safe="") == chr(octet) and chr(octet) != ".":
        assert read == f"/a{chr(octet)}b"
    else:
        assert isinstance(read, Ambiguous)
        assert read.why is Ambiguity.TARGET_ENCODING


@given(host=st.binary(max_size=30))
def test_a_host_that_is_read_is_its_own_canonical_form(host: bytes) -> None:
    read = canonical_host(host)
    if isinstance(read, Ambiguous):
        assert read.detail.isprintable()
    else:
        assert read == read.lower()
        assert canonical_host(read.encode()) == read


def test_a_route_is_decoded_as_a_target_is() -> None:
    assert decode_unreserved(b"/%41%7e/x") == b"/A~/x"
    assert decode_unreserved(b"/x") == b"/x"
    assert isinstance(decode_unreserved(b"/%2f"), Ambiguous)


def test_what_is_shown_is_escaped_and_cut() -> None:
    assert shown(b"a\n\xff") == r"`a\n\xff`"
    assert shown(b"x" * 100) == f"`{'x' * 48}`… (100 bytes)"


@pytest.mark.parametrize(
    ("target", "text"),
    [
        (b"/a@b", "/a@b"),
        (b"http://user:hunter2@host/x", "host/x"),
        (b"\r\n\xff", "\\r\\n\\xff"),
        (b"/" + b"a" * 999, "/" + "a" * 255),
    ],
)
def test_an_unread_target_is_shown_escaped_cut_and_without_a_password(target: bytes, text: str) -> None:
    assert shown_target(target) == text
