"""The map shows every country, says nothing that a caller did not say, and is made of data that nobody altered."""

import hashlib
import json
import re
import tomllib
import xml.etree.ElementTree as ET
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.core.countries import CONTINENT_OF
from gateway.policies.world_map import CLASSES, NOT_NAMED, STYLE, world_map
from scripts.world_map import CENTRES, MERIDIAN, Atlas, centre, cut, equal_earth, on_map, path

SVG = "{http://www.w3.org/2000/svg}"
WORLD = files("gateway.policies").joinpath("world")

SQUARES = {
    # Two squares that share the arc from (10, 0) to (10, 10), of Russia and of Ukraine; a third has no code.
    "transform": {"scale": [1, 1], "translate": [0, 0]},
    "arcs": [
        [[10, 0], [0, 10]],
        [[10, 10], [-10, 0], [0, -10], [10, 0]],
        [[10, 0], [10, 0], [0, 10], [-10, 0]],
        [[33, 45], [2, 0], [0, 1], [-2, -1]],
    ],
    "objects": {
        "countries": {
            "geometries": [
                {"type": "MultiPolygon", "id": "643", "properties": {"name": "Russia"}, "arcs": [[[0, 1]], [[3]]]},
                {"type": "Polygon", "id": "804", "properties": {"name": "Ukraine"}, "arcs": [[2, -1]]},
                {"type": "Polygon", "properties": {"name": "Siachen Glacier"}, "arcs": [[2, -1]]},
            ]
        }
    },
}


def places(text: str) -> dict[str, ET.Element]:
    root = ET.fromstring(text)
    return {element.attrib["data-country"]: element for element in root if "data-country" in element.attrib}


def test_every_country_of_iso_3166_and_kosovo_stands_on_the_map_once() -> None:
    text = world_map({}, {}, label="Nothing")

    assert set(places(text)) == set(CONTINENT_OF)
    assert text.count("data-country=") == len(CONTINENT_OF) == 250
    assert {element.tag for element in places(text).values()} == {f"{SVG}path", f"{SVG}circle"}


@pytest.mark.parametrize("code", ["SG", "HK", "MT", "BH", "GI", "LU", "TV", "UM"])
def test_a_country_too_small_for_an_outline_has_a_dot(code: str) -> None:
    assert places(world_map({}, {}, label="Dots"))[code].tag == f"{SVG}circle"


def test_a_country_is_filled_by_the_class_or_colour_said_of_it_and_by_none_where_none_is() -> None:
    found = places(world_map({"US": "deny", "SG": "#00ff7f"}, {"US": "closed", "SG": "open"}, label="Two"))

    assert found["US"].attrib["class"] == "deny"
    assert found["SG"].attrib["fill"] == "#00ff7f"
    assert "class" not in found["SG"].attrib
    assert found["US"].findtext(f"{SVG}title") == "closed"
    assert {found[code].attrib["class"] for code in found if code not in {"US", "SG"}} == {NOT_NAMED}
    assert found["FR"].findtext(f"{SVG}title") == "France"


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(st.sampled_from(sorted(CONTINENT_OF)), st.text(max_size=300)), st.text(max_size=300))
def test_whatever_is_said_of_a_country_stays_text(title: dict[str, str], label: str) -> None:
    root = ET.fromstring(world_map({}, title, label=label, legend={"deny": label}))

    assert {element.tag for element in root.iter()} <= {
        f"{SVG}{tag}" for tag in ("svg", "style", "path", "circle", "title", "rect", "text")
    }
    assert {name for element in root.iter() for name in element.attrib} == {
        *("class", "viewBox", "role", "aria-label", "fill-rule", "d", "data-country"),
        *("cx", "cy", "r", "x", "y", "width", "height"),
    }


def test_markup_in_a_title_is_read_as_it_was_written() -> None:
    said = '<script>alert("&")</script>'
    text = world_map({}, {"PT": said}, label=f"'\"{said}")

    assert "<script" not in text
    assert places(text)["PT"].findtext(f"{SVG}title") == said


def test_the_same_arguments_give_the_same_text() -> None:
    one = world_map({"US": "deny", "CU": "allow"}, {"CU": "a", "US": "b"}, label="Same")
    assert one == world_map({"CU": "allow", "US": "deny"}, {"US": "b", "CU": "a"}, label="Same")


def test_the_map_refers_to_nothing_outside_itself() -> None:
    text = world_map({"US": "deny"}, {}, label="Alone", legend={"deny": "closed"})

    assert re.findall(r"https?:[^\"]*", text) == ["http://www.w3.org/2000/svg"]
    assert not re.search(r"href|url\(|@import|<script|\bon\w+=", text)


@pytest.mark.parametrize("paint", ["", "red;", "#12345", 'a" onload="x', "url(#a)", "Deny", "two words"])
def test_a_fill_that_is_neither_a_class_nor_a_colour_is_refused(paint: str) -> None:
    with pytest.raises(ValueError, match=r"the fill of US, `.*`, is no class"):
        world_map({"US": paint}, {}, label="Wrong")
    with pytest.raises(ValueError, match=r"the fill of the legend"):
        world_map({}, {}, label="Wrong", legend={paint: "nothing"})


