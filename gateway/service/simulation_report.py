"""A simulation as a page that needs nothing besides itself: no script, nothing from elsewhere."""

from collections.abc import Iterator
from html import escape
from typing import Final
from uuid import UUID

from gateway.core.countries import is_country
from gateway.core.decision import instant_text
from gateway.policies.simulated import BY, DIRECTIONS, HEADS, Simulation, Tally
from gateway.policies.world_map import world_map

_STYLE: Final = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:72rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0;width:100%}td,th{padding:.25rem .6rem;border-bottom:1px solid #8884}"
    "th{text-align:left}td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}code{font-size:.85em}"
    "@media(prefers-color-scheme:dark){body{background:#14181d;color:#e6e9ee}}"
)
_FILLS: Final = {"refused": "deny", "challenged": "challenge", "allowed": "allow"}
_ROWS: Final = 200
"""Rows of a table; what is beyond them is said."""


def page(simulation: Simulation) -> str:
    """Return the report as HTML."""
    against = "what was answered" if simulation.against is None else f"the bundle {simulation.against[:12]}"
    span = f"{instant_text(simulation.since)[:16]}Z to {instant_text(simulation.until)[:16]}Z"
    parts = [
        '<!doctype html><html lang="en"><meta charset="utf-8"><title>Simulation</title>',
        f"<style>{_STYLE}</style><h1>Simulation of {escape(simulation.candidate[:12])}</h1>",
        f"<p>{simulation.decisions:,} decisions from {span}, each decided again and compared with {escape(against)}: ",
        f"<strong>{simulation.flipped:,} would have another outcome ({simulation.share:.3%})</strong>.</p>",
        *(f"<p>{number:,} could not be weighed: {escape(why)}.</p>" for why, number in simulation.left_out.items()),
        _map(simulation),
    ]
    for direction, head in HEADS.items():
        tally = simulation.directions[direction]
        if tally.decisions:
            parts += [f"<h2>{head}</h2>", _table("", [("all", tally)])]
            parts += (_table(name, list(simulation.rows(name, direction))) for name in BY)
            named = ", ".join(f"<code>{UUID(bytes=one)}</code>" for one in tally.samples)
            parts.append(f"<p>Such as {named}</p>")
    if simulation.moved:
        parts += ["<h2>Addresses of which another country is said</h2>", _moves(simulation)]
    return "".join([*parts, "</html>\n"])


def _map(simulation: Simulation) -> str:
    """Return a map of where answers would be others, coloured by what most of them become."""
    fill: dict[str, str] = {}
    title: dict[str, str] = {}
    for country, some in simulation.tables["country"].items():
        flips = {name: some[name].decisions for name in DIRECTIONS.values() if name in some}
        if flips and is_country(country):
            fill[country] = _FILLS[max(flips, key=lambda name: flips[name])] if len(flips) == 1 else "mixed"
            title[country] = f"{country}: {', '.join(f'{number:,} {name}' for name, number in flips.items())}"
    if not fill:
        return ""
    legend = {_FILLS[name]: HEADS[name] for name in DIRECTIONS.values()} | {"mixed": "Several of these"}
    return world_map(fill, title, label="Where answers would be others", legend=legend)


def _table(name: str, rows: list[tuple[str, Tally]]) -> str:
    head = f"<tr><th>{escape(name.capitalize())}</th>{''.join(f'<th class=n>{one}</th>' for one in _COLUMNS)}</tr>"
    left = f"<p>{len(rows) - _ROWS:,} more rows</p>" if len(rows) > _ROWS else ""
    return f"<table>{head}{''.join(_rows(rows[:_ROWS]))}</table>{left}"


def _rows(rows: list[tuple[str, Tally]]) -> Iterator[str]:
    for value, tally in rows:
        usd = f"{tally.usd_cents / 100:,.2f}" if tally.priced else ""
        cells = (f"{tally.decisions:,}", f"{tally.accounts:,}", f"{tally.withdrawals:,}", usd)
        yield f"<tr><td>{escape(value)}</td>{''.join(f'<td class=n>{one}</td>' for one in cells)}</tr>"


def _moves(simulation: Simulation) -> str:
    moves = sorted(simulation.moved.items(), key=lambda one: (-one[1], one[0]))
    rows = "".join(
        f"<tr><td>{escape(one)}</td><td>{escape(other)}</td><td class=n>{number:,}</td></tr>"
        for (one, other), number in moves[:_ROWS]
    )
    return f"<table><tr><th>Recorded</th><th>Now</th><th class=n>Decisions</th></tr>{rows}</table>"


_COLUMNS: Final = ("Decisions", "Accounts", "Withdrawals", "USD, where known")
