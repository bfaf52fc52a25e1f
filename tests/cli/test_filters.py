import inspect

import pytest
import typer
from typer.testing import CliRunner

from gateway.cli.filters import FILTERS, Asked, with_filters
from gateway.core.search import Search

app = typer.Typer()
seen: list[tuple[dict[str, str], int]] = []


@app.command()
@with_filters
def command(asked: Asked, more: int = 1) -> None:
    """Do it."""
    seen.append((dict(asked), more))


def test_every_condition_of_a_search_is_an_option() -> None:
    assert tuple(FILTERS) == Search._fields
    shown = CliRunner().invoke(app, ["--help"]).stdout
    for name in FILTERS:
        assert f"--{name}" in shown


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ([], ({}, 1)),
        (["--account", "bob", "--more", "2"], ({"account": "bob"}, 2)),
        ([word for name in FILTERS for word in (f"--{name}", "x")], (dict.fromkeys(FILTERS, "x"), 1)),
    ],
)
def test_what_was_given_comes_together(words: list[str], asked: tuple[dict[str, str], int]) -> None:
    assert CliRunner().invoke(app, words).exit_code == 0
    assert seen.pop() == asked


def test_a_command_keeps_its_name_and_its_help() -> None:
    assert (command.__name__, command.__doc__) == ("command", "Do it.")
    assert list(inspect.signature(command).parameters) == [*FILTERS, "more"]
