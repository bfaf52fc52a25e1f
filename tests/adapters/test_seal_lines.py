from pathlib import Path
from typing import Any

import orjson
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.seal_lines import (
    CHECKPOINT,
    MAX_LINE,
    START,
    Removal,
    Seal,
    SealFault,
    digest_of,
    is_signed,
    pack,
    read_removal,
    read_seal,
    signed_part,
)
from gateway.adapters.signing import Signer, key_id, signer_of

PRIVATE = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
SIGNER = Signer(PRIVATE)
KEYS = {key_id(PRIVATE.public_key()): PRIVATE.public_key()}
SEAL = Seal("w0", 3, CHECKPOINT, 1, 128, 4096, 10, 52, 1_763_700_000_000_000, "d" * 64, "e" * 64, 7, SIGNER.key_id)
NOTE = Removal(1, "w0", (1, 2), (1, 9), 1, 400, "d" * 64, "as long as it must be kept", START, 7, SIGNER.key_id)

numbers = st.integers(0, 2**62)
seals = st.builds(
    Seal,
    worker=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}", fullmatch=True),
    line=numbers,
    kind=st.sampled_from(["checkpoint", "sealed", "abandoned"]),
    segment=numbers,
    start=st.integers(0, 100),
    end=st.integers(100, 2**62),
    first=numbers,
    last=numbers,
    latest=st.integers(-(2**63), 2**63 - 1),
    digest=st.just("d" * 64),
    previous=st.just(START),
    at=numbers,
    key=st.just(SIGNER.key_id),
    reclaimed=st.booleans(),
    beside=st.dictionaries(st.text("abc", min_size=1), st.tuples(numbers, numbers, st.just("f" * 64)), max_size=3),
)


@given(seals)
def test_a_seal_reads_back_as_it_was_written(seal: Seal) -> None:
    raw = pack(seal, SIGNER)
    assert read_seal(raw) == seal
    assert is_signed(raw, seal.key, KEYS)
    assert orjson.loads(raw)["seal"]["line"] == seal.line
    assert orjson.loads(signed_part(raw)) == orjson.loads(raw)["seal"]
    assert b"\n" not in raw


def test_a_note_of_a_removal_reads_back_as_it_was_written() -> None:
    raw = pack(NOTE, SIGNER)
    assert read_removal(raw) == NOTE
    assert is_signed(raw, NOTE.key, KEYS)
    with pytest.raises(SealFault):
        read_seal(raw)
    with pytest.raises(SealFault):
        read_removal(pack(SEAL, SIGNER))


@given(data=st.data())
def test_no_other_bytes_pass_for_a_line(data: Any) -> None:
    for line, read in ((SEAL, read_seal), (NOTE, read_removal)):
        raw = bytearray(pack(line, SIGNER))
        raw[data.draw(st.integers(0, len(raw) - 1))] ^= data.draw(st.integers(1, 255))
        try:
            found = read(bytes(raw))
        except SealFault:
            continue
        assert not is_signed(bytes(raw), found.key, KEYS)


@pytest.mark.parametrize(
    "fields",
    [
        [],
        {},
        {**SEAL._asdict(), "beside": []},
        {**SEAL._asdict(), "line": "3"},
        {**SEAL._asdict(), "line": True},
        {**SEAL._asdict(), "start": -1},
        {**SEAL._asdict(), "end": 1},
        {**SEAL._asdict(), "worker": 7},
        {**SEAL._asdict(), "more": 1},
        {**SEAL._asdict(), "reclaimed": False},
    ],
)
def test_what_says_something_else_is_no_seal(fields: Any) -> None:
    body = orjson.dumps(fields, default=dict)
    with pytest.raises(SealFault):
        read_seal(b'{"seal":' + body + b',"signature":"' + SIGNER.sign(body).hex().encode() + b'"}')


def test_a_line_that_names_as_many_others_as_it_may_can_be_read(tmp_path: Path) -> None:
    beside = {f"{n:032}": (10**15, 10**15, "f" * 64) for n in range(17)}
    raw = pack(SEAL._replace(beside=beside), signer_of(tmp_path))
    assert len(raw) < MAX_LINE
    assert len(digest_of(raw)) == 64
