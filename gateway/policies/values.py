"""Which values a fact can have. A code that no fact ever holds is a slip of the pen, and its rule would say nothing."""

import re
from math import isfinite
from typing import Final

from gateway.core.countries import RESERVED, WITHDRAWN, is_country, is_subdivision
from gateway.core.country_names import NAMES, code_called
from gateway.core.subdivisions import SUBDIVISIONS
from gateway.policies.findings import did_you_mean, quoted
from gateway.policies.schema import FactSchema, Kind

_UNIONS: Final = {
    "EU": ', or write `continent == "EU"`, which has Switzerland and others too',
    "EEA": "",
    "AP": "",
    "UN": "",
}
"""What is written like a country, and what to ask instead."""

_GREATEST_ASN: Final = 2**32 - 1


def problem(fact: FactSchema, value: object) -> str | None:
    """Return what is wrong with a value of this fact, or None. Names of networks are left to the configuration."""
    if isinstance(value, bool) or not isinstance(value, int | float if fact.is_number else str):
        wanted = "a number" if fact.is_number else "a text"
        return f"{quoted(value)} cannot be a value of `{fact.name}`, which is {wanted}{_other_form(fact, value)}"
    if isinstance(value, float) and not isfinite(value):
        return f"{quoted(value)} is too large for a number"
    if fact.domain is not None:
        if value in fact.domain:
            return None
        hint = _within(str(value), fact.domain)
        return f"{quoted(value)} is no value of `{fact.name}`{hint}"
    return of_kind(fact.kind, value)


def _other_form(fact: FactSchema, value: object) -> str:
    """Return how the value would be written if it were what it looks like."""
    if not fact.is_number:
        return ": put it in quotes" if isinstance(value, int | float) and not isinstance(value, bool) else ""
    number = re.fullmatch(r"(?:AS)?\s?([0-9]{1,18}(?:\.[0-9]{1,6})?)", str(value), re.IGNORECASE)
    return f": write `{number[1]}`, without quotes" if number is not None else ""


def of_kind(kind: Kind, value: object) -> str | None:
    """Return what is wrong with a value of an open kind, or None."""
    match kind:
        case Kind.COUNTRY:
            return _country(str(value))
        case Kind.SUBDIVISION:
            return _subdivision(str(value))
        case Kind.ASN if not isinstance(value, int) or not 0 <= value <= _GREATEST_ASN:
            return f"{quoted(value)} is no autonomous system number: 0 to {_GREATEST_ASN}"
        case _:
            return None if value != "" else "an empty text is no value of any fact"


def _country(code: str) -> str | None:
    if is_country(code):
        return None
    if code in RESERVED:
        return f"`{code}` is not a country code of ISO 3166-1: did you mean `{RESERVED[code]}`?"
    if code in WITHDRAWN:
        return f"the country code `{code}` was withdrawn: write {WITHDRAWN[code]}"
    if is_country(code.upper()):
        return f"country codes are written in capitals: did you mean `{code.upper()}`?"
    return f"{quoted(code)} is not a country code of ISO 3166-1{_meant_country(code)}"


def _meant_country(code: str) -> str:
    """Return the code of what was named instead, as a hint."""
    called = code_called(code)
    if called is not None:
        return f": did you mean `{called}`?"
    if code in _UNIONS:
        return f": it is a union of countries, so name them in a list{_UNIONS[code]}"
    if is_subdivision(code.upper()):
        return f": it is a subdivision, so compare `subdivision`, or write `{code[:2].upper()}`"
    return did_you_mean(code, [*NAMES.values()]) if len(code) > 3 else ""


def _subdivision(code: str) -> str | None:
    if is_subdivision(code):
        return None
    if is_subdivision(code.upper()):
        return f"subdivision codes are written in capitals: did you mean `{code.upper()}`?"
    country, hyphen, _ = code.partition("-")
    if not hyphen or country not in SUBDIVISIONS:
        wrong = None if not hyphen else _country(country)
        meant = _elsewhere(code) if not hyphen else ""
        if meant:
            wrong = f"did you mean {meant}?"
        return f"{quoted(code)} is not a subdivision code of ISO 3166-2, such as `US-NY`" + (
            f": {wrong}" if wrong else ""
        )
    elsewhere = _elsewhere(code.partition("-")[2])
    siblings = [f"{country}-{part}" for part in SUBDIVISIONS[country].split()]
    meant = f": did you mean {elsewhere}?" if elsewhere else did_you_mean(code, siblings)
    return f"{quoted(code)} is not a subdivision code of ISO 3166-2{meant}"


def _elsewhere(part: str) -> str:
    """Return the subdivisions of other countries that are written so, as far as they are few."""
    found = [f"`{country}-{part}`" for country, parts in SUBDIVISIONS.items() if part in parts.split()]
    return " or ".join(found) if len(found) <= 3 else ""


def _within(word: str, domain: tuple[str | int, ...]) -> str:
    options = [str(option) for option in domain]
    below = [option for option in options if option.startswith(f"{word}.")]
    if below:
        return f": name each of {', '.join(f'`{option}`' for option in below)}"
    return did_you_mean(word, options)
