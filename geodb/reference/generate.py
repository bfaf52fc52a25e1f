"""Writes `subdivisions.json` from pycountry and `variants.toml`: `python -m geodb.reference.generate`."""

import json
import re
import tomllib
from collections import defaultdict
from pathlib import Path
from typing import Any

import pycountry

from geodb.reference import normal

FOLDER = Path(__file__).parent

# What pycountry calls the kind of a region, as databases append it to the name.
_SUFFIXES = {
    "oblast": ("oblast",),
    "region": ("oblast", "region"),
    "administrative region": ("oblast", "region"),
    "administrative territory": ("krai", "kray"),
    "province": ("province",),
    "state": ("state",),
    "prefecture": ("prefecture",),
    "governorate": ("governorate",),
    "republic": ("republic",),
    "department": ("department",),
    "county": ("county",),
    "district": ("district",),
    "parish": ("parish",),
    "canton": ("canton",),
    "municipality": ("municipality",),
}


def generate() -> str:
    """Return the text of `subdivisions.json`."""
    variants = tomllib.loads((FOLDER / "variants.toml").read_text("utf-8"))
    codes: dict[str, list[str]] = defaultdict(list)
    names: dict[str, dict[str, str]] = {}
    entries: dict[str, list[Any]] = defaultdict(list)
    for entry in sorted(pycountry.subdivisions, key=lambda one: one.code):
        country, _, rest = entry.code.partition("-")
        codes[country].append(rest)
        entries[country].append(entry)
    for country in codes:
        found = _names(entries[country])
        found |= _variants(country, variants.get(country, {}), codes)
        names[country] = {name: code for name, code in found.items() if code}
    if unknown := variants.keys() - codes.keys():
        raise ValueError(f"variants.toml: no country {', '.join(sorted(unknown))} in ISO 3166-2")
    ordered = {country: dict(sorted(table.items())) for country, table in sorted(names.items())}
    table = {"codes": {country: " ".join(sorted(rest)) for country, rest in sorted(codes.items())}, "names": ordered}
    return json.dumps(table, ensure_ascii=False, indent=0, sort_keys=True) + "\n"


def _names(entries: list[Any]) -> dict[str, str]:
    """Return the names of one country's regions that mean exactly one of them. An outer region goes before an inner."""
    found: dict[str, str] = {}
    for inner in (False, True):
        level: dict[str, set[str]] = defaultdict(set)
        for entry in entries:
            if (entry.parent_code is not None) is inner:
                for name in _spellings(entry.name, entry.type):
                    level[normal(name)].add(entry.code)
        for name, meant in level.items():
            if len(meant) == 1:
                found.setdefault(name, meant.pop())
            elif not inner:
                # Two outer regions of one name, such as a city and the province around it: the name says neither.
                found[name] = ""
    return {name: code for name, code in found.items() if code}


def _spellings(name: str, kind: str) -> list[str]:
    # "Wales [Cymru GB-CYM]", "London, City of", "Graubünden (de)"
    outer = re.sub(r"\s*[\[(].*?[\])]", "", name).rstrip("*").strip()
    forms = [outer]
    if "," in outer:
        head, _, tail = outer.partition(",")
        forms.append(f"{tail.strip()} {head}")
    if (within := re.search(r"\[(.*?)(\s[A-Z]{2}-[A-Z0-9]+)?\]", name)) is not None:
        forms.append(within[1])
    # "Beijing Shi" and "Guangdong Sheng" are Beijing and Guangdong everywhere else.
    forms.extend(re.sub(r" (Shi|Sheng)$", "", form) for form in tuple(forms))
    plain = list(forms)
    for suffix in _SUFFIXES.get(kind.lower(), ()):
        forms.extend(f"{form} {suffix}" for form in plain)
    return forms


def _variants(country: str, given: dict[str, str], codes: dict[str, list[str]]) -> dict[str, str]:
    for name, code in given.items():
        owner, _, rest = code.partition("-")
        if code and rest not in codes.get(owner, []):
            raise ValueError(f"variants.toml, [{country}] {name!r}: {code} is not an ISO 3166-2 code")
    return {normal(name): code for name, code in given.items()}


if __name__ == "__main__":
    (FOLDER / "subdivisions.json").write_text(generate(), "utf-8")
