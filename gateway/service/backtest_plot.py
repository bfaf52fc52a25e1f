"""A picture of what holding more withdrawals would catch: hold rate across, catch up, as SVG."""

from bisect import bisect_left
from collections.abc import Sequence
from html import escape
from math import log10
from typing import Final

from gateway.service.backtest import Result
from gateway.service.simple_rules import RULES

_WIDTH, _HEIGHT = 860, 520
_LEFT, _TOP, _RIGHT, _BOTTOM = 64, 24, 600, 460
_HEAD: Final = (
    f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" font-family="sans-serif" font-size="11">'
)
_LEAST: Final = 0.001
_RATES: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_POINTS: Final = 200
_COLOURS: Final = (
    *("#0b5fa5", "#c2410c", "#15803d", "#7e22ce", "#be123c", "#0f766e", "#a16207", "#4b5563", "#1d4ed8", "#9d174d"),
)


def svg(tested: Sequence[Result], rules_from: int) -> str:
    """Return the picture: a line for each attacker, and a square for each simple rule over all attackers.

    `rules_from` is the place of the first rule's bit in `Result.held`.
    """
    customers = sorted(one.total for one in tested if one.label is None)
    attackers: dict[str, list[Result]] = {}
    for one in tested:
        if one.label is not None:
            attackers.setdefault(one.label, []).append(one)
    parts = [*_frame()]
    if customers and attackers:
        for number, (label, found) in enumerate(sorted(attackers.items())):
            colour = _COLOURS[number % len(_COLOURS)]
            totals = sorted(one.total for one in found)
            points = " ".join(f"{_x(rate):.1f},{_y(_caught(totals, customers, rate)):.1f}" for rate in _steps())
            parts.append(f'<polyline fill="none" stroke="{colour}" stroke-width="1.6" points="{points}"/>')
            parts.append(_legend(number, colour, escape(label)))
        for place, rule in enumerate(RULES):
            bit = rules_from + place
            rate = sum(one.held >> bit & 1 for one in tested if one.label is None) / len(customers)
            caught = _mean([sum(one.held >> bit & 1 for one in found) / len(found) for found in attackers.values()])
            x, y = _x(max(rate, _LEAST)), _y(caught)
            parts.append(f'<rect x="{x - 4:.1f}" y="{y - 4:.1f}" width="8" height="8" fill="#111"/>')
            parts.append(f'<text x="{x + 7:.1f}" y="{y + 4:.1f}">{place + 1}</text>')
            parts.append(_legend(len(attackers) + 1 + place, "#111", escape(f"{place + 1}: {rule}")))
    return "\n".join([_HEAD, f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>', *parts, "</svg>", ""])


def _caught(totals: Sequence[float], customers: Sequence[float], rate: float) -> float:
    line = customers[min(len(customers) - 1, int(len(customers) * (1 - rate)))] if rate < 1 else float("-inf")
    return 1 - bisect_left(totals, line) / len(totals)


def _steps() -> list[float]:
    return [10 ** (log10(_LEAST) * (1 - step / _POINTS)) for step in range(_POINTS + 1)]


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _x(rate: float) -> float:
    return _LEFT + (_RIGHT - _LEFT) * (1 - log10(rate) / log10(_LEAST))


def _y(share: float) -> float:
    return _BOTTOM - (_BOTTOM - _TOP) * share


def _frame() -> list[str]:
    lines = []
    for rate in _RATES:
        x = _x(rate)
        lines.append(f'<path d="M{x:.1f} {_TOP}V{_BOTTOM}" stroke="#e5e7eb"/>')
        lines.append(f'<text x="{x:.1f}" y="{_BOTTOM + 16}" text-anchor="middle">{100 * rate:g}</text>')
    for step in range(11):
        y = _y(step / 10)
        lines.append(f'<path d="M{_LEFT} {y:.1f}H{_RIGHT}" stroke="#e5e7eb"/>')
        lines.append(f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{10 * step}</text>')
    middle = (_LEFT + _RIGHT) / 2
    lines.append(f'<text x="{middle}" y="{_BOTTOM + 36}" text-anchor="middle">legitimate withdrawals held, %</text>')
    lines.append(
        f'<text x="18" y="{(_TOP + _BOTTOM) / 2}" text-anchor="middle" '
        f'transform="rotate(-90 18 {(_TOP + _BOTTOM) / 2})">attacks held, %</text>'
    )
    return lines


def _legend(number: int, colour: str, words: str) -> str:
    y = _TOP + 12 + 18 * number
    return (
        f'<rect x="{_RIGHT + 18}" y="{y - 9}" width="10" height="10" fill="{colour}"/>'
        f'<text x="{_RIGHT + 34}" y="{y}">{words}</text>'
    )
