"""Writes `gateway/policies/world/`: the outline of each country on a flat map, or a dot where it is too small for one.

Run it after the package is renewed, with its archive: `npm pack world-atlas@2.0.2`, then
`python scripts/world_map.py world-atlas-2.0.2.tgz`. A test compares the files with the manifest that it writes.
"""

import hashlib
import json
import math
import sys
import tarfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import pycountry

TARGET: Final = Path(__file__).resolve().parent.parent / "gateway" / "policies" / "world"
PACKAGE: Final = "world-atlas 2.0.2"
ARCHIVE_SHA256: Final = "032e7765f2ce00edaeafec23ff22bc3b77e42987c257da944cc585b452c05b97"

WIDTH: Final = 2_000
SMALLEST: Final = 8
"""What is not as large as a dot gets one."""
MERIDIAN: Final = 11.0
"""The middle of the map, in degrees east: so the cut runs through the Bering Strait, and through no country but one."""

Point = tuple[float, float]
Ring = list[Point]

WITHOUT_NUMBER: Final = {"Kosovo": "XK", "N. Cyprus": "CY", "Somaliland": "SO"}
"""What the package draws without an ISO 3166-1 number, by the code under which GeoIP databases file it."""


class Part(NamedTuple):
    """A part of one country in the package that has, or belongs to, another code of ISO 3166."""

    of: str
    code: str
    west: float
    south: float
    east: float
    north: float


PARTS: Final = (
    Part("RU", "UA", 32.0, 44.0, 37.0, 46.6),  # ISO 3166-2 has Crimea as UA-43
    Part("FR", "GF", -60.0, 0.0, -50.0, 10.0),
    Part("NO", "SJ", 0.0, 74.0, 40.0, 82.0),
)

CENTRES: Final = {
    "BQ": (-68.27, 12.18), "BV": (3.36, -54.42), "CC": (96.83, -12.17), "CX": (105.63, -10.49), "GI": (-5.35, 36.14),
    "GP": (-61.55, 16.25), "MQ": (-61.02, 14.64), "RE": (55.53, -21.12), "TK": (-171.85, -9.17), "TV": (179.2, -8.52),
    "UM": (166.63, 19.30), "YT": (45.15, -12.82),
}  # fmt: skip
"""Longitude and latitude of what neither resolution of the package draws by itself."""


class Atlas:
    """One resolution of the package: TopoJSON, whose arcs are shared by neighbours."""

    def __init__(self, document: dict[str, Any]) -> None:
        (scale_x, scale_y), (left, bottom) = document["transform"]["scale"], document["transform"]["translate"]
        self._arcs = [
            [(x * scale_x + left, y * scale_y + bottom) for x, y in _sums(arc)] for arc in document["arcs"]
        ]  # fmt: skip
        self.polygons: defaultdict[str, list[list[int]]] = defaultdict(list)
        """The arcs of each polygon, by country; `~n` is arc n backwards."""
        for shape in document["objects"]["countries"]["geometries"]:
            code = _code(shape)
            if code is not None:
                parts = [shape["arcs"]] if shape["type"] == "Polygon" else shape["arcs"]
                for part in parts:
                    arcs = [arc for ring in part for arc in ring]
                    self.polygons[self._owner(code, arcs)].append(arcs)

    def rings(self, code: str) -> list[Ring]:
        """Return the closed rings that bound a country, without the borders between its own parts."""
        arcs = {arc for polygon in self.polygons[code] for arc in polygon}
        ahead: defaultdict[Point, list[Ring]] = defaultdict(list)
        for arc in sorted(arc for arc in arcs if ~arc not in arcs):
            points = self._points(arc)
            ahead[points[0]].append(points)
        rings = []
        while ahead:
            ring = [next(iter(ahead))]
            while len(ring) == 1 or ring[-1] != ring[0]:
                waiting = ahead[ring[-1]]
                start, ring = ring[-1], ring[:-1] + waiting.pop()
                if not waiting:
                    del ahead[start]
            rings.append(ring)
        return rings

    def _points(self, arc: int) -> Ring:
        return self._arcs[arc] if arc >= 0 else self._arcs[~arc][::-1]

    def _owner(self, code: str, arcs: list[int]) -> str:
        points = [point for arc in arcs for point in self._points(arc)]
        for part in PARTS:
            if part.of == code and all(
                part.west <= x <= part.east and part.south <= y <= part.north for x, y in points
            ):  # fmt: skip
                return part.code
        return code


