"""Every key that the configuration knows, read off the models: for the environment, for guesses, for the docs."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin

from gateway.config.settings import Settings
from gateway.config.table import ALSO_TEXT, Table
from gateway.config.values import meant

EACH = "*"
"""Stands in a path for each member of a list or mapping of tables."""


class Key(NamedTuple):
    """One key: where it stands, and how its value is written."""

    path: tuple[str, ...]
    structured: bool
    """Whether the value is a list or a table: JSON in an environment variable."""
    also_text: bool = False
    """Whether a text that is no JSON may stand for the list or the table."""

    @property
    def variable(self) -> str:
        """The environment variable that overrides it."""
        return "GATEWAY_" + "__".join(self.path).upper()


@cache
def all_keys() -> tuple[Key, ...]:
    """Return every key, tables included, in the order of the models."""
    return tuple(_keys_of(Settings, ()))


def variables() -> Mapping[str, Key]:
    """Return every key that an environment variable can override, by the variable's name."""
    return {key.variable: key for key in all_keys() if EACH not in key.path}


def correction(location: Sequence[str | int]) -> str:
    """Return what was probably meant by an unknown key: its neighbour's name, or its right place, or all there is."""
    *above, wrong = location
    neighbours = [
        key.path[-1]
        for key in all_keys()
        if len(key.path) == len(location)
        and all(there in (here, EACH) for here, there in zip(above, key.path[:-1], strict=True))
    ]
    if guess := meant(str(wrong), neighbours):
        return guess
    elsewhere = [".".join(key.path) for key in all_keys() if key.path[-1] == wrong and EACH not in key.path]
    if elsewhere:
        return f": did you mean `{elsewhere[0]}`?"
    return f"; known here are {', '.join(f'`{name}`' for name in neighbours)}"


def _keys_of(table: type[Table], above: tuple[str, ...]) -> Iterator[Key]:
    for name, field in table.model_fields.items():
        path = (*above, field.alias or name)
        origin, inner = unwrapped(field.annotation)
        repeated = origin in (tuple, Mapping)
        yield Key(path, repeated or inner is not None, ALSO_TEXT in field.metadata)
        if inner is not None:
            yield from _keys_of(inner, (*path, EACH) if repeated else path)


def unwrapped(annotation: Any) -> tuple[Any, type[Table] | None]:  # noqa: ANN401 - annotations have no common type
    """Return the container and the table of an annotation such as `tuple[Route, ...]` or `Identity | None`."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return unwrapped(arguments[0])
    if origin in (Union, UnionType):
        return unwrapped(next(argument for argument in arguments if argument is not NoneType))
    candidates = (annotation, *arguments)
    table = next((one for one in candidates if isinstance(one, type) and issubclass(one, Table)), None)
    return origin, table
