"""What was probably meant by text that cannot be read: slips of the pen in conditions and in YAML."""

import re
import unicodedata
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TEXT: Final = re.compile(r"""(["'])(?:(?!\1).)*\1""", re.DOTALL)


class Slip(NamedTuple):
    """Where a slip stands in the text, and what to write instead."""

    offset: int
    message: str


def _plain_word(found: re.Match[str]) -> str:
    return f"`{found[0]}` is written `{found[0].lower()}`"


def _plain_quote(found: re.Match[str]) -> str:
    return f'`{found[0]}` is a typographic quote: write `"`'


def _plain_seconds(found: re.Match[str]) -> str:
    return f"`{found[0]}`: a condition counts in seconds, so write `{int(found[1]) * _SECONDS[found[2]]}`"


def _named(found: re.Match[str]) -> str:
    return f"an invisible character, U+{ord(found[0]):04X}, stands here: write a plain blank, or nothing"


_IN_CONDITIONS: Final[tuple[tuple[re.Pattern[str], str | Callable[[re.Match[str]], str]], ...]] = (
    (re.compile("[\u00a0\u1680\u2000-\u200f\u2028-\u202f\u205f-\u2064\u3000\ufeff]"), _named),
    (re.compile("[\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f\u00ab\u00bb]"), _plain_quote),
    (re.compile(r"&&?"), "`and` joins conditions, not `&&`"),
    (re.compile(r"\|\|?"), "`or` joins conditions, not `||`"),
    (re.compile(r"!(?!=)"), "`not` denies, not `!`"),
    (re.compile(r"<>"), "inequality is written `!=`, not `<>`"),
    (re.compile(r"==="), "equality is written `==`, not `===`"),
    (re.compile(r"=<"), "`<=` is meant, not `=<`"),
    (re.compile(r"=>"), "`>=` is meant, not `=>`"),
    (re.compile(r"(?<![=!<>:])=(?!=)"), "equality is written `==`, not `=`"),
    (re.compile(r"\b(?:AND|And|OR|Or|NOT|Not|IN|In)\b(?!\s*[=!<>])"), _plain_word),
    (re.compile(r"%"), "a share has no `%` here: facts are compared with plain numbers and texts"),
    (re.compile(r"[$€£¥]"), "an amount has no currency sign here: `_usd` facts are plain numbers of US dollars"),
    (re.compile(r"\b(\d{1,6})\s?([smhd])\b"), _plain_seconds),
)
"""What other languages and word processors write, and what this one does."""


def in_condition(text: str) -> Slip | None:
    """Return the first slip in a condition, or None. What stands in quotes is left alone."""
    outside = _TEXT.sub(lambda found: "." * len(found[0]), text)
    slips = [
        Slip(found.start(), said if isinstance(said, str) else said(found))
        for pattern, said in _IN_CONDITIONS
        if (found := pattern.search(outside)) is not None
    ]
    # Of two that begin at one place the first of the table counts: it is the longer one.
    return min(slips, key=lambda slip: slip.offset, default=None)


def swallowed(behind: str) -> Slip | None:
    """Return the slip where a comment behind a condition goes on with it. YAML ends the condition at the `#`."""
    found = re.match(r"\s*#\s*(?:(?:and|or|not|in)\b|[=!<>]=)", behind)
    if found is None:
        return None
    message = "the condition ends before this comment, which reads as if it went on: join it, or put it on a line above"
    return Slip(behind.index("#"), message)


def in_yaml(problem: str, line: str, column: int) -> str:
    """Return `: what was probably meant`, or nothing. `line` is the text of the line, `column` counts from 0."""
    return next((f": {meant}" for meant in _meant_in_yaml(problem, line, column)), "")


def _meant_in_yaml(problem: str, line: str, column: int) -> Iterator[str]:
    """Yield what may have been meant, the likeliest first."""
    before, rest, stripped = line[:column], line[column:], line.lstrip(" ")
    if "\t" in line[: len(line) - len(line.lstrip(" \t"))] or rest.startswith("\t"):
        yield "a tab stands here, and YAML is indented by blanks alone"
    if re.match(r"-[A-Za-z]", stripped):
        yield f"after the `-` of an item stands a blank: `- {stripped[1:40]}`"
    if "mapping values are not allowed" in problem:
        twice = re.search(r":\s.*:\s", line.partition("#")[0])
        yield (
            "a text that contains `: ` stands in quotes"
            if twice
            else "this line is indented deeper than the field above it"
        )
    if "found '<scalar>'" in problem and re.search(r"""[:-]\s+["']""", before):
        yield (
            "a text that begins with a quote ends at the next one. "
            "Put the whole in quotes of the other kind, or on its own line below `>-`"
        )
    if "could not find expected ':'" in problem or re.match(r"[\w-]+:[^\s:]", stripped):
        yield "between a field and its value stand a colon and a blank"
    if "'<stream end>'" in problem:
        yield "the file ends in the middle of a value"
    if "cannot start any token" in problem or "expected alphabetic" in problem:
        yield f"a text that begins with `{(rest or line[column - 1 :])[:1]}` stands in quotes"
    if "expected <block end>" in problem:
        yield "is this line indented like its neighbours?"


def invisible(text: str) -> str | None:
    """Return the code point of the first character that nobody can see and no text needs, such as `U+200B`, or None."""
    for character in text:
        if not character.isprintable():
            return f"U+{ord(character):04X}"
    return None


def looks_alike(word: str) -> str:
    """Return `, written with letters that only look like ours (U+0441 …)`, or nothing where all are plain."""
    odd = next((character for character in word if not character.isascii()), None)
    if odd is None:
        return ""
    name = unicodedata.name(odd, "no name").lower()
    return f", which has a letter that only looks like a plain one ({name})"