def equal_earth(longitude: float, latitude: float) -> Point:
    """Return a point of the Equal Earth projection (Šavrič, Patterson and Jenny, 2018), y upwards; degrees in."""
    a1, a2, a3, a4 = 1.340264, -0.081106, 0.000893, 0.003796
    theta = math.asin(math.sqrt(3) / 2 * math.sin(math.radians(latitude)))
    slope = 9 * a4 * theta**8 + 7 * a3 * theta**6 + 3 * a2 * theta**2 + a1
    x = 2 * math.sqrt(3) * math.radians(longitude) * math.cos(theta) / (3 * slope)
    return x, a4 * theta**9 + a3 * theta**7 + a2 * theta**3 + a1 * theta


SCALE: Final = WIDTH / 2 / equal_earth(180, 0)[0]
HEIGHT: Final = math.ceil(2 * SCALE * equal_earth(0, 90)[1])


def on_map(point: Point) -> tuple[int, int]:
    """Return where a point stands on the map, in its units, from the top left; longitude counted from the middle."""
    x, y = equal_earth(*point)
    return round(WIDTH / 2 + SCALE * x), round(HEIGHT / 2 - SCALE * y)


def cut(ring: Ring) -> Iterator[Ring]:
    """Yield the pieces of a ring that lie on the map, cut where it runs across the edge opposite the middle."""
    whole = [(ring[0][0] - MERIDIAN, ring[0][1])]
    for longitude, latitude in ring[1:]:
        last = whole[-1][0]
        whole.append((last + (longitude - MERIDIAN - last + 180) % 360 - 180, latitude))
    if abs(whole[-1][0] - whole[0][0]) > 180:  # it runs around a pole, and of those only the southern has a country
        whole += [(whole[-1][0], -90.0), (whole[0][0], -90.0)]
    for turn in (-360.0, 0.0, 360.0):
        piece = [(x + turn, y) for x, y in whole]
        for edge, side in ((-180.0, 1), (180.0, -1)):
            piece = list(_inside(piece, edge, side))
        if len(piece) > 2:
            yield piece


def path(rings: Iterable[Ring]) -> str:
    """Return SVG path data of the rings, in whole units of the map, each step relative to the last."""
    data = ""
    for ring in rings:
        for piece in cut(ring):
            points = list(dict.fromkeys(on_map(point) for point in piece))
            if len(points) > 2:
                steps = [
                    f"{x - last_x} {y - last_y}"
                    for (last_x, last_y), (x, y) in pairwise(points)
                ]  # fmt: skip
                data += f"M{points[0][0]} {points[0][1]}l{' '.join(steps)}z".replace(" -", "-")
    return data


def centre(rings: Iterable[Ring]) -> Point:
    """Return the centre of gravity of the largest ring, as longitude and latitude."""
    x, y, _ = max((_gravity(ring) for ring in rings), key=lambda found: found[2])
    return x, y


def extent(rings: Iterable[Ring]) -> int:
    """Return the longer side of what the rings cover, in units of the map."""
    points = [on_map(point) for ring in rings for piece in cut(ring) for point in piece]
    return max(max(side) - min(side) for side in zip(*points, strict=True))


