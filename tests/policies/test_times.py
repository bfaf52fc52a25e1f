import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.policies.times import instant, meant_date, meant_duration, seconds, written

YEAR_9999 = 253_402_300_799_999_999


@given(st.integers(-62_135_596_800_000_000, YEAR_9999))
def test_what_is_written_is_read_as_the_same_instant(at):
    assert instant(written(at)) == at


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59.999999-23:59"])
def test_an_instant_that_no_calendar_has_in_utc_is_none(text):
    with pytest.raises(ValueError, match="out of range"):
        instant(text)


@pytest.mark.parametrize(
    ("at", "text"),
    [(0, "1970-01-01"), (1_676_419_200_000_000, "2023-02-15"), (1_676_419_201_000_000, "2023-02-15T00:00:01Z")],
)
def test_midnight_is_written_as_a_bare_date(at, text):
    assert written(at) == text


@pytest.mark.parametrize(("text", "value"), [("45s", 45), ("30d", 2_592_000), ("0m", None), ("5", None), ("5w", None)])
def test_a_length_of_time_is_a_number_and_a_unit(text, value):
    assert seconds(text) == value


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("72", ": `72` has no unit; did you mean `72h`?"),
        ("5 min", ": did you mean `5m`?"),
        ("3 Hours", ": did you mean `3h`?"),
        ("1y", ": count it in days, such as `365d`"),
        ("2 months", ": count it in days, such as `60d`"),
        ("2 weeks", ": count it in days, such as `14d`"),
        ("5x", ""),
        ("soon", ""),
        ("0", ""),
    ],
)
def test_a_length_of_time_that_is_none_gets_a_hint(text, hint):
    assert meant_duration(text) == hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("2026-3-1", ": did you mean `2026-03-01`?"),
        ("2026/03/01", ": did you mean `2026-03-01`?"),
        ("2026-02-30", ": there is no such day as `2026-02-30`"),
        ("01.03.2026", ": the year stands first, or nobody knows which number of `01.03.2026` is the month"),
        ("2026-03-01 12:00", ": `2026-03-01T12:00Z` is that time in UTC"),
        ("tomorrow", ""),
    ],
)
def test_a_date_that_is_none_gets_a_hint(text, hint):
    assert meant_date(text) == hint
