import subprocess
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.der import BITS, OCTETS, OID, SEQUENCE, SET, TEXT, TIME, Reader, number, part
from gateway.adapters.timestamp import MOST_ANSWER, TimestampFault, read_answer, request

VECTORS = Path(__file__).parent / "timestamps"
DIGEST = sha256(b"a seal").digest()
ASKED = (VECTORS / "request.tsq").read_bytes()
GRANTED = (VECTORS / "granted.tsr").read_bytes()
SEEN = 1_795_283_902_357_000
"""2026-11-21T17:58:22.357Z, when the vectors were made."""


def nonce_of(asked: bytes) -> int:
    fields = Reader(asked).inside(SEQUENCE)
    fields.number()
    fields.skip()
    return fields.number()


NONCE = nonce_of(ASKED)


def answer(digest: bytes, nonce: int | None, **other: bytes) -> bytes:
    """Return what an authority answers; parts of it can be given otherwise."""
    sha = part(OID, bytes.fromhex("608648016503040201"))
    info = part(
        SEQUENCE,
        other.get("version", number(1)),
        part(OID, b"\x2a\x03\x04\x01"),
        other.get("imprint", part(SEQUENCE, part(SEQUENCE, sha), part(OCTETS, digest))),
        number(7),
        part(TIME, other.get("time", b"20261121175822.357Z")),
        b"" if nonce is None else number(nonce),
        other.get("more", b""),
    )
    kind = part(OID, other.get("kind", bytes.fromhex("2a864886f70d0109100104")))
    signers = other.get("signers", part(SET, part(SEQUENCE)))
    held = part(SEQUENCE, kind, part(0xA0, part(OCTETS, info)))
    signed = part(SEQUENCE, number(3), part(SET), held, other.get("certificates", b""), signers)
    token = part(SEQUENCE, part(OID, other.get("form", bytes.fromhex("2a864886f70d010702"))), part(0xA0, signed))
    return part(SEQUENCE, part(SEQUENCE, other.get("status", number(0))), token)


def test_a_request_is_byte_for_byte_what_openssl_makes() -> None:
    assert request(DIGEST, NONCE) == ASKED


def test_an_answer_that_openssl_made_is_read() -> None:
    assert read_answer(GRANTED, DIGEST, NONCE) == (SEEN, 2)
    assert read_answer(GRANTED, DIGEST, None).at == SEEN
    assert read_answer((VECTORS / "without-nonce.tsr").read_bytes(), DIGEST, None).serial == 3


def test_an_answer_to_something_else_is_none() -> None:
    with pytest.raises(TimestampFault, match="another request"):
        read_answer(GRANTED, DIGEST, NONCE + 1)
    with pytest.raises(TimestampFault, match="another request"):
        read_answer((VECTORS / "without-nonce.tsr").read_bytes(), DIGEST, NONCE)
    with pytest.raises(TimestampFault, match="something else"):
        read_answer(GRANTED, sha256(b"another").digest(), NONCE)


def test_a_refusal_says_why() -> None:
    with pytest.raises(TimestampFault, match=r"status 2, 'Message digest.*', it does not know SHA-256"):
        read_answer((VECTORS / "refused.tsr").read_bytes(), DIGEST, NONCE)
    several = number(2) + part(SEQUENCE, part(TEXT, b"no\x1b[2J")) + part(BITS, b"\x00\x00\x02\x40")
    with pytest.raises(TimestampFault, match=r"'no\\x1b\[2J', its clock .*, it has no room") as told:
        read_answer(answer(DIGEST, 1, status=several), DIGEST, 1)
    assert "\x1b" not in str(told.value)
    with pytest.raises(TimestampFault, match=r"status 5$"):
        read_answer(part(SEQUENCE, part(SEQUENCE, number(5))), DIGEST, NONCE)


@given(digest=st.binary(min_size=32, max_size=32), nonce=st.integers(0, 1 << 63))
def test_an_answer_to_a_request_is_its_stamp(digest: bytes, nonce: int) -> None:
    assert read_answer(answer(digest, nonce), digest, nonce) == (SEEN, 7)


@given(place=st.integers(0, len(GRANTED) - 1), bits=st.integers(1, 255))
def test_no_altered_byte_makes_a_stamp_of_another_digest_or_a_crash(place: int, bits: int) -> None:
    altered = bytearray(GRANTED)
    altered[place] ^= bits
    with suppress(TimestampFault):
        read_answer(bytes(altered), DIGEST, NONCE)
    with pytest.raises(TimestampFault):
        read_answer(bytes(altered), sha256(b"another").digest(), NONCE)


@given(st.integers(0, len(GRANTED) - 1))
def test_no_answer_that_was_cut_is_one(length: int) -> None:
    with pytest.raises(TimestampFault):
        read_answer(GRANTED[:length], DIGEST, NONCE)
    with pytest.raises(TimestampFault):
        read_answer(GRANTED + GRANTED[: length + 1], DIGEST, NONCE)


@pytest.mark.parametrize(
    ("other", "what"),
    [
        ({"version": number(2)}, "version"),
        ({"kind": b"\x2a\x03"}, "signs is no timestamp"),
        ({"form": b"\x2a\x03"}, "not signed"),
        ({"signers": part(SET)}, "it is the end"),
        ({"signers": part(SET, part(SEQUENCE), part(SEQUENCE))}, "too many"),
        ({"time": b"20261121175822.350Z"}, "time is not written"),
        ({"time": b"20261121175822"}, "time is not written"),
        ({"time": b"20261321175822Z"}, "time is none"),
        ({"imprint": part(SEQUENCE, part(SEQUENCE, part(OID, b"\x2a")), part(OCTETS, DIGEST))}, "something else"),
        ({"more": part(OCTETS, b"x")}, "too many"),
    ],
)
def test_what_is_no_timestamp_is_refused(other: dict[str, bytes], what: str) -> None:
    with pytest.raises(TimestampFault, match=what):
        read_answer(answer(DIGEST, 5, **other), DIGEST, 5)


def test_what_may_be_there_besides_may_be_there() -> None:
    assert read_answer(answer(DIGEST, 5, more=part(0xA0) + part(0xA1), certificates=part(0xA0)), DIGEST, 5).serial == 7
    assert read_answer(answer(DIGEST, None, time=b"20261121175822Z"), DIGEST, None).at == SEEN - 357_000


def test_an_answer_that_is_too_long_is_not_looked_at() -> None:
    with pytest.raises(TimestampFault, match="bytes"):
        read_answer(GRANTED + bytes(MOST_ANSWER), DIGEST, NONCE)


def test_the_vectors_are_signed_by_their_root() -> None:
    """Where there is an `openssl`; what it says of them was true when they were made."""
    try:
        done = subprocess.run(
            [
                *("openssl", "ts", "-verify", "-digest", DIGEST.hex()),
                *("-in", str(VECTORS / "granted.tsr"), "-CAfile", str(VECTORS / "root.pem")),
            ],
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except FileNotFoundError:
        return
    assert done.returncode == 0, done.stderr
