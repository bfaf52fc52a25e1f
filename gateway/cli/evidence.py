"""`gateway evidence`: the files that customers showed, as they are kept."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.account import AsJson, Config, Store
from gateway.cli.person import at_desk

if TYPE_CHECKING:
    from gateway.adapters.desk_store import DeskStore
    from gateway.adapters.evidence_files import EvidenceStore

app = typer.Typer(help="Files of evidence: change the master key that opens them.", no_args_is_help=True)
_DEFAULT = Path("gateway.toml")
_SAID_EVERY = 1_000
Files = Annotated[
    str | None,
    typer.Option("--files", help="Where evidence is kept, a folder or s3://BUCKET, in place of a configuration."),
]
FilesKey = Annotated[Path | None, typer.Option("--files-key", help="The file of the keys that it is sealed with.")]


@app.callback()
def group() -> None:
    """Keep this a group: `gateway evidence rewrap`."""


@app.command()
def rewrap(
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say how many there are to do, and change nothing.")
    ] = False,
    files: Files = None,
    files_key: FilesKey = None,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Let the newest master key open every file, so that older ones may go. Contents are not touched.

    Put the new key on top of the key file and start the gateways anew first, or they go on with the old one. It may be
    stopped and run again at any time. Exit 1 where a file is left that the newest key does not open: keep the old keys.

    Example: gateway evidence rewrap --dry-run
    """
    sealed = sealed_files(config, store, files, files_key)
    done, kept, faults = at_desk(config, store, lambda desk: _rewrapped(desk, sealed, write=not dry_run))
    if as_json:
        print(json.dumps({"rewrapped": done, "as_they_were": kept, "faults": faults, "dry_run": dry_run}))
    else:
        for fault in faults:
            print(f"gateway: {fault}", file=sys.stderr)
        what = "to rewrap" if dry_run else "rewrapped"
        print(f"{done} {what}, {kept} opened by the newest key already, {len(faults)} faults")
    if faults or (dry_run and done):
        raise typer.Exit(1)


async def _rewrapped(desk: "DeskStore", sealed: "EvidenceStore", *, write: bool) -> tuple[int, int, list[str]]:
    """Return how many files were rewrapped, how many need not be, and what is wrong with the others."""
    from gateway.adapters.evidence_cipher import EvidenceDamaged

    done = kept = 0
    faults: list[str] = []
    after = ""
    while page := await desk.files(after):
        for _, key in page:
            try:
                changed = await sealed.rewrap(key, write=write)
            except EvidenceDamaged as fault:
                faults.append(str(fault))
                continue
            done, kept = done + changed, kept + (not changed)
            if (done + kept) % _SAID_EVERY == 0:
                print(f"{done + kept} files looked at", file=sys.stderr)
        after, _ = page[-1]
    return done, kept, faults


def sealed_files(config: Path, url: str | None, place: str | None, key: Path | None) -> "EvidenceStore":
    """Return where the gateway keeps evidence: as the configuration says, unless a place and its keys are given."""
    from gateway.adapters.evidence_cipher import read_master_keys
    from gateway.adapters.evidence_files import EvidenceStore
    from gateway.adapters.evidence_places import place_of

    if place is not None and key is not None:
        return EvidenceStore(place_of(place), read_master_keys(key))
    if place is not None or key is not None or url is not None:
        raise typer.BadParameter("say where the gateway keeps evidence: --files and --files-key", param_hint="--files")
    from gateway.app.evidence import evidence_of
    from gateway.config import load

    found = evidence_of(load(config))
    if found is None:
        raise typer.BadParameter(f"{config} has no [evidence]: no files are taken here", param_hint="--config")
    return found
