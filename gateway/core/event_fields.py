"""Fields of events: how each is read from JSON, bounded in size. None in is None out: the field was left out."""

import math
from collections.abc import Callable, Iterable
from difflib import get_close_matches
from enum import StrEnum
from typing import Final, TypeAlias, TypeVar

from gateway.core.account import Refused, is_uid, new_account, set_residence
from gateway.core.addresses import canonical
from gateway.core.decision import parse_instant

LONGEST_ID: Final = 128
LONGEST_TEXT: Final = 512
MOST_COUNTRIES: Final = 32
_LARGEST_AMOUNT: Final = 1e15
_LATEST_SECONDS: Final = 253_402_300_799
"""The end of the year 9999."""

E = TypeVar("E", bound=StrEnum)
Reader: TypeAlias = Callable[[object], object]


class Wrong(ValueError):
    """What is wrong with one field, in the words of its reader."""


def read_id(value: object) -> str | None:
    """Return an id that is told once."""
    text = read_text(value)
    if text is not None and len(text) > LONGEST_ID:
        raise Wrong(f"at most {LONGEST_ID} characters")
    return text


def read_account(value: object) -> str | None:
    """Return the name of an account."""
    if value is not None and not (isinstance(value, str) and is_uid(value)):
        raise Wrong("an account is named by 1 to 255 visible ASCII characters")
    return value


def read_at(value: object) -> int | None:
    """Return an instant, RFC 3339 or seconds since 1970, as microseconds."""
    if value is None:
        return None
    if isinstance(value, str):
        if len(value) > 40:
            raise Wrong("an instant such as 2026-11-21T18:00:00Z")
        try:
            instant = parse_instant(value)
        except (ValueError, OverflowError) as fault:
            raise Wrong(f"{fault}"[:200]) from None
    else:
        seconds = _number(value)
        if not 0 <= seconds <= _LATEST_SECONDS:
            raise Wrong("an RFC 3339 instant, or seconds since 1970 (not milliseconds)")
        instant = round(seconds * 1_000_000)
    if instant < 0:
        raise Wrong("before 1970")
    return instant


def read_ip(value: object) -> str | None:
    """Return an address in its one spelling."""
    text = read_text(value)
    if text is None:
        return None
    address = canonical(text)
    if address is None:
        raise Wrong(f"{quoted(text)} is no IP address; write it alone, without a port")
    return address


def read_text(value: object) -> str | None:
    """Return a text of bounded length without control characters."""
    if value is None:
        return None
    if not isinstance(value, str):
        raise Wrong("must be a text")
    if not value or len(value) > LONGEST_TEXT or not value.isprintable():
        raise Wrong(f"1 to {LONGEST_TEXT} characters, none of them a control character")
    return value


def one_of(choices: type[E]) -> Callable[[object], E | None]:
    """Return the reader of a field that holds one of these."""

    def read(value: object) -> E | None:
        if value is None:
            return None
        if not isinstance(value, str) or value not in tuple(choices):
            raise Wrong(f"unknown {quoted(value)}{did_you_mean(value, [str(one) for one in choices])}")
        return choices(value)

    return read


def read_countries(value: object) -> frozenset[str] | None:
    """Return a set of country codes."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > MOST_COUNTRIES:
        raise Wrong(f"a list of at most {MOST_COUNTRIES} country codes")
    codes = [read_country(one) for one in value]
    if None in codes:
        raise Wrong("a list of country codes; there is an empty one among them")
    return frozenset(code for code in codes if code is not None)


def read_country(value: object) -> str | None:
    """Return a country code of ISO 3166-1."""
    text = read_text(value)
    if text is None:
        return None
    found = set_residence(new_account("-"), text)
    if isinstance(found, Refused):
        raise Wrong(found.message.removeprefix("residence: "))
    return text


def read_share(value: object) -> float | None:
    """Return a share, 0 to 1."""
    share = None if value is None else _number(value)
    if share is not None and not 0 <= share <= 1:
        raise Wrong("a share of the balance, 0 to 1")
    return share


def read_amount(value: object) -> float | None:
    """Return an amount that is not negative."""
    amount = None if value is None else _number(value)
    if amount is not None and not 0 <= amount <= _LARGEST_AMOUNT:
        raise Wrong("an amount in US dollars, not negative")
    return amount


def read_level(value: object) -> int | None:
    """Return a level of assurance, 0 to 3."""
    if value is not None and (isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 3):
        raise Wrong("a level of assurance, 0 to 3")
    return value


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise Wrong("must be a number")
    try:
        number = float(value)
    except OverflowError:
        raise Wrong("must be a number of ordinary size") from None
    if not math.isfinite(number):
        raise Wrong("must be a number of ordinary size")
    return number


def did_you_mean(word: object, options: Iterable[str]) -> str:
    """Return `: did you mean X?` with the nearest of the options, or all of them, which are few."""
    options = tuple(options)
    near = get_close_matches(word[:64].casefold(), options, n=1, cutoff=0.6) if isinstance(word, str) else []
    return f": did you mean `{near[0]}`?" if near else f": it is one of {', '.join(f'`{one}`' for one in options)}"


def quoted(word: object) -> str:
    """Return what somebody wrote, in backticks, short and in ASCII."""
    return f"`{ascii(word)[1:-1][:64]}`" if isinstance(word, str) else "that is no text"
