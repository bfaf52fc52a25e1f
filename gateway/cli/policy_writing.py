"""`gateway policy new` and `gateway policy format`: what writes policy files."""

import json
import shutil
import sys
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli.findings import instant_of, refuse
from gateway.cli.policy import DEFAULT, AsJson, Config, Paths


def new(
    name: Annotated[str, typer.Argument(help="The policy's name, and its file's.")],
    country: Annotated[
        str, typer.Option("--country", metavar="CODE", help="The country it closes, ISO 3166-1 alpha-2.")
    ],
    start: Annotated[
        str | None, typer.Option("--from", metavar="DATE", help="From when (midnight, UTC); else at once.")
    ] = None,
    exit_until: Annotated[
        str | None,
        typer.Option(
            "--exit-until", metavar="DATE", help="From `--from` to here, exclusive, customers may only withdraw."
        ),
    ] = None,
    owner: Annotated[str, typer.Option("--owner", help="Who answers for it.")] = "compliance",
    basis: Annotated[str | None, typer.Option("--basis", help="The law, order or decision that it rests on.")] = None,
    folder: Annotated[Path, typer.Option("--to", metavar="FOLDER", help="Where to write it.")] = Path("policies"),
    as_json: AsJson = False,
) -> None:
    """Write a policy that closes a country, with its tests, ready to be edited. A file that is there stays as it is.

    Beside it stands the JSON Schema by which editors complete fields and mark mistakes.

    Example: gateway policy new canada-exit --country CA --from 2026-03-01 --exit-until 2026-06-01
    """
    from gateway.policies.bundle import load
    from gateway.policies.json_schema import policy_schema
    from gateway.policies.new import scaffold

    instants = [None if text is None else instant_of(text) for text in (start, exit_until)]
    said = {} if basis is None else {"basis": basis}
    text = scaffold(name, country, start=instants[0], exit_until=instants[1], owner=owner, **said)
    load({name: text}, sources_configured=None)  # an owner or basis that cannot be is refused before it is written
    file, schema = folder / f"{name}.yaml", folder / "policy.v1.json"
    if folder.is_file():
        raise typer.BadParameter(f"`{folder}` is a file: name a folder to write to")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
        if not schema.exists():
            schema.write_text(f"{json.dumps(policy_schema(), indent=2)}\n", encoding="utf-8")
    except FileExistsError:
        raise typer.BadParameter(f"`{file}` is there already: give the policy another name, or move it") from None
    except OSError as error:
        raise typer.BadParameter(f"`{file}` cannot be written: {error.strerror}") from None
    if as_json:
        print(json.dumps({"policy": name, "file": str(file), "schema": str(schema)}, indent=2))
    else:
        print(f"{file}: written. Look at it, then: gateway policy check {file}")


def format_(
    paths: Paths = None,
    config: Config = DEFAULT,
    check: Annotated[
        bool, typer.Option("--check", help="Change nothing; exit 1 where something would change.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Lay policy files out in one way: order of fields, indentation, quotes. Comments stay, and so does the meaning.

    What ships (`library:…`) is left alone. A file that cannot be read is named, and nothing is written at all.

    Example: gateway policy format policies/ --check
    """
    from gateway.policies.findings import Finding, Rejected
    from gateway.policies.format import formatted

    try:
        base, own = _own_texts(paths, config)
    except Rejected as rejected:
        refuse(rejected.findings, as_json=as_json)
    found: list[Finding] = []
    changed = {}
    for name, text in own.items():
        try:
            written = formatted(name, text)
        except Rejected as rejected:
            found += rejected.findings
            continue
        if written != text:
            changed[name] = written
    if found:
        refuse(sorted(found), as_json=as_json)
    if not check:
        for name, text in changed.items():
            _replace(base / name, text)
    if as_json:
        print(json.dumps({"ok": not (check and changed), "files": len(own), "changed": sorted(changed)}, indent=2))
    else:
        for name in sorted(changed):
            print(f"{name}: {'would be laid out anew' if check else 'laid out anew'}", file=sys.stderr)
        print(
            f"{len(own)} {'file' if len(own) == 1 else 'files'}, {len(changed)} {'to change' if check else 'changed'}"
        )
    if check and changed:
        raise typer.Exit(1)


def register(app: typer.Typer) -> None:
    """Add the commands to `gateway policy`."""
    app.command()(new)
    app.command("format")(format_)


def _own_texts(paths: list[str] | None, config: Path) -> tuple[Path, dict[str, str]]:
    """Return a folder, and the texts by their paths in it: of these files or the configured ones, none that ships."""
    from gateway.adapters.policy_files import LIBRARY, read_sources
    from gateway.config import load

    if paths:
        base, texts = Path(), read_sources(paths, Path())
    else:
        settings = load(config)
        base, texts = settings.base, read_sources(settings.policies.paths, settings.base)
    return base, {name: text for name, text in texts.items() if not name.startswith(LIBRARY)}


def _replace(file: Path, text: str) -> None:
    """Write a file whole or not at all: a running gateway may read it at any time."""
    target = file.resolve()
    half = target.with_name(f".{target.name}.half")
    try:
        half.write_text(text, encoding="utf-8")
        shutil.copymode(target, half)
        half.replace(target)
    except OSError as error:
        half.unlink(missing_ok=True)
        raise typer.BadParameter(f"`{file}` cannot be written: {error.strerror}") from None
