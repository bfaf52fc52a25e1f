"""A map of the world as one SVG: each country filled by what is said of it, and named when it is pointed at."""

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from html import escape
from importlib.resources import files
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from gateway.core.country_names import NAMES
from gateway.policies.findings import did_you_mean, quoted
from gateway.policies.phrases import printable

NOT_NAMED: Final = "none"
"""The class of a country of which nothing is said."""

_LIGHT: Final = MappingProxyType(
    {
        NOT_NAMED: "#d9dde2", "allow": "#2f9e77", "challenge": "#e0a526", "deny": "#c8483c", "mixed": "#8a7fb5",
        "narrower": "#c8483c", "wider": "#e0a526", "share-1": "#f3d9c4", "share-2": "#e8b18b", "share-3": "#d98557",
        "share-4": "#bd5a2f", "share-5": "#8c3714",
    }
)  # fmt: skip
_DARK: Final = MappingProxyType(
    {
        NOT_NAMED: "#39424e", "allow": "#37b587", "challenge": "#e8b740", "deny": "#dc5f53", "mixed": "#9f94ca",
        "narrower": "#dc5f53", "wider": "#e8b740", "share-1": "#5a3a28", "share-2": "#854a2b", "share-3": "#b4622f",
        "share-4": "#dc8449", "share-5": "#f6b585",
    }
)  # fmt: skip

CLASSES: Final = frozenset(_LIGHT)
"""The classes that STYLE colours, in light and in dark: outcomes, what a change does, and shares in five steps."""

_FRAME: Final = (
    ".world-map path,.world-map circle{stroke:var(--map-line);stroke-width:1}"
    ".world-map path:hover,.world-map circle:hover{stroke:currentColor;stroke-width:3}"
    ".world-map text{fill:currentColor;font:24px sans-serif}"
)


def _theme(line: str, text: str, colours: Mapping[str, str]) -> str:
    fills = "".join(f".world-map .{name}{{fill:{colour}}}" for name, colour in colours.items())
    return f".world-map{{--map-line:{line};color:{text}}}{fills}"


STYLE: Final = (
    f"{_FRAME}{_theme('#fff', '#1b1f24', _LIGHT)}"
    f"@media(prefers-color-scheme:dark){{{_theme('#14181d', '#e6e9ee', _DARK)}}}"
)
"""The style sheet of a map. A page that allows no style inside itself takes this into its own, and `styled=False`."""

_CLASS: Final = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")
_COLOUR: Final = re.compile(r"#[0-9A-Fa-f]{6}")
_DOT: Final = 4
_ROW: Final = 34


def world_map(
    fill: Mapping[str, str],
    title: Mapping[str, str],
    *,
    label: str,
    legend: Mapping[str, str] = MappingProxyType({}),
    styled: bool = True,
) -> str:
    """Return one `<svg>` that needs nothing besides itself: no script, no reference, nothing of a caller's unescaped.

    `fill` is a CSS class, or a colour such as `#2f9e77`, by ISO 3166-1 alpha-2 code (Kosovo is XK); a country without
    one has the class NOT_NAMED. `title` is what is read when a country is pointed at, by default its name. `label` is
    read in place of the whole. `legend` says in words what a class or colour means. Without `styled` the classes are
    coloured by the page. The same arguments give the same text. Raise ValueError for a code that is none, and for a
    fill that is neither a class nor a colour.
    """
    world = _world()
    for code in {*fill, *title}:
        if code not in world.places:
            raise ValueError(f"{quoted(code)} is no country of the map{did_you_mean(code, world.places)}")
    height = world.height + _ROW * len(legend)
    size = f'viewBox="0 0 {world.width} {height}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="world-map" {size} role="img" aria-label="{_text(label)}">'
    ]
    if styled:
        parts.append(f"<style>{STYLE}</style>")
    for code, place in world.places.items():
        name = f"<title>{_text(title.get(code, NAMES[code]))}</title>"
        parts.append(f'<{place} data-country="{code}" {_painted(fill.get(code, NOT_NAMED), code)}>{name}')
        parts.append("</path>" if place.startswith("path") else "</circle>")
    for row, (paint, words) in enumerate(legend.items()):
        y = world.height + _ROW * row
        parts.append(f'<rect x="20" y="{y}" width="24" height="24" {_painted(paint, "the legend")}/>')
        parts.append(f'<text x="56" y="{y + 20}">{_text(words)}</text>')
    return "".join([*parts, "</svg>"])


class _World(NamedTuple):
    width: int
    height: int
    places: Mapping[str, str]
    """The element of each country without its fill, by code; the dots last, so that no outline covers one."""


@lru_cache(maxsize=1)
def _world() -> _World:
    read: dict[str, Any] = json.loads(files("gateway.policies").joinpath("world", "countries.json").read_bytes())
    shapes = {code: f'path fill-rule="evenodd" d="{data}"' for code, data in read["shapes"].items()}
    dots = {code: f'circle cx="{x}" cy="{y}" r="{_DOT}"' for code, (x, y) in read["dots"].items()}
    return _World(read["width"], read["height"], MappingProxyType(shapes | dots))


def _painted(paint: str, where: str) -> str:
    """Return the attribute that fills an element."""
    if _CLASS.fullmatch(paint):
        return f'class="{paint}"'
    if _COLOUR.fullmatch(paint):
        return f'fill="{paint}"'
    raise ValueError(
        f"the fill of {where}, {quoted(paint)}, is no class such as `deny` and no colour such as `#2f9e77`"
    )


def _text(text: str) -> str:
    return escape(printable(text))