def world(coarse: Atlas, fine: Atlas) -> dict[str, Any]:
    """Return the map: the path of each country that the coarse resolution draws large enough, a dot for the others."""
    rings = {code: coarse.rings(code) for code in coarse.polygons}
    shapes = {code: path(drawn) for code, drawn in rings.items() if extent(drawn) >= SMALLEST}
    codes = {country.alpha_2 for country in pycountry.countries} | {"XK"}
    dots = {}
    for code in codes - set(shapes):
        longitude, latitude = CENTRES[code] if code in CENTRES else centre(fine.rings(code))
        dots[code] = on_map(((longitude - MERIDIAN + 180) % 360 - 180, latitude))
    return {
        "width": WIDTH,
        "height": HEIGHT,
        "shapes": dict(sorted(shapes.items())),
        "dots": dict(sorted(dots.items())),
    }


def _sums(arc: list[list[int]]) -> Iterator[tuple[int, int]]:
    x = y = 0
    for step_x, step_y in arc:
        x, y = x + step_x, y + step_y
        yield x, y


def _code(shape: dict[str, Any]) -> str | None:
    number = shape.get("id")
    country = pycountry.countries.get(numeric=number) if number else None
    return country.alpha_2 if country else WITHOUT_NUMBER.get(shape["properties"]["name"])


def _inside(ring: Ring, edge: float, side: int) -> Iterator[Point]:
    """Yield the ring clipped to the east of a meridian (side 1) or to the west of it (side -1)."""
    for (last_x, last_y), (x, y) in zip(ring[-1:] + ring, ring, strict=False):
        if (side * (last_x - edge) >= 0) != (side * (x - edge) >= 0):
            yield edge, last_y + (y - last_y) * (edge - last_x) / (x - last_x)
        if side * (x - edge) >= 0:
            yield x, y


def _gravity(ring: Ring) -> tuple[float, float, float]:
    """Return the centre of a ring as a flat polygon, and twice its area."""
    left = ring[0][0]
    points = [((x - left + 180) % 360 - 180, y) for x, y in ring]
    area = sum_x = sum_y = 0.0
    for (x, y), (next_x, next_y) in zip(points, points[1:] + points[:1], strict=True):
        cross = x * next_y - next_x * y
        area, sum_x, sum_y = area + cross, sum_x + (x + next_x) * cross, sum_y + (y + next_y) * cross
    if not area:
        return (*ring[0], 0.0)
    return left + sum_x / (3 * area), sum_y / (3 * area), abs(area)


MANIFEST: Final = """\
# Written by `scripts/world_map.py`; do not edit.
title = "Outlines of the countries"
source = "{package}, countries-110m.json and countries-50m.json, made from Natural Earth (public domain)"
source_sha256 = "{source}"
licence = "ISC"
changes = "Keyed by ISO 3166-1; Crimea, Svalbard and French Guiana under their own codes; Equal Earth projection; \
whole units; dots for what is too small."

[sha256]
{digests}
"""


def main(archive: Path) -> str:
    """Write the files and return what was written. Raise SystemExit where the archive is not the one known."""
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    if digest != ARCHIVE_SHA256:
        raise SystemExit(f"world_map: {archive} is not the archive of {PACKAGE}: its SHA-256 is {digest}")
    with tarfile.open(archive) as package:
        coarse, fine, licence = (
            file.read()
            for name in ("countries-110m.json", "countries-50m.json", "LICENSE")
            if (file := package.extractfile(f"package/{name}")) is not None
        )
    found = world(Atlas(json.loads(coarse)), Atlas(json.loads(fine)))
    written = {"LICENSE": licence, "countries.json": (json.dumps(found, indent=0) + "\n").encode()}
    TARGET.mkdir(exist_ok=True)
    for name, content in written.items():
        (TARGET / name).write_bytes(content)
    digests = "\n".join(f'"{name}" = "{hashlib.sha256(content).hexdigest()}"' for name, content in written.items())
    manifest = MANIFEST.format(package=PACKAGE, source=digest, digests=digests)
    (TARGET / "manifest.toml").write_text(manifest, encoding="utf-8")
    return f"wrote {TARGET}: {len(found['shapes'])} outlines, {len(found['dots'])} dots"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit("world_map: name the archive: python scripts/world_map.py world-atlas-2.0.2.tgz")
    sys.stdout.write(f"{main(Path(sys.argv[1]))}\n")
