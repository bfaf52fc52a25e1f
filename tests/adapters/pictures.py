"""The smallest files of each kind that evidence may be."""

import struct
import zlib


def png(data: bytes = b"\0\0\0\0") -> bytes:
    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b""))
    )


def jpeg(size: int = 40, before: bytes = b"", after: bytes = b"") -> bytes:
    def segment(marker: int, content: bytes) -> bytes:
        return bytes([0xFF, marker]) + struct.pack(">H", len(content) + 2) + content

    frame = segment(0xC0, struct.pack(">BHHB", 8, 1, 1, 1) + b"\x01\x11\x00")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + bytes(size)
    return b"\xff\xd8" + segment(0xE0, b"JFIF\0" + bytes(9)) + before + frame + scan + b"\xff\xd9" + after


def webp() -> bytes:
    content = b"WEBPVP8 " + struct.pack("<I", 10) + bytes(10)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def box(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", 8 + len(content)) + kind + content


def heic(brands: bytes = b"mif1heic") -> bytes:
    return box(b"ftyp", b"mif1\0\0\0\0" + brands) + box(b"meta", bytes(20)) + box(b"mdat", bytes(40))


def pdf() -> bytes:
    return b"%PDF-1.7\n1 0 obj <<>> endobj\nxref\n0 1\ntrailer <<>>\nstartxref\n9\n%%EOF\n"
