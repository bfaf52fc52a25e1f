"""What a file is, by what is in it: a picture or a PDF, or nothing that evidence may be.

A name and a claimed type are what anybody may write. Pictures that are text (SVG) and pages (HTML) are none of these:
they run code in the browser of whoever looks at them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

JPEG: Final = "image/jpeg"
PNG: Final = "image/png"
WEBP: Final = "image/webp"
HEIC: Final = "image/heic"
PDF: Final = "application/pdf"

_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {"image/jpg": JPEG, "image/pjpeg": JPEG, "image/heif": HEIC, "application/x-pdf": PDF}
)
UNCLAIMED: Final = frozenset({"", "application/octet-stream"})
"""What a client says that does not know."""

_HEIC_BRANDS: Final = frozenset({b"heic", b"heix", b"heim", b"heis"})
_STARTS_FRAME: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})
"""The markers of JPEG that say how large a picture is."""
_ALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})
"""Those that have no length."""
_MOST_PARTS: Final = 10_000
"""Segments, chunks or boxes that are gone through. A file of a million empty ones would take a second of everybody."""
_END_WITHIN: Final = 1024
"""Where readers of PDF look for its end."""


def media_type(content: bytes) -> str | None:
    """Return the media type of a file, None for one that is not whole or not of a type that evidence may have."""
    return next((name for name, fits in _FORMS.items() if fits(content)), None)


def claimed(text: str) -> str:
    """Return a claimed media type without its parameters, by its usual name."""
    bare = text.partition(";")[0].strip().lower()
    return _ALIASES.get(bare, bare)


def _is_jpeg(content: bytes) -> bool:
    """Return whether its segments lead to a picture with a size, and to its data and its end (ISO 10918-1, B)."""
    if content[:3] != b"\xff\xd8\xff":
        return False
    at, sized = 2, False
    for _ in range(_MOST_PARTS):
        if at + 4 > len(content) or content[at] != 0xFF:
            return False
        marker = content[at + 1]
        if marker == 0xFF or marker in _ALONE:
            at += 1 if marker == 0xFF else 2
            continue
        length = int.from_bytes(content[at + 2 : at + 4])
        if length < 2 or at + 2 + length > len(content):
            return False
        if marker == 0xDA:
            # What follows its end is left alone: telephones put a short film there.
            return sized and content.find(b"\xff\xd9", at) > 0
        if marker in _STARTS_FRAME:
            sized = int.from_bytes(content[at + 7 : at + 9]) > 0
        at += 2 + length
    return False


def _is_png(content: bytes) -> bool:
    """Return whether its chunks lead from a header with a size to its end, with data between (PNG, 5.3)."""
    if content[:16] != b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" or not all((any(content[16:20]), any(content[20:24]))):
        return False
    at, data = 8, False
    for _ in range(_MOST_PARTS):
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        at += 12 + length
        data |= kind == b"IDAT"
        if kind == b"IEND":
            return data and length == 0 and at == len(content)
    return False


def _is_webp(content: bytes) -> bool:
    """Return whether it is a RIFF file of the length that it says, which begins with a picture (RFC 9649, 2.3)."""
    whole = 8 + int.from_bytes(content[4:8], "little")
    return (
        content[:4] == b"RIFF"
        and content[8:12] == b"WEBP"
        and content[12:16] in {b"VP8 ", b"VP8L", b"VP8X"}
        and len(content) - whole in {0, 1}
        and len(content) > 20
    )


def _is_heic(content: bytes) -> bool:
    """Return whether its boxes go to its end, and hold the description and the data of a picture (ISO 23008-12)."""
    length = int.from_bytes(content[:4])
    brands = {content[at : at + 4] for at in range(8, min(length, 512), 4) if at != 12}
    if content[4:8] != b"ftyp" or length < 16 or not brands & _HEIC_BRANDS:
        return False
    at, kinds = 0, set()
    for _ in range(_MOST_PARTS):
        if at + 8 > len(content):
            break
        length, kind = int.from_bytes(content[at : at + 4]), content[at + 4 : at + 8]
        start = 8
        if length == 1:
            length, start = int.from_bytes(content[at + 8 : at + 16]), 16
        elif length == 0:
            length = len(content) - at
        if length < start:
            return False
        kinds.add(kind)
        at += length
    return at == len(content) and {b"meta", b"mdat"} <= kinds


def _is_pdf(content: bytes) -> bool:
    """Return whether it begins and ends as a PDF does, and says where its objects are (ISO 32000-1, 7.5)."""
    end = content[-_END_WITHIN:]
    return content[:5] == b"%PDF-" and content[5:7] in {b"1.", b"2."} and b"startxref" in end and b"%%EOF" in end


_FORMS: Final[Mapping[str, Callable[[bytes], bool]]] = MappingProxyType(
    {JPEG: _is_jpeg, PNG: _is_png, WEBP: _is_webp, HEIC: _is_heic, PDF: _is_pdf}
)
ACCEPTED: Final = tuple(_FORMS)
"""The media types that evidence may have."""
