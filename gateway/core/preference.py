"""What a client would rather read: a page or JSON, and in which language (RFC 9110 section 12.5)."""

import re
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final

_LONGEST: Final = 1024
"""Bytes of a header beyond which it asks for nothing: its sender decides how long it is."""
_MAX_RANGES: Final = 32
_RANGE: Final = re.compile(rb"(\*|[a-z]{1,8})(?:-(?:[a-z0-9]{1,8}|\*))*\Z")
"""A language range (RFC 4647 section 2), of which only the language itself is looked at."""


def wants_html(accept: bytes) -> bool:
    """Return whether the Accept header names HTML, and no kind of JSON as much. Wildcards ask for nothing."""
    html = other = 0.0
    for media, quality in _ranges(accept):
        if media in {b"text/html", b"application/xhtml+xml"}:
            html = max(html, quality)
        elif media.endswith((b"/json", b"+json")):
            other = max(other, quality)
    return html > other


def preferred(accept_language: bytes, languages: tuple[str, ...]) -> str:
    """Return which of the languages the Accept-Language header asks for; the first of them where it asks for none.

    A region counts for its language. Of languages that are wanted as much the one that is named first is taken; `*`
    stands for all that are not named.
    """
    if not accept_language or len(accept_language) > _LONGEST:
        return languages[0]
    return _preferred(accept_language, languages)


@lru_cache(maxsize=512)  # browsers send few different ones, and each takes longer to read than a refusal to write
def _preferred(accept_language: bytes, languages: tuple[str, ...]) -> str:
    wanted: dict[str, float] = {}
    others = 0.0
    for tag, quality in _ranges(accept_language):
        found = _RANGE.match(tag)
        if found is None:
            continue
        language = found[1].decode("ascii")
        if language == "*":
            others = max(others, quality)
        elif language in languages:
            wanted[language] = max(wanted.get(language, 0.0), quality)
    offered = [*wanted, *(one for one in languages if one not in wanted)]
    best = max(offered, key=lambda one: wanted.get(one, others))
    return best if wanted.get(best, others) > 0 else languages[0]


def lines_of(headers: Iterable[tuple[bytes, bytes]], name: bytes) -> bytes:
    """Return all values of a header that is a list, as one list."""
    return b",".join([value for key, value in headers if key == name])


def _ranges(header: bytes) -> Iterator[tuple[bytes, float]]:
    """Yield each member of a list in lower case, and its weight."""
    if len(header) > _LONGEST:
        return
    for member in header.lower().split(b",")[:_MAX_RANGES]:
        name, *parameters = (part.strip() for part in member.split(b";"))
        yield name, _quality(parameters)


def _quality(parameters: list[bytes]) -> float:
    """Return the weight of a member: 1 where none is given, 0 where it cannot be read."""
    for parameter in parameters:
        if parameter.startswith(b"q="):
            text = parameter[2:]
            readable = len(text) <= 5 and text.replace(b".", b"", 1).isdigit()
            return min(1.0, float(text)) if readable else 0.0
    return 1.0
