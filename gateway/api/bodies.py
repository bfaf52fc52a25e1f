"""What is sent: read within a bound of size and time, and its members checked by name and kind."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.requests import Request

from gateway.api.problems import ApiProblem, bad_parameter

LARGEST: Final = 8 * 1024
"""Bytes of a body where nobody says otherwise."""
WITHIN_S: Final = 10.0
_LONGEST_TEXT: Final = 4096
_MOST_TEXTS: Final = 256
_CLOSE: Final = {"Connection": "close"}
"""What is left of a body must not be taken for the next request."""


async def read_body(request: Request, most: int = LARGEST) -> bytes:
    """Return the whole body. Raise ApiProblem: 413 where it is more than `most`, 408 where it is too slow."""
    found = bytearray()
    try:
        async with asyncio.timeout(WITHIN_S):
            async for piece in request.stream():
                found += piece
                if len(found) > most:
                    raise ApiProblem(413, "too-large", f"the body has more than {most} bytes", headers=_CLOSE)
    except TimeoutError:
        raise ApiProblem(408, "too-slow", "the body did not arrive in time", headers=_CLOSE) from None
    return bytes(found)


def is_json(request: Request) -> bool:
    """Return whether the request says that it sends JSON."""
    return media_type(request) == "application/json"


def media_type(request: Request) -> str:
    """Return the type of what is sent, without its parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def members(request: Request, body: bytes, known: Sequence[str], needed: Sequence[str] = ()) -> Mapping[str, Any]:
    """Return the members of the JSON object that was sent. Raise ApiProblem: 415, or 400 with the member's name."""
    if not is_json(request):
        raise ApiProblem(415, "not-json", f"send `Content-Type: application/json` and an object of {_named(known)}")
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        document = None
    if not isinstance(document, dict):
        raise bad_parameter("body", f"the body is a JSON object of {_named(known)}")
    for name in document:
        if name not in known:
            raise bad_parameter(name[:64], f"`{name[:64]}` is no member here; these are: {_named(known)}")
    for name in needed:
        if document.get(name) is None:
            raise bad_parameter(name, f"{name}: it is missing")
    return document


def text_of(document: Mapping[str, Any], name: str) -> str:
    """Return a member that is a text. Raise ApiProblem."""
    value = document.get(name)
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise bad_parameter(name, f"{name}: it is a text of at most {_LONGEST_TEXT} characters")
    return value


def texts_of(document: Mapping[str, Any], name: str) -> list[str]:
    """Return a member that is a list of texts; none where it is not there. Raise ApiProblem."""
    values = document.get(name, [])
    if not isinstance(values, list) or len(values) > _MOST_TEXTS or not all(isinstance(one, str) for one in values):
        raise bad_parameter(name, f"{name}: it is a list of at most {_MOST_TEXTS} texts")
    return values


def _named(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)
