"""Writes `gateway/core/subdivisions.py` from pycountry, so that nothing of it is needed at run time.

Run it after pycountry is renewed: `python scripts/reference_data.py`. A test compares the result with the file.
"""

import sys
from collections import defaultdict
from pathlib import Path

import pycountry

TARGET = Path(__file__).resolve().parent.parent / "gateway" / "core" / "subdivisions.py"
WIDTH = 120


def subdivisions_module() -> str:
    """Return the text of `gateway/core/subdivisions.py`: the ISO 3166-2 codes of every country that has any."""
    codes: defaultdict[str, list[str]] = defaultdict(list)
    for subdivision in pycountry.subdivisions:
        country, _, rest = subdivision.code.partition("-")
        codes[country].append(rest)
    lines = [
        '"""ISO 3166-2 codes by country, without the prefix. Written by `scripts/reference_data.py`; do not edit."""',
        "",
        "from collections.abc import Mapping",
        "from typing import Final",
        "",
        "SUBDIVISIONS: Final[Mapping[str, str]] = {",
    ]
    for country in sorted(codes):
        lines += _entry(country, sorted(codes[country]))
    return "\n".join([*lines, "}", ""])


def _entry(country: str, codes: list[str]) -> list[str]:
    """Return the lines of one country, none longer than `WIDTH`."""
    chunks = [""]
    for code in codes:
        if len(chunks[-1]) + len(code) > WIDTH - 16:
            chunks.append("")
        chunks[-1] += f"{code} "
    chunks[-1] = chunks[-1].rstrip()
    if len(chunks) == 1:
        return [f'    "{country}": "{chunks[0]}",']
    return [f'    "{country}": (', *(f'        "{chunk}"' for chunk in chunks), "    ),"]


if __name__ == "__main__":
    TARGET.write_text(subdivisions_module(), encoding="utf-8")
    sys.stdout.write(f"wrote {TARGET}\n")
