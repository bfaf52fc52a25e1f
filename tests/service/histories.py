"""Small recorded histories, as lines of NDJSON."""

from typing import Any

import orjson

GEO = {"country": "PT", "asn": 3243, "lat": 38.72, "lon": -9.14, "radius_km": 10, "network": []}
FIRST = 1_735_689_600
"""2025-01-01, seconds."""
DAY = 86_400


def line(day: float, type_: str = "login", **fields: Any) -> bytes:
    """Return an event of Alice at home so many days after the first of January 2025, but for what is said."""
    event = {
        "type": type_,
        "account": "alice",
        "at": FIRST + day * DAY,
        "ip": "85.240.1.7",
        "user_agent": "Mozilla/5.0 (Windows NT 10.0) Chrome/126.0 Safari/537.36",
        "device": "alice's laptop",
        "outcome": "succeeded",
        "geo": GEO,
        **fields,
    }
    return orjson.dumps({key: value for key, value in event.items() if value is not ...}) + b"\n"
