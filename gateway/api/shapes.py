"""The parts that the shapes of answers are made of: JSON Schema (the dialect of OpenAPI 3.1)."""

from collections.abc import Iterable
from typing import Any, Final

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
MAY_BE_TEXT: Final[Schema] = {"type": ["string", "null"]}
NUMBER: Final[Schema] = {"type": "integer"}
YES_OR_NO: Final[Schema] = {"type": "boolean"}
INSTANT: Final[Schema] = {"type": "string", "format": "date-time"}
MAY_BE_INSTANT: Final[Schema] = {"type": ["string", "null"], "description": "An instant, as RFC 3339."}


def whole(**properties: Schema) -> Schema:
    """Return the schema of an object that has these properties, each of them, and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": sorted(properties),
        "additionalProperties": False,
    }


def listed(of: Schema) -> Schema:
    """Return the schema of a list."""
    return {"type": "array", "items": of}


def named(name: str) -> Schema:
    """Return the reference to a schema of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def text(**more: object) -> Schema:
    """Return the schema of a text."""
    return {"type": "string", **more}


def one_of(names: Iterable[str], *, or_null: bool = False) -> Schema:
    """Return the schema of a text that is one of these."""
    choices = [*map(str, names)]
    return {"type": ["string", "null"], "enum": [*choices, None]} if or_null else {"type": "string", "enum": choices}