@pytest.mark.parametrize("code", ["UK", "us", "", "AN"])
def test_a_code_that_is_no_country_is_refused(code: str) -> None:
    with pytest.raises(ValueError, match=r"is no country of the map"):
        world_map({code: "deny"}, {}, label="Wrong")
    with pytest.raises(ValueError, match=r"is no country of the map"):
        world_map({}, {code: "closed"}, label="Wrong")


def test_every_class_has_a_colour_in_light_and_in_dark() -> None:
    light, dark = STYLE.split("@media(prefers-color-scheme:dark)")
    for name in CLASSES:
        assert f".world-map .{name}{{fill:#" in light
        assert f".world-map .{name}{{fill:#" in dark


def test_a_page_with_a_style_sheet_of_its_own_gets_a_map_without_one() -> None:
    assert "<style" in world_map({}, {}, label="Styled")
    assert "<style" not in world_map({}, {}, label="Plain", styled=False)


def test_a_legend_stands_below_the_map() -> None:
    plain = ET.fromstring(world_map({}, {}, label="Map"))
    root = ET.fromstring(world_map({}, {}, label="Map", legend={"deny": "closed", "#00ff7f": "open <now>"}))

    assert [element.text for element in root.iter(f"{SVG}text")] == ["closed", "open <now>"]
    assert int(root.attrib["viewBox"].split()[3]) > int(plain.attrib["viewBox"].split()[3])
    assert all(float(one.attrib["y"]) >= float(plain.attrib["viewBox"].split()[3]) for one in root.iter(f"{SVG}rect"))


def test_the_outlines_are_those_of_the_manifest_with_their_licence() -> None:
    manifest = tomllib.loads(WORLD.joinpath("manifest.toml").read_text())

    assert set(manifest["sha256"]) == {"LICENSE", "countries.json"}
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256(WORLD.joinpath(name).read_bytes()).hexdigest() == digest, f"{name} was altered"
    assert "Permission to use, copy, modify" in WORLD.joinpath("LICENSE").read_text()


def test_every_place_lies_inside_the_map() -> None:
    world = json.loads(WORLD.joinpath("countries.json").read_text())
    for code, data in world["shapes"].items():
        for outline in data.split("z")[:-1]:
            x = y = 0
            for step_x, step_y in zip(*[iter(map(int, re.findall(r"-?\d+", outline)))] * 2, strict=True):
                x, y = x + step_x, y + step_y
                assert 0 <= x <= world["width"], code
                assert 0 <= y <= world["height"], code
    assert all(0 < x < world["width"] and 0 < y < world["height"] for x, y in world["dots"].values())


def test_the_border_between_parts_of_one_country_is_not_drawn() -> None:
    atlas = Atlas({**SQUARES, "objects": {"countries": {"geometries": [
        {"type": "MultiPolygon", "id": "804", "properties": {}, "arcs": [[[0, 1]], [[2, -1]]]}
    ]}}})  # fmt: skip

    (ring,) = atlas.rings("UA")
    assert set(ring) == {(10, 10), (0, 10), (0, 0), (10, 0), (20, 0), (20, 10)}
    assert (ring[0], ring[-1]) == (ring[0], ring[0])


def test_crimea_is_drawn_under_the_code_that_iso_3166_2_gives_it() -> None:
    atlas = Atlas(SQUARES)

    assert [len(arcs) for arcs in atlas.polygons["RU"]] == [2]
    assert atlas.polygons["UA"] == [[3], [2, -1]]


def test_what_has_no_code_is_not_drawn() -> None:
    assert set(Atlas(SQUARES).polygons) == {"RU", "UA"}


def test_a_ring_across_the_edge_is_cut_in_two() -> None:
    edge = MERIDIAN + 180
    ring = [(edge - 5, 0.0), (edge + 5 - 360, 0.0), (edge + 5 - 360, 10.0), (edge - 5, 10.0), (edge - 5, 0.0)]
    pieces = [sorted({x for x, _ in piece}) for piece in cut(ring)]

    assert sorted(pieces) == [[-180.0, -175.0], [175.0, 180.0]]


def test_a_ring_around_the_pole_reaches_it() -> None:
    ring = [(float(x), -70.0) for x in (*range(-180, 180, 30), -180)]
    (*_, piece) = [piece for piece in cut(ring) if len(piece) > 4]

    assert min(y for _, y in piece) == -90.0


def test_the_projection_is_equal_earth() -> None:
    assert equal_earth(122, 47) == pytest.approx((1.55, 0.89), abs=5e-3)  # as PROJ documents it
    assert on_map((0, 0)) == (1_000, 487)
    assert path([]) == ""


def test_the_centre_of_a_square_is_its_middle_on_either_side_of_the_date_line() -> None:
    assert centre([[(170, 0), (-170, 0), (-170, 20), (170, 20), (170, 0)]]) == pytest.approx((180, 10))
    assert set(CENTRES) <= set(CONTINENT_OF)
