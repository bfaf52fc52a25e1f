"""Settings as people read them: every key under the name that the file uses, and no secret."""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel, SecretStr

MASKED: Final = "********"
_PASSWORD: Final = re.compile(r"(://[^/@:\s]*):[^/@\s]*@")
_IN_QUERY: Final = re.compile(r"([?&](?:password|sslpassword)=)[^&\s]*")
_UNITS: Final = {"_s": "s", "_ms": "ms"}


def shown(table: BaseModel) -> dict[str, Any]:
    """Return a table as JSON values under the names of the file; durations with their unit, secrets masked."""
    found: dict[str, Any] = {}
    for name, field in type(table).model_fields.items():
        value = getattr(table, name)
        unit = next((unit for end, unit in _UNITS.items() if name.endswith(end)), None)
        if unit is not None and isinstance(value, int) and not isinstance(value, bool):
            value = f"{value}{unit}"
        found[field.alias or name] = _plain(value)
    return found


def lines(table: Mapping[str, Any], above: str = "") -> Iterator[str]:
    """Yield a table of `shown` as one line for each key that has a value: `server.port = 8080`."""
    for name, value in table.items():
        where = f"{above}.{name}" if above else name
        if isinstance(value, dict) and value:
            yield from lines(value, where)
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            for number, one in enumerate(value):
                yield from lines(one, f"{where}[{number}]")
        elif value is not None:
            yield f"{where} = {_toml(value)}"


def _plain(value: object) -> Any:  # noqa: ANN401 - a JSON value
    match value:
        case SecretStr():
            return MASKED
        case BaseModel():
            return shown(value)
        case str() | Path():
            return _IN_QUERY.sub(rf"\1{MASKED}", _PASSWORD.sub(rf"\1:{MASKED}@", str(value)))
        case Mapping():
            return {str(key): _plain(one) for key, one in value.items()}
        case tuple() | list() | frozenset():
            return [_plain(one) for one in value]
        case _:
            return value


def _toml(value: object) -> str:
    match value:
        case bool():
            return str(value).lower()
        case str():
            return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
        case list():
            return f"[{', '.join(map(_toml, value))}]"
        case dict():
            return "{}"
        case _:
            return str(value)
