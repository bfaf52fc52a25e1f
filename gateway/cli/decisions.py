"""`gateway decisions`: recorded decisions searched, followed, exported, counted, and proved to be whole."""

import asyncio
import json
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import logs
from gateway.cli.account import AsJson, Config
from gateway.cli.erasing import erase
from gateway.cli.filters import Asked, Unmask, reading_for, with_filters
from gateway.core.errors import GatewayError, SearchError

if TYPE_CHECKING:
    from gateway.app.finding import Found
    from gateway.core.decision import Document

app = typer.Typer(
    help="Recorded decisions: search, follow, export and count them, and prove that none is missing.",
    no_args_is_help=True,
)
_DEFAULT = Path("gateway.toml")
app.command()(erase)


@app.command()
@with_filters
def search(
    asked: Asked,
    unmask: Unmask = None,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="Go on where a page ended; it says with what.")] = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Find decisions, the newest first. Exit 1 where there are none.

    Example: gateway decisions search --account bob --outcome deny --since 24h
    """
    from gateway.cli.table import decisions_table

    logs.to_stderr()
    reading = reading_for(config, asked, unmask)

    async def found() -> int:
        async with reading.found() as decisions:
            page = await decisions.search(reading.search, limit=limit, cursor=cursor)
            documents = [reading.seen(one) for one in page.documents]
            if as_json:
                for document in documents:
                    print(json.dumps(document))
            elif documents:
                print("\n".join(decisions_table(documents)))
            if page.cursor is not None:
                _say(f"There are more: --cursor {page.cursor}")
            _warn(decisions)
            return len(documents)

    if not _run(found()):
        _say("No decision is like that.")
        raise typer.Exit(1)


@app.command()
@with_filters
def tail(
    asked: Asked,
    unmask: Unmask = None,
    every: Annotated[float, typer.Option(min=0.1, max=60, help="Seconds between two looks.")] = 0.5,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Follow new decisions as they are made, the oldest first, until Ctrl-C.

    Example: gateway decisions tail --outcome deny
    """
    from gateway.app.following import follow
    from gateway.cli.table import decisions_lines

    logs.to_stderr()
    reading = reading_for(config, asked, unmask)

    async def followed() -> None:
        async with reading.found() as decisions:
            lines = decisions_lines()
            async for document in follow(decisions, reading.search, reading.now, every):
                seen = reading.seen(document)
                print(json.dumps(seen) if as_json else lines(seen), flush=True)

    try:
        _run(followed())
    except (KeyboardInterrupt, BrokenPipeError):
        # Whoever follows ends it so: that is no failure.
        sys.stderr.flush()


