"""Pretend traffic with days, weeks, noise and summer time, as the counts that an archive gives."""

import random
from collections.abc import Iterator
from enum import StrEnum, unique
from math import cos, exp, log, pi, sqrt
from typing import NamedTuple

from gateway.core.alarms import HOUR
from gateway.core.bands import Row

MONDAY = 1_761_523_200_000_000
"""2025-10-27T00:00Z, a Monday."""
OLD, NEW = "a" * 64, "b" * 64


@unique
class WithRules(StrEnum):
    """`core.alarms.Dimension` with the dimension of rules, whether it has that or not."""

    COUNTRY = "country"
    REASON = "reason"
    OPERATION = "operation"
    RULE = "rule"


class Country(NamedTuple):
    """Traffic of one country."""

    name: str
    hourly: float
    """Decisions in an average hour."""
    rate: float
    """Share of refusals in an average hour."""
    swing: float = 1.5
    """The odds of a refusal are that many times higher at night than the average, and lower at noon."""
    weekend: float = 1.3
    """The same at weekends."""
    noise: float = 0.1
    """Standard deviation of the log odds from hour to hour, and again from day to day."""
    offset: int = 0
    """Hours that the local day is ahead."""


def drawn(chance: random.Random, trials: int, rate: float) -> int:
    """A binomial number."""
    if rate > 0.5:
        return trials - drawn(chance, trials, 1 - rate)
    variance = trials * rate * (1 - rate)
    if variance > 200:
        return min(max(round(chance.gauss(trials * rate, sqrt(variance))), 0), trials)
    if rate <= 0:
        return 0
    hits, at, step = 0, 0, log(1 - rate)
    while (at := at + int(log(1 - chance.random()) / step) + 1) <= trials:
        hits += 1
    return hits


def poisson(chance: random.Random, mean: float) -> int:
    """A Poisson number."""
    if mean > 200:
        return max(round(chance.gauss(mean, sqrt(mean))), 0)
    count, product, limit = 0, chance.random(), exp(-mean)
    while product > limit:
        count, product = count + 1, product * chance.random()
    return count


def odds_times(rate: float, factor: float) -> float:
    return rate * factor / (1 - rate + rate * factor)


def season(country: Country, hour: int) -> tuple[float, float]:
    """How many times the average volume, and the average odds, an hour of the local week has."""
    local = hour + country.offset
    night = cos(2 * pi * (local % 24) / 24)
    weekend = local // 24 % 7 >= 5
    return (1 - 0.8 * night) * (0.6 if weekend else 1.0), country.swing**night * (country.weekend if weekend else 1.0)


def traffic(
    chance: random.Random, countries: list[Country], hours: int, *, clock_change: int | None = None
) -> Iterator[tuple[int, list[Row]]]:
    """Yield each hour with its rows. From the hour `clock_change` on all local days begin an hour earlier."""
    daily = {country.name: 0.0 for country in countries}
    for number in range(hours):
        rows: list[Row] = []
        at = MONDAY + number * HOUR
        for country in countries:
            if number % 24 == 0:
                daily[country.name] = chance.gauss(0, country.noise)
            shifted = number + (1 if clock_change is not None and number >= clock_change else 0)
            volume, odds = season(country, shifted)
            rate = odds_times(country.rate, odds * exp(daily[country.name] + chance.gauss(0, country.noise)))
            decisions = poisson(chance, country.hourly * volume)
            refused = drawn(chance, decisions, rate)
            rows += rows_of(at, country.name, refused, decisions)
        yield at, rows


def rows_of(
    at: int,
    country: str | None,
    refused: int,
    decisions: int,
    *,
    reason: str = "account-status",
    bundle: str = OLD,
    operation: str = "withdraw",
) -> list[Row]:
    """The rows of one country's hour."""
    rows: list[Row] = [
        (at, operation, "deny", reason, country, bundle, refused),
        (at, operation, "allow", None, country, bundle, decisions - refused),
    ]
    return [row for row in rows if row[-1]]
