"""Encryption of evidence: what comes out is what went in, or nothing."""

import os
from base64 import b64encode
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.evidence_cipher import (
    PIECE,
    EvidenceDamaged,
    MasterKeys,
    decrypted,
    encrypted,
    read_master_keys,
    rewrapped,
    stored_size,
)
from gateway.core.errors import ConfigError

OLD, NEW = bytes(range(32)), bytes(range(1, 33))
KEYS = MasterKeys({"2026-11": NEW, "2025-01": OLD})
NAME = "ab/abcdef"
TAG = 16


def kept(content: bytes, name: str = NAME, keys: MasterKeys = KEYS) -> bytes:
    return encrypted(content, name, keys, os.urandom)


def opened(stored: bytes, name: str = NAME, keys: MasterKeys = KEYS) -> bytes:
    return b"".join(decrypted(stored, name, keys))


def pieces(stored: bytes, content: bytes) -> tuple[bytes, list[bytes]]:
    """The header, and the pieces as they are kept."""
    count = (len(content) + PIECE - 1) // PIECE
    start = len(stored) - len(content) - TAG * count
    return stored[:start], [stored[at : at + PIECE + TAG] for at in range(start, len(stored), PIECE + TAG)]


@pytest.mark.parametrize("size", [1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE])
def test_a_file_comes_back_as_it_was_and_is_not_seen_meanwhile(size: int) -> None:
    content = os.urandom(size - 1) + b"x"
    stored = kept(content)
    assert opened(stored) == content
    assert content[:64] not in stored or size == 1
    assert len(stored) <= stored_size(size)
    assert kept(content) != stored, "each file has a key of its own"


@given(st.binary(min_size=1, max_size=200), st.data())
def test_no_byte_can_be_changed_unnoticed(content: bytes, data: st.DataObject) -> None:
    stored = bytearray(kept(content))
    at = data.draw(st.integers(0, len(stored) - 1))
    stored[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises(EvidenceDamaged):
        opened(bytes(stored))


@given(st.binary(min_size=1, max_size=200), st.data())
def test_nothing_can_be_cut_off_or_added_unnoticed(content: bytes, data: st.DataObject) -> None:
    stored = kept(content)
    with pytest.raises(EvidenceDamaged):
        opened(stored[: data.draw(st.integers(0, len(stored) - 1))])
    with pytest.raises(EvidenceDamaged):
        opened(stored + data.draw(st.binary(min_size=1, max_size=40)))


def test_pieces_can_be_neither_left_out_nor_moved_nor_doubled() -> None:
    content = os.urandom(3 * PIECE)
    stored = kept(content)
    header, (one, two, three) = pieces(stored, content)
    assert opened(header + one + two + three) == content
    for wrong in ((one, two), (one,), (), (one, three), (two, one, three), (one, three, two), (one, two, two, three)):
        with pytest.raises(EvidenceDamaged):
            opened(header + b"".join(wrong))
    other_header, (other, *_) = pieces(kept(content), content)
    with pytest.raises(EvidenceDamaged):
        opened(header + other + two + three)
    with pytest.raises(EvidenceDamaged):
        opened(other_header + one + two + three)


def test_a_file_does_not_stand_in_for_another() -> None:
    with pytest.raises(EvidenceDamaged, match="not stored under this name"):
        opened(kept(b"mine"), "ab/other")


def test_after_a_rotation_new_files_have_the_new_key_and_old_ones_are_read() -> None:
    before = MasterKeys({"2025-01": OLD})
    stored = kept(b"old", keys=before)
    assert opened(stored) == b"old"
    fresh = kept(b"new")
    with pytest.raises(EvidenceDamaged, match="master key `2026-11` is not among those"):
        opened(fresh, keys=before)
    with pytest.raises(EvidenceDamaged, match="with this master key"):
        opened(fresh, keys=MasterKeys({"2026-11": OLD}))


def test_master_keys_are_read_from_a_file_newest_first(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    path.write_text(f"2026-11 {b64encode(NEW).decode()}\n\n2025-01  {b64encode(OLD).decode()}\r\n")
    keys = read_master_keys(path)
    assert keys.newest == "2026-11"
    assert opened(kept(b"x", keys=MasterKeys({"2025-01": OLD})), keys=keys) == b"x"


SHORT = b64encode(bytes(31)).decode()
GOOD = b64encode(NEW).decode()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "1 to 32 are needed, not 0"),
        (GOOD, "write its id and 32 random bytes"),
        (f"a b {GOOD}", "write its id and 32 random bytes"),
        (f"a {SHORT}", "a key 32 bytes"),
        ("a " + "*" * 44, "not base64"),
        (f"../x {GOOD}", "an id has"),
        (f"a {GOOD}\na {GOOD}", "another one with this id"),
        ("ü", "not ASCII"),
        ("\n".join(f"k{n} {GOOD}" for n in range(33)), "1 to 32"),
        ("\n" * 9000, "1 to 32|larger than"),
    ],
)
def test_a_file_of_keys_that_cannot_work_stops_the_start_and_is_not_told(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "keys"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says) as raised:
        read_master_keys(path)
    assert GOOD not in str(raised.value)
    assert SHORT not in str(raised.value)
    with pytest.raises(ConfigError, match="No such file"):
        read_master_keys(tmp_path / "absent")


@pytest.mark.parametrize("size", [0, 1, PIECE, PIECE + 1])
def test_a_rewrapped_file_is_opened_by_the_new_key_alone_and_its_pieces_are_as_they_were(size: int) -> None:
    old, new = MasterKeys({"a": b"a" * 32}), MasterKeys({"longer-id": b"b" * 32})
    both = MasterKeys({"longer-id": b"b" * 32, "a": b"a" * 32})
    content = bytes(size)
    stored = encrypted(content, "ab/name", old, os.urandom)
    renewed = rewrapped(stored, "ab/name", both, os.urandom)
    assert renewed is not None
    assert b"".join(decrypted(renewed, "ab/name", new)) == content
    assert renewed[5 + 9 + 60 :] == stored[5 + 1 + 60 :]
    assert rewrapped(renewed, "ab/name", both, os.urandom) is None
    with pytest.raises(EvidenceDamaged, match="its master key `longer-id` is not among those configured"):
        list(decrypted(renewed, "ab/name", old))
    with pytest.raises(EvidenceDamaged, match="was not stored under this name"):
        rewrapped(stored, "ab/other", both, os.urandom)
    with pytest.raises(EvidenceDamaged, match="its master key `a` is not among those configured"):
        rewrapped(stored, "ab/name", new, os.urandom)
