"""A request as ASGI tells it, from what a parser found."""

from typing import Any
from urllib.parse import unquote

import httptools

from gateway.enforce.question import Lines


def scope_of(common: dict[str, Any], method: str, version: str, url: bytes, headers: Lines) -> dict[str, Any]:
    """Return the scope of a request; `common` is what all of its connection have. Raise what comes for no target."""
    parsed: Any = httptools.parse_url(url)  # what is not there is None, whatever its types say
    raw_path = parsed.path
    path = raw_path.decode("ascii")
    if "%" in path:
        path = unquote(path)
    root: str = common["root_path"]
    if root:
        path = root + path
        raw_path = root.encode("ascii") + raw_path
    if url[:1] != b"/" or url[:2] == b"//" or b"#" in url:
        # The app shall see the target as it was sent, not what a URL parser made of it.
        raw_path = url.partition(b"?")[0]
    return common | {
        "headers": headers,
        "method": method,
        "http_version": version,
        "path": path,
        "raw_path": raw_path,
        "query_string": parsed.query or b"",
    }
