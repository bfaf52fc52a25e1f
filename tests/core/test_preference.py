"""A page or JSON, and in which language: what the header asks for, and nothing that a stranger could make of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.preference import lines_of, preferred, wants_html

LANGUAGES = ("en", "de", "es", "fr", "pt")


@pytest.mark.parametrize(
    ("accept", "html"),
    [
        (b"", False),
        (b"*/*", False),
        (b"text/*", False),
        (b"application/json", False),
        (b"text/html", True),
        (b"TEXT/HTML", True),
        (b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8", True),
        (b"application/xhtml+xml", True),
        (b"application/json, text/html", False),
        (b"text/html;q=0.9, application/json", False),
        (b"text/html, application/problem+json;q=0.5", True),
        (b"text/html;q=0", False),
        (b"text/html; charset=utf-8; q=0.8", True),
        (b"text/html;q=nonsense", False),
        (b"text/html;q=", False),
        (b"text/html;q=.", False),
        (b"text/html;q=-1", False),
        (b"text/html;q=9", True),
        (b"text/html;q=1.0000001", False),
        (b"text/html;q=inf", False),
        (b"\xff\xfe,text/html", True),
        (b"a/b," * 31 + b"text/html", True),
        (b"a/b," * 32 + b"text/html", False),
        (b"text/html," + b"x" * 1024, False),
    ],
)
def test_a_page_is_wanted_only_where_it_is_asked_for(accept: bytes, html: bool) -> None:
    assert wants_html(accept) is html


@given(st.binary(max_size=60))
def test_any_accept_header_is_read_without_failing(accept: bytes) -> None:
    assert wants_html(accept + b"text/html") in {True, False}


@pytest.mark.parametrize(
    ("accept_language", "language"),
    [
        (b"", "en"),
        (b"de", "de"),
        (b"DE-ch", "de"),
        (b"pt-BR, pt;q=0.9, en;q=0.8", "pt"),
        (b"en-GB, fr;q=0.9", "en"),
        (b"fr;q=0.9, en-GB", "en"),
        (b"nl, fr;q=0.2", "fr"),
        (b"nl-BE", "en"),
        (b"es, fr", "es"),
        (b"fr, es", "fr"),
        (b"es;q=0.5, de;q=0.5", "es"),
        (b"de-CH;q=0.1, fr;q=0.5, de;q=0.9", "de"),
        (b"zh-Hant-TW, fr", "fr"),
        (b"*", "en"),
        (b"fr;q=0.5, *", "en"),
        (b"fr, *;q=0.5", "fr"),
        (b"en;q=0, *;q=0.5", "de"),
        (b"en;q=0", "en"),
        (b"de;q=0", "en"),
        (b"de;q=0, en;q=0, es;q=0, fr;q=0, pt;q=0", "en"),
        (b"de;q=nonsense", "en"),
        (b"de;q=0.0001", "en"),
        (b"de;Q=0.5", "de"),
        (b"german", "en"),
        (b"x-de", "en"),
        (b"de_AT", "en"),
        (b"de-", "en"),
        (b"de\0", "en"),
        (b"\xff\xfe, de", "de"),
        (b"../../de", "en"),
        (b"nl," * 31 + b"de", "de"),
        (b"nl," * 32 + b"de", "en"),
        (b"de," + b"x" * 1024, "en"),
    ],
)
def test_the_language_is_the_one_that_is_wanted_most(accept_language: bytes, language: str) -> None:
    assert preferred(accept_language, LANGUAGES) == language


@given(st.binary(max_size=80) | st.text("enfrdt*-;q=.019, ", max_size=80).map(str.encode))
def test_any_header_asks_for_one_of_the_languages(accept_language: bytes) -> None:
    assert preferred(accept_language, LANGUAGES) in LANGUAGES


@given(st.lists(st.sampled_from(LANGUAGES), unique=True, min_size=1), st.randoms(use_true_random=False))
def test_the_order_of_what_is_wanted_differently_never_matters(named: list[str], chance: object) -> None:
    parts = [f"{one};q={(10 - place) / 10}" for place, one in enumerate(named)]
    shuffled = list(parts)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert preferred(", ".join(shuffled).encode(), LANGUAGES) == named[0]


def test_a_list_may_stand_in_several_lines() -> None:
    headers = [(b"accept-language", b"nl"), (b"host", b"x"), (b"accept-language", b"fr")]
    assert lines_of(headers, b"accept-language") == b"nl,fr"
    assert lines_of(headers, b"accept") == b""
