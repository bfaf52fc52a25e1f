"""`gateway config`: whether a configuration would start, and what it comes down to."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.core.errors import ConfigError

if TYPE_CHECKING:
    from gateway.app.reaching import Reached
    from gateway.config import Settings

app = typer.Typer(help="The configuration: check it without starting, show what is in effect.", no_args_is_help=True)

File = Annotated[
    Path, typer.Argument(metavar="[FILE]", envvar="GATEWAY_CONFIG", help="The configuration file.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_DEFAULT = Path("gateway.toml")


@app.command()
def check(
    file: File = _DEFAULT,
    connect: Annotated[
        bool,
        typer.Option("--connect", help="Also try the store, the keys, the upstream, and where things are sent."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Say everything that would stop a start, at once. Nothing is made or changed. Exit 1 where there is anything.

    Databases, keys and policies are opened as a start opens them, policies' tests included; variables of the
    environment count. Without `--connect` nothing is asked over a network.

    Example: gateway config check gateway.toml --connect
    """
    from gateway.app.checking import Examined, examined

    settings = _settings(file)
    found = Examined(settings, ()) if isinstance(settings, tuple) else examined(settings)
    tried = [] if isinstance(settings, tuple) or not connect else _tried(settings)
    away = [one for one in tried if one.fault is not None]
    if as_json:
        document: dict[str, Any] = {
            "ok": not found.problems and not away,
            **found._asdict(),
            "reached": [one._asdict() for one in tried],
        }
        typer.echo(json.dumps(document, indent=2))
    else:
        for problem in found.problems:
            typer.echo(f"problem: {problem}")
        for warning in found.warnings:
            typer.echo(f"warning: {warning}")
        for one in tried:
            typer.echo(
                f"{'reached' if one.fault is None else 'problem'}: {one.key}: {one.place}"
                f"{'' if one.fault is None else f': {one.fault}'}"
            )
        if found.bundle is not None and not away:
            typer.echo(f"{file}: would start, with bundle {found.bundle[:12]} and {', '.join(found.editions)}")
    if found.problems or away:
        raise typer.Exit(1)


@app.command()
def show(file: File = _DEFAULT, as_json: AsJson = False) -> None:
    """Show every setting in effect, defaults and the environment included. Secrets and passwords are masked.

    Example: gateway config show gateway.toml --json
    """
    from gateway.config import load
    from gateway.config.showing import lines, shown

    table = shown(load(file))
    for line in [json.dumps(table, indent=2)] if as_json else lines(table):
        typer.echo(line)


def _settings(file: Path) -> "Settings | tuple[str, ...]":
    """Return the settings, or each thing that is wrong with the file itself."""
    from gateway.config import load

    try:
        return load(file)
    except ConfigError as fault:
        return tuple(str(fault).splitlines())


def _tried(settings: "Settings") -> "list[Reached]":
    import asyncio

    from gateway.app.reaching import reached

    async def tried() -> "list[Reached]":
        return [one async for one in reached(settings)]

    return asyncio.run(tried())
