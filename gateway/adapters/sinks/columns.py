"""A decision as one flat row, for the sinks that have columns. The whole document stays beside them."""

from typing import Any, NamedTuple

import orjson

from gateway.core.decision import Document, parse_instant
from gateway.core.search import findable


class Row(NamedTuple):
    """What is asked for most, as columns; None where it was not certain or there was none."""

    id: str
    at: int
    """Microseconds since the epoch."""
    operation: str
    """`ambiguous` where the request could not be read."""
    outcome: str
    reason: str | None
    rules: tuple[str, ...]
    """`policy/rule`, those that determined the verdict."""
    country: str | None
    account: str | None
    address: str | None
    asn: int | None
    bundle: str
    status: int
    """What the visitor was answered."""
    method: str
    host: str
    path: str
    took_us: int
    document: str
    """The decision as JSON."""


def parquet_schema(arrow: Any) -> Any:  # noqa: ANN401 - pyarrow brings no types, and is imported where it is wanted
    """Return the schema of `Row` in Parquet. `arrow` is the module pyarrow."""
    text = arrow.string()
    special = {
        "at": arrow.timestamp("us", tz="UTC"),
        "rules": arrow.list_(text),
        "asn": arrow.uint32(),
        "status": arrow.uint16(),
        "took_us": arrow.uint32(),
    }
    return arrow.schema([(name, special.get(name, text)) for name in Row._fields])


def row_of(document: Document) -> Row:
    """Return the row of a decision document."""
    found = findable(document)
    facts = document["facts"] or {}
    country, asn = facts.get("country"), facts.get("asn")
    request = document["request"]
    return Row(
        id=document["id"],
        at=parse_instant(document["at"]),
        operation=found.operation,
        outcome=found.outcome,
        reason=found.reason,
        rules=found.rules,
        country=country if isinstance(country, str) else None,
        account=found.account,
        address=document["client_ip"]["address"],
        asn=asn if isinstance(asn, int) else None,
        bundle=found.bundle,
        status=document["reply"]["status"],
        method=request["method"],
        host=request["host"],
        path=request["path"],
        took_us=document["took_us"],
        document=orjson.dumps(document).decode(),
    )
