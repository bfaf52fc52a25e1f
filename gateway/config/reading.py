"""The configuration file, the environment and secret files, as one Settings or one ConfigError."""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import ValidationError

from gateway.config.files import LARGEST_SECRET, text_of, unusable_files, why
from gateway.config.keys import Key, variables
from gateway.config.problems import Problem, from_validation
from gateway.config.settings import Settings
from gateway.config.values import meant
from gateway.core.errors import ConfigError

PREFIX = "GATEWAY_"
LARGEST_FILE = 1024**2
_NOT_SETTINGS = frozenset({"GATEWAY_CONFIG", "GATEWAY_COMPILE", "GATEWAY_TOKEN_FILE"})
# Kubernetes describes a Service called "gateway" to every pod of its namespace under these names.
_SERVICE_LINK = re.compile(
    r"GATEWAY_(SERVICE_(HOST|PORT(_[A-Z0-9_]+)?)|PORT(_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)?)"
)
_STRUCTURED_EXAMPLE = '`["one", "two"]` or `{"name": "value"}`'


class Overridden(NamedTuple):
    """A setting that the environment gives."""

    variable: str
    key: Key
    value: Any


def load(path: Path | None, environ: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of the file at `path` (None: of the environment alone), overridden by `environ`.

    Relative paths are taken from the file's folder. Raise ConfigError with one line for each problem.
    """
    environ = os.environ if environ is None else environ
    place = "the environment" if path is None else str(path)
    base = (Path.cwd() if path is None else path.absolute().parent).expanduser()
    problems: list[Problem] = []
    data = {} if path is None else _toml(path)
    overridden = list(_from_environment(environ, base, problems))
    for one in sorted(overridden, key=lambda one: len(one.key.path)):
        _put(data, one, problems)
    settings = None
    try:
        settings = Settings.model_validate(data, context={"base": base})
    except ValidationError as error:
        problems += from_validation(error)
    else:
        problems += unusable_files(settings)
    if settings is None or problems:
        given = {one.key.path: one.variable for one in overridden}
        raise ConfigError("\n".join(problem.line(place, given) for problem in problems)) from None
    return settings


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text_of(path, LARGEST_FILE))
    except FileNotFoundError:
        raise ConfigError(
            f"{path}: no such file; `--config PATH` or the variable GATEWAY_CONFIG says where the configuration is"
        ) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{path}: not TOML: nested too deeply") from None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path}: {why(error)}") from None


def _from_environment(environ: Mapping[str, str], base: Path, problems: list[Problem]) -> Iterator[Overridden]:
    """Yield what the environment overrides; put into `problems` what it says that nobody can mean."""
    if environ.get("FORWARDED_ALLOW_IPS"):
        problems.append(
            Problem.of_variable(
                "FORWARDED_ALLOW_IPS",
                "lets the server rewrite the peer's address before the gateway sees it; unset it, and name your "
                "proxies in `client_ip.trusted_proxies`",
            )
        )
    known = variables()
    for name in sorted(environ):
        if not name.upper().startswith(PREFIX) or name in _NOT_SETTINGS or _SERVICE_LINK.fullmatch(name):
            continue
        base_name = name.removesuffix("_FILE")
        key = known.get(name) or known.get(base_name)
        if key is None:
            problems.append(Problem.of_variable(name, f"unknown setting{meant(name, known)}"))
            continue
        try:
            text = environ[name] if name in known else _secret(base / environ[name])
            if name not in known and base_name in environ:
                raise ValueError(f"is set beside {base_name}; keep one of them")  # noqa: TRY301 - one place collects
            yield Overridden(name, key, _read(text, key))
        except (OSError, ValueError) as error:
            problems.append(Problem.of_variable(name, why(error)))


def _secret(path: Path) -> str:
    """Return what a `_FILE` variable points at, without the newline that editors add."""
    return text_of(path, LARGEST_SECRET).removesuffix("\n").removesuffix("\r")


def _read(text: str, key: Key) -> Any:  # noqa: ANN401 - JSON
    if not key.structured or (key.also_text and text.lstrip()[:1] not in {"[", "{"}):
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise ValueError(f"is not JSON; a list or table is written as {_STRUCTURED_EXAMPLE}") from None


def _put(data: dict[str, Any], one: Overridden, problems: list[Problem]) -> None:
    *above, last = one.key.path
    table: Any = data
    for name in above:
        table = table.setdefault(name, {})
        if not isinstance(table, dict):
            problems.append(Problem.of_variable(one.variable, f"`{name}` in the file is not a table"))
            return
    table[last] = one.value
