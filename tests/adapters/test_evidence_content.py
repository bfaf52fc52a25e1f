"""What a file is: said by what is in it, whatever it is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.evidence_content import ACCEPTED, HEIC, JPEG, PDF, PNG, WEBP, claimed, media_type
from tests.adapters.pictures import box, heic, jpeg, pdf, png, webp

WHOLE = {JPEG: jpeg(), PNG: png(), WEBP: webp(), HEIC: heic(), PDF: pdf()}


@pytest.mark.parametrize("kind", ACCEPTED)
def test_a_whole_file_of_each_kind_is_known(kind: str) -> None:
    assert media_type(WHOLE[kind]) == kind


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (jpeg(before=b"\xff\xe1\x00\x04ab" * 50), JPEG),
        (jpeg(before=b"\xff\xff\xfe\x00\x02"), JPEG),
        (jpeg(after=box(b"ftyp", b"mp42" + bytes(4000))), JPEG),  # a short film behind the picture
        (heic(b"heix"), HEIC),
        (heic()[:-48] + b"\0\0\0\0mdat" + bytes(40), HEIC),
        (heic()[:-48] + b"\0\0\0\x01mdat" + (56).to_bytes(8) + bytes(40), HEIC),
        (pdf() + b"\r\n", PDF),
        (webp() + b"\0", WEBP),
    ],
)
def test_what_cameras_and_programs_really_write_is_known(content: bytes, kind: str) -> None:
    assert media_type(content) == kind


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<?xml version='1.0'?><svg/>",
        b"<!doctype html><script>alert(1)</script>",
        b"GIF89a" + bytes(40),
        b"MZ" + bytes(200),
        b"PK\x03\x04" + bytes(200),
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0" + bytes(200),
        b"\xff\xd8\xff<script>alert(1)</script>\xff\xd9",
        jpeg(before=b"\xff" * 20_000),
        jpeg(before=b"\xff\xfe\x00\x02" * 20_000),
        heic() + box(b"free", b"") * 20_000,
        png()[:33] + (bytes(4) + b"tEXt" + bytes(4)) * 20_000 + png()[33:],
        jpeg()[:-2],
        jpeg().replace(b"\xff\xc0", b"\xff\xc4"),
        jpeg().replace(b"\x08\x00\x01\x00\x01\x01", b"\x08\x00\x01\x00\x00\x01"),
        png()[:-1],
        png() + b"<script>",
        b"\x89PNG\r\n\x1a\n<script>alert(1)</script>",
        png().replace(b"IDAT", b"IDAX"),
        webp()[:-2],
        webp() + b"<script>",
        webp().replace(b"VP8 ", b"AVI "),
        heic(b"avif"),
        heic(b"mp42"),
        heic()[:-1],
        heic() + b"<script>",
        heic().replace(b"meta", b"free"),
        pdf()[:-8],
        b"\n" + pdf(),
        pdf().replace(b"%PDF-1.7", b"%PDF-x.7"),
    ],
)
def test_what_is_none_of_these_or_not_whole_is_nothing(content: bytes) -> None:
    assert media_type(content) is None


@given(st.sampled_from(sorted(WHOLE)), st.data())
def test_a_file_that_is_cut_short_is_never_another_kind(kind: str, data: st.DataObject) -> None:
    content = WHOLE[kind]
    cut = content[: data.draw(st.integers(0, len(content) - 1))]
    assert media_type(cut) in {None, kind}


@given(
    st.binary(max_size=300),
    st.sampled_from([b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"%PDF-1.", b"\0\0\0\x18ftyp"]),
)
def test_reading_ends_whatever_it_reads(content: bytes, begin: bytes) -> None:
    assert media_type(begin + content) in {None, *ACCEPTED}


def test_a_claimed_type_is_compared_by_its_usual_name() -> None:
    assert claimed("Image/JPG; q=1") == JPEG
    assert claimed("image/heif") == HEIC
    assert claimed("image/svg+xml") == "image/svg+xml"
