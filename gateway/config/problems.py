"""What is wrong with a configuration, one line each: where, what, and what was probably meant. Never a secret."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from pydantic import ValidationError

from gateway.config.keys import correction
from gateway.config.values import meant

_MUST_BE_SAID: dict[tuple[str | int, ...], str] = {
    ("client_ip", "trusted_proxies"): "must be said: which addresses may speak for another client? "
    '`trusted_proxies = []` for nobody, or the networks of your own proxies, such as `["10.0.0.0/8"]`',
    ("identity", "issuer"): "is missing: tokens of any issuer would be believed",
    ("identity", "audience"): "is missing: tokens made for another service would be believed",
    ("identity", "algorithms"): 'is missing: name what your issuer signs with, such as `["RS256"]`',
}
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


class Problem(NamedTuple):
    """Something that stops the start."""

    location: tuple[str | int, ...]
    message: str
    variable: str | None = None
    """The environment variable at fault, where it is no setting's."""

    @classmethod
    def of_variable(cls, name: str, message: str) -> "Problem":
        """Return a problem with an environment variable itself."""
        return cls((), message, name)

    def line(self, place: str, variables: Mapping[tuple[str, ...], str]) -> str:
        """Return the problem as one line; `variables` are the settings that the environment gave, by their path."""
        if self.variable is not None:
            return f"{_one_line(self.variable)}: {_one_line(self.message)}"
        for length in range(len(self.location), 0, -1):
            found = variables.get(tuple(str(part) for part in self.location[:length]))
            if found is not None:
                rest = self.location[length:]
                return f"{found}: {dotted(rest) + ': ' if rest else ''}{_one_line(self.message)}"
        return f"{place}: {dotted(self.location)}: {_one_line(self.message)}"


def from_validation(error: ValidationError) -> Iterator[Problem]:
    """Yield a problem for each finding of the models."""
    for finding in error.errors(include_url=False):
        location = tuple(part for part in finding["loc"] if part != "[key]")
        if location == ("client_ip",) and finding["type"] == "missing":
            location = ("client_ip", "trusted_proxies")
        yield Problem(location, _message(location, finding))


def dotted(location: tuple[str | int, ...]) -> str:
    """Return a location as TOML would address it: `operations[2].path`, `geodb.overrides."10.0.0.0/8".country`."""
    text = ""
    for part in location:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f"{'.' if text else ''}{part if _BARE_KEY.fullmatch(part) else chr(34) + part[:64] + chr(34)}"
    return text or "the whole"


def _message(location: tuple[str | int, ...], finding: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "missing":
        return _MUST_BE_SAID.get(location[-2:], "is missing")
    if kind == "extra_forbidden":
        return f"unknown key{correction(location)}"
    if kind == "literal_error":
        options = re.findall(r"'([^']*)'", context["expected"])
        given = str(finding["input"])[:64]
        return f"`{given}` is not one of {', '.join(f'`{one}`' for one in options)}{meant(given, options)}"
    return str(finding["msg"]).replace("Input should", "should").replace("String should", "should")


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text).split())
