import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.der import INTEGER, NULL, OCTETS, SEQUENCE, DerFault, Reader, number, part


@given(st.integers(0, 1 << 160))
def test_every_number_is_read_as_it_was_written(value: int) -> None:
    reader = Reader(number(value))
    assert reader.number() == value
    reader.end()


@given(st.lists(st.binary(max_size=300), max_size=8))
def test_every_sequence_is_read_as_it_was_written(contents: list[bytes]) -> None:
    whole = Reader(part(SEQUENCE, *(part(OCTETS, content) for content in contents)))
    inner = whole.inside(SEQUENCE)
    whole.end()
    assert [inner.take(OCTETS) for _ in contents] == contents
    inner.end()


@given(st.sampled_from([0x7F, 0x80, 0xFF, 0x100, 0xFFFF, 0x10000]))
def test_a_length_has_one_way_to_be_written(length: int) -> None:
    raw = part(OCTETS, bytes(length))
    assert Reader(raw).take(OCTETS) == bytes(length)
    size = raw[1] & 0x7F if length >= 0x80 else 0
    longer = bytes((OCTETS, 0x80 | size + 1)) + bytes(1) + length.to_bytes(max(size, 1), "big")[-size or None :]
    with pytest.raises(DerFault, match="a length"):
        Reader(longer + bytes(length)).take(OCTETS)


@given(st.binary(max_size=200))
def test_no_bytes_are_a_crash(raw: bytes) -> None:
    reader = Reader(raw)
    for step in (reader.skip, reader.number, lambda: reader.take(SEQUENCE), reader.end):
        try:
            step()
        except DerFault:
            continue


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"\x04\x80\x00\x00", "a length"),
        (b"\x04\x81\x05hello", "a length"),
        (b"\x04\x85\x00\x00\x00\x00\x01x", "a length"),
        (b"\x04\x82\x01", "a length"),
        (b"\x04\x05four", "ends inside"),
        (b"\x04", "ends inside"),
        (b"", "it is the end"),
        (b"\x05\x00", "tag 0x05"),
    ],
)
def test_what_is_not_written_as_der_is_refused(raw: bytes, what: str) -> None:
    with pytest.raises(DerFault, match=what):
        Reader(raw).take(OCTETS)


@pytest.mark.parametrize("digits", [b"", b"\x80", b"\x00\x01", b"\x01" * 65])
def test_a_number_is_not_negative_and_as_short_as_it_can_be(digits: bytes) -> None:
    with pytest.raises(DerFault, match="a number"):
        Reader(part(INTEGER, digits)).number()


def test_what_is_passed_over_and_what_is_left_is_known() -> None:
    reader = Reader(part(NULL) + part(OCTETS, b"x"))
    assert reader.next_is(NULL)
    reader.skip()
    with pytest.raises(DerFault, match="3 bytes too many"):
        reader.end()
    reader.skip()
    with pytest.raises(DerFault, match="it is the end"):
        reader.skip()
    with pytest.raises(DerFault, match="several bytes"):
        Reader(b"\x1f\x81\x00").skip()
