"""Dates and lengths of time as policies write them."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_DURATION: Final = re.compile(r"([0-9]{1,6})([smhd])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def instant(text: str) -> int:
    """Return an instant in microseconds since the epoch; a bare date is its midnight, UTC. Raise ValueError."""
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        day = date.fromisoformat(text)
        moment = datetime(day.year, day.month, day.day, tzinfo=UTC)
    else:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            msg = "no offset"
            raise ValueError(msg)
        try:
            moment = moment.astimezone(UTC)
        except OverflowError:
            msg = "out of range in UTC"
            raise ValueError(msg) from None
    return (moment - _EPOCH) // timedelta(microseconds=1)


def written(at: int) -> str:
    """Return an instant as policies write it: a bare date where it is midnight, UTC."""
    moment = _EPOCH + timedelta(microseconds=at)
    text = moment.isoformat().replace("+00:00", "Z")
    return text.removesuffix("T00:00:00Z")


def seconds(text: str) -> int | None:
    """Return a length of time such as `72h` in seconds, or None where it is none."""
    found = _DURATION.fullmatch(text)
    return int(found[1]) * _SECONDS[found[2]] or None if found is not None else None


def meant_duration(text: str) -> str:
    """Return what a length of time was probably meant to be, as a hint."""
    found = re.fullmatch(r"([0-9]{1,6})\s*([a-z]*)", text.strip().lower())
    if found is None or int(found[1]) == 0:
        return ""
    number, unit = found.groups()
    if not unit:
        return f": `{text}` has no unit; did you mean `{number}h`?"
    if unit[0] == "y" or unit.startswith(("mo", "w")):
        days = 7 if unit[0] == "w" else 30 if unit[0] == "m" else 365
        return f": count it in days, such as `{int(number) * days}d`"
    return f": did you mean `{number}{unit[0]}`?" if unit[0] in _SECONDS else ""


def meant_date(text: str) -> str:
    """Return what is wrong with a date, as a hint."""
    numbers = re.fullmatch(r"([0-9]{4})[-/.]([0-9]{1,2})[-/.]([0-9]{1,2})", text)
    if numbers is not None:
        padded = f"{numbers[1]}-{int(numbers[2]):02}-{int(numbers[3]):02}"
        return f": there is no such day as `{text}`" if padded == text else f": did you mean `{padded}`?"
    if re.fullmatch(r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.][0-9]{2,4}", text):
        return f": the year stands first, or nobody knows which number of `{text}` is the month"
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9:.]+", text):
        return f": `{text.replace(' ', 'T')}Z` is that time in UTC"
    return ""
