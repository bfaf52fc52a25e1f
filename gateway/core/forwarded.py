"""What proxies wrote about the client, element by element: `X-Forwarded-For` and RFC 7239 `Forwarded`."""

import re
from collections.abc import Sequence
from typing import Final

from gateway.core.addresses import Parsed, parse

_TOKEN: Final = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - RFC 9110 §5.6.2
# RFC 7239 §4. No blanks around `=` and `;`; they belong to the commas between elements.
_PAIR: Final = re.compile(rf'({_TOKEN})=(?:({_TOKEN})|"((?:[\t \x21\x23-\x5b\x5d-\x7e]|\\[\t\x20-\x7e])*)")')
_COMMA: Final = re.compile(r"[ \t]*,[ \t]*")
_BLANKS: Final = " \t"
# An address and a port, as RFC 7239 §6 writes them, and list headers in practice.
_NODE: Final = re.compile(r"(?:([0-9.]+)|\[([^\[\]:]*:[^\[\]]*)\])(?::([0-9]{1,5}|_[0-9A-Za-z._-]+))?")
_OBFUSCATED: Final = re.compile(r"(?:(?i:unknown)|_[0-9A-Za-z._-]+)(?::.*)?")

Element = str | None
"""The text that names one node; None where an element names nobody."""


def list_elements(lines: Sequence[bytes]) -> list[Element]:
    """Return the elements of a list header in wire order. Nothing is looked at: the caller reads from the right."""
    return [text.strip(_BLANKS) for line in lines for text in line.decode("latin-1").split(",")]


def forwarded_elements(lines: Sequence[bytes]) -> list[Element] | None:
    """Return what each element of `Forwarded` says of `for`, in wire order; None where any byte is not RFC 7239.

    Each line must be whole in itself: a quote left open in one would swallow the line that the proxy added.
    """
    elements: list[Element] = []
    for line in lines:
        text = line.decode("latin-1").strip(_BLANKS)
        position = 0
        while True:
            read = _element(text, position)
            if read is None:
                return None
            node, position = read
            elements.append(node)
            if position == len(text):
                break
            comma = _COMMA.match(text, position)
            if comma is None:
                return None
            position = comma.end()
    return elements


def _element(text: str, position: int) -> tuple[Element, int] | None:
    """Return what one element says of `for`, and where it ends; None where it is empty, broken or repeats a name."""
    said: dict[str, str] = {}
    while True:
        pair = _PAIR.match(text, position)
        if pair is not None:
            name = pair[1].lower()
            if name in said:
                return None
            # A quoted pair stays as written: no proxy writes one, and no address holds a backslash.
            said[name] = pair[2] if pair[3] is None else pair[3]
            position = pair.end()
        if text[position : position + 1] != ";":
            return (said.get("for"), position) if said else None
        position += 1


def is_obfuscated(text: str) -> bool:
    """Return whether the element withholds the address on purpose: `unknown`, or an identifier such as `_hidden`."""
    return _OBFUSCATED.fullmatch(text) is not None


def node_address(text: str) -> Parsed | None:
    """Return the address of a `for` value, None where it has none: IPv6 stands in brackets, a port may follow."""
    found = _NODE.fullmatch(text)
    if found is None:
        return None
    v4, v6, port = found[1], found[2], found[3]
    if port is not None and port.isdigit() and int(port) > 65535:
        return None
    return parse(v6 if v4 is None else v4)


def list_address(text: str) -> Parsed | None:
    """Return the address of an element of a list header: as `node_address`, and IPv6 may stand without brackets.

    IPv6 without brackets has no port: `2a00::1:8080` is one address, and whoever meant a port must say so.
    """
    return node_address(text) or parse(text)
