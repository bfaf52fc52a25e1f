from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.event_fields import (
    Reader,
    Wrong,
    did_you_mean,
    one_of,
    quoted,
    read_account,
    read_amount,
    read_at,
    read_countries,
    read_country,
    read_id,
    read_ip,
    read_level,
    read_share,
    read_text,
)


class Fruit(StrEnum):
    APPLE = "apple"
    PEAR = "pear"


READERS: list[Reader] = [
    read_account, read_amount, read_at, read_countries, read_country, read_id, read_ip, read_level, read_share,
    read_text, one_of(Fruit),
]  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


@pytest.mark.parametrize("reader", READERS)
def test_a_field_that_was_left_out_stays_out(reader: Reader) -> None:
    assert reader(None) is None


@given(st.sampled_from(READERS), JSON)
def test_a_field_is_read_or_refused_in_a_line_whatever_it_holds(reader: Reader, value: object) -> None:
    said = ""
    try:
        reader(value)
    except Wrong as wrong:
        said = str(wrong)
    assert said.isprintable()
    assert len(said) < 400


@pytest.mark.parametrize(
    ("reader", "value", "read"),
    [
        (read_at, "2026-11-21T18:00:00Z", 1_795_284_000_000_000),
        (read_at, "2026-11-21T19:00:00.000001+01:00", 1_795_284_000_000_001),
        (read_at, 1_795_284_000, 1_795_284_000_000_000),
        (read_at, 0.5, 500_000),
        (read_ip, "2001:DB8::1", "2001:db8::1"),
        (read_ip, "::ffff:192.0.2.1", "192.0.2.1"),
        (read_account, "auth0|5f7c", "auth0|5f7c"),
        (read_countries, ["PT", "ES", "PT"], frozenset({"PT", "ES"})),
        (read_countries, [], frozenset()),
        (read_share, 1, 1.0),
        (read_amount, 0, 0.0),
        (read_level, 3, 3),
        (one_of(Fruit), "pear", Fruit.PEAR),
    ],
)
def test_what_fits_is_read(reader: Reader, value: object, read: object) -> None:
    assert reader(value) == read


@pytest.mark.parametrize(
    ("reader", "value", "why"),
    [
        (read_id, "x" * 129, "at most 128 characters"),
        (read_text, "x" * 513, "1 to 512 characters"),
        (read_text, "", "1 to 512 characters"),
        (read_text, "a\x00b", "none of them a control character"),
        (read_text, "\ud800", "none of them a control character"),
        (read_text, 7, "must be a text"),
        (read_account, "two words", "visible ASCII"),
        (read_at, "2026-11-21T18:00:00", "names no time zone"),
        (read_at, "yesterday", "Invalid isoformat"),
        (read_at, "9" * 50, "an instant such as"),
        (read_at, 1_795_284_000_000, "not milliseconds"),
        (read_at, -1, "seconds since 1970"),
        (read_at, "1969-12-31T23:59:59Z", "before 1970"),
        (read_at, True, "must be a number"),
        (read_at, 10**400, "ordinary size"),
        (read_ip, "192.0.2.1:443", "without a port"),
        (read_ip, "192.0.2.01", "is no IP address"),
        (read_ip, "example.com", "is no IP address"),
        (read_countries, ["PT", None], "an empty one"),
        (read_countries, "PT", "a list of"),
        (read_countries, ["PT"] * 33, "at most 32"),
        (read_country, "UK", "did you mean GB?"),
        (read_share, 1.01, "0 to 1"),
        (read_share, float("nan"), "ordinary size"),
        (read_amount, -0.01, "not negative"),
        (read_amount, float("inf"), "ordinary size"),
        (read_amount, "12", "must be a number"),
        (read_level, 4, "0 to 3"),
        (read_level, True, "0 to 3"),
        (one_of(Fruit), "aple", "did you mean `apple`?"),
        (one_of(Fruit), ["apple"], "it is one of `apple`, `pear`"),
    ],
)
def test_what_does_not_fit_is_refused_with_what_would(reader: Reader, value: Any, why: str) -> None:
    with pytest.raises(Wrong, match=why.replace("?", r"\?")):
        reader(value)


def test_words_from_outside_are_shown_short_and_in_ascii() -> None:
    assert quoted("\x1b[31m" + "x" * 500) == r"`\x1b[31m" + "x" * 56 + "`"
    assert quoted(["a"]) == "that is no text"


def test_the_nearest_word_is_named_or_all_of_them() -> None:
    assert did_you_mean("paer", ("apple", "pear")) == ": did you mean `pear`?"
    assert did_you_mean(3, ("apple", "pear")) == ": it is one of `apple`, `pear`"