@app.command()
@with_filters
def export(
    asked: Asked,
    to: Annotated[Path, typer.Option("--to", "-o", help="The file that is made; it must not be there yet.")],
    form: Annotated[str, typer.Option("--format", "-f", help="ndjson, csv, ocsf or ecs.")] = "ndjson",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with an export of this file that broke off.")] = False,
    unmask: Unmask = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Write every decision that a search finds into a file, the newest first.

    The file appears when it is whole; what broke off is gone on with by --resume. Progress is told on stderr.

    Example: gateway decisions export --since 7d --format ocsf --to decisions.ndjson
    """
    from gateway.app.exporting import FORMS, Export

    logs.to_stderr()
    if form not in FORMS:
        raise typer.BadParameter(f"`{form}` is none of {', '.join(FORMS)}", param_hint="--format")
    reading = reading_for(config, asked, unmask)

    async def exported() -> int:
        job = Export(to, form, {**asked, **({} if unmask is None else {"unmasked": "yes"})}, reading.now)
        with job.opened(resume=resume):
            if not job.done:
                async with reading.found() as decisions:
                    async for page in decisions.every(job.search, cursor=job.cursor):
                        job.write([reading.seen(one) for one in page.documents], page.cursor)
                        _progress(f"{job.written} decisions")
                    _warn(decisions)
        return job.written

    try:
        written = _run(exported())
    except KeyboardInterrupt:
        _say(f"\nInterrupted. The same command with --resume goes on; what was written lies in {to}.part")
        raise typer.Exit(1) from None
    _progress("")
    if as_json:
        print(json.dumps({"file": str(to), "decisions": written}))
    else:
        print(f"{written} decisions in {to}")


@app.command()
def stats(
    since: Annotated[
        str, typer.Option(help="Since this instant, or since 90m, 24h, 7d; from the hour it lies in.")
    ] = "24h",
    until: Annotated[str | None, typer.Option(help="Until this instant, exclusive; now.")] = None,
    by: Annotated[
        list[str] | None, typer.Option(help="outcome, reason, country, operation, bundle, hour or day; repeatable.")
    ] = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Count decisions by outcome, reason, country, operation and time.

    Example: gateway decisions stats --since 7d --by reason --by day
    """
    from gateway.cli.table import counts_table
    from gateway.core.decision import instant_text
    from gateway.service.overview import GROUPS, overview, step_for

    logs.to_stderr()
    groups = by or ["outcome", "reason", "country", "operation", "hour"]
    wrong = next((name for name in groups if name not in GROUPS), None)
    if wrong is not None:
        raise typer.BadParameter(f"`{wrong}` is none of {', '.join(GROUPS)}", param_hint="--by")
    span = {"since": since} if until is None else {"since": since, "until": until}
    reading = reading_for(config, span, None)
    assert reading.search.since is not None
    first = reading.search.since - reading.search.since % 3_600_000_000
    last = reading.search.until or reading.now + 1

    async def counted() -> "Document":
        async with reading.found() as decisions:
            found = overview(await decisions.counts(first, last, step=step_for(groups)), groups)
            _warn(decisions)
            return {"since": instant_text(first), "until": instant_text(last), **found}

    document = _run(counted())
    print(json.dumps(document) if as_json else "\n".join(counts_table(document)))


@app.command()
def verify(
    since: Annotated[str | None, typer.Option(help="Of decisions since this instant, or since 90m, 24h, 7d.")] = None,
    keys: Annotated[
        Path | None, typer.Option(help="A public key, or a folder of them, that the gateway cannot write to.")
    ] = None,
    published: Annotated[
        Path | None, typer.Option(help="Seals published elsewhere; the files of `[journal] publish` unless said.")
    ] = None,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Prove that no recorded decision is missing or altered. Exit 1 where one is, naming the place.

    Example: gateway decisions verify --since 24h
    """
    from gateway.adapters.clock import SystemClock
    from gateway.adapters.proof import check
    from gateway.config import load
    from gateway.core.search import read_instant

    logs.to_stderr()
    settings = load(config)
    try:
        at = None if since is None else read_instant("since", since, SystemClock().now())
    except SearchError as fault:
        raise typer.BadParameter(str(fault), param_hint="--since") from None
    try:
        elsewhere = [place.file for place in settings.journal.publishing if place.file is not None]
        proof = check(settings.journal.directory, since=at, keys=keys, published=published or elsewhere)
    except OSError as fault:
        raise GatewayError(f"{fault.filename or settings.journal.directory}: {fault.strerror}") from fault
    print(json.dumps(proof.to_json()) if as_json else proof.text())
    if not proof.ok:
        raise typer.Exit(1)


def _run(work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 - whatever the work returns
    try:
        return asyncio.run(work)
    except SearchError as fault:
        raise typer.BadParameter(str(fault)) from None


def _warn(decisions: "Found") -> None:
    if decisions.left_out:
        _say(
            f"The archive is more than {decisions.recent} decisions behind the journal: the latest are missing here. "
            "`gateway explain ID` finds each by its id."
        )


def _progress(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)
    elif text:
        print(text, file=sys.stderr, flush=True)


def _say(text: str) -> None:
    print(text, file=sys.stderr)
