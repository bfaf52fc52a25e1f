"""What a request's target becomes."""

import pytest

from gateway.enforce.http_scope import scope_of


@pytest.mark.parametrize(
    ("url", "path", "raw_path", "query"),
    [
        (b"/a%20b?c=%20d", "/a b", b"/a%20b", b"c=%20d"),
        (b"/a?", "/a", b"/a", b""),
        (b"/a#b", "/a", b"/a#b", b""),
        (b"//host/a", "//host/a", b"//host/a", b""),
        (b"http://host/a?b", "/a", b"http://host/a", b"b"),
    ],
)
def test_a_target_is_told_as_it_was_sent(url, path, raw_path, query):
    scope = scope_of({"type": "http", "root_path": ""}, "GET", "1.1", url, [(b"host", b"h")])
    assert (scope["path"], scope["raw_path"], scope["query_string"]) == (path, raw_path, query)
    assert (scope["type"], scope["method"], scope["headers"]) == ("http", "GET", [(b"host", b"h")])


def test_an_app_that_is_mounted_is_told_where():
    scope = scope_of({"root_path": "/below"}, "GET", "1.1", b"/a", [])
    assert (scope["path"], scope["raw_path"]) == ("/below/a", b"/below/a")
