"""Subdivisions of countries by ISO 3166-2, and the names by which databases call them.

`subdivisions.json` is written by `python -m geodb.reference.generate`. A name that is not in it has no code: guessing
would put an address into a region that nobody said it is in.
"""

import json
import unicodedata
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Final

_LETTERS: Final = str.maketrans(
    {"\N{LATIN SMALL LETTER DOTLESS I}": "i", "ł": "l", "ø": "o", "đ": "d", "ß": "ss", "æ": "ae", "ə": "e", "þ": "th"}
)
"""Letters that Unicode does not take apart into a plain one and an accent."""
_LONGEST: Final = 80
_APOSTROPHES: Final = str.maketrans(dict.fromkeys("'`\u2019\u02b9\u02bc\u02bb"))
_SEPARATORS: Final = str.maketrans(dict.fromkeys("-\u2013\u2014.,/&()", " "))


def is_subdivision(code: str) -> bool:
    """Return whether `code` is an ISO 3166-2 code such as `US-NY`."""
    country, _, rest = code.partition("-")
    return rest in _codes().get(country, frozenset())


@lru_cache(8_192)
def subdivision_named(country: str, name: str) -> str | None:
    """Return the ISO 3166-2 code of the region that databases call `name` in `country`; None where no one means it."""
    return _names().get(country, {}).get(normal(name))


def normal(name: str) -> str:
    """Return `name` without case, accents and punctuation; of a longer one, 80 characters."""
    # Taken apart twice: some letters have a small form only after the first time.
    plain = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", name[:_LONGEST]).casefold()).translate(_LETTERS)
    kept = "".join(character for character in plain if not unicodedata.combining(character))
    return " ".join(kept.translate(_APOSTROPHES).translate(_SEPARATORS).split())[:_LONGEST].rstrip()


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = json.loads(resources.files(__package__).joinpath("subdivisions.json").read_text("utf-8"))
    return table


@cache
def _names() -> dict[str, dict[str, str]]:
    names: dict[str, dict[str, str]] = _table()["names"]
    return names


@cache
def _codes() -> dict[str, frozenset[str]]:
    return {country: frozenset(codes.split()) for country, codes in _table()["codes"].items()}
