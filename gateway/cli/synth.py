"""`gateway risk synth`: a year of pretend customers and attackers, to try detectors on."""

import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer

_EVERY = 50


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(synth)


def synth(
    seed: Annotated[int, typer.Option("--seed", help="The same seed gives the same history.")] = 7,
    accounts: Annotated[int, typer.Option("--accounts", min=1, max=100_000, help="How many customers.")] = 5_000,
    days: Annotated[int, typer.Option("--days", min=30, max=1_100, help="How long the history is.")] = 365,
    attacks: Annotated[
        int,
        typer.Option("--attacks", min=0, max=100_000, help="Attacks of each kind in the last 65/365 of the history."),
    ] = 800,
    begin: Annotated[
        datetime, typer.Option("--from", formats=["%Y-%m-%d"], metavar="DATE", help="The first day, by UTC.")
    ] = datetime(2025, 1, 1),  # noqa: DTZ001 - a date, read as UTC below, as the one given is
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write to a file in place of stdout.")] = None,
    describe: Annotated[
        bool, typer.Option("--describe", help="Print the history's figures in place of the history.")
    ] = False,
) -> None:
    """Print a synthetic history as NDJSON in order of time: logins, withdrawals, changes of verification, attacks.

    Attackers' events carry a `label`; nothing else marks them. Everything is held in memory until it is in order.

    Example: gateway risk synth --seed 7 --accounts 200 --days 90 --attacks 20 -o history.ndjson
    """
    from datetime import UTC

    from gateway.service.synth import Size, history, ndjson
    from gateway.service.synth.describe import describe as figures
    from gateway.service.synth.describe import table

    size = Size(accounts, days, attacks)
    events = history(seed, size, _progress(accounts))
    if describe:
        print(*table(figures(events, size)), sep="\n")
        return
    start = begin.replace(tzinfo=UTC)
    if output is None:
        sys.stdout.buffer.writelines(one + b"\n" for one in ndjson(events, start))
        return
    try:
        with output.open("wb") as file:
            file.writelines(one + b"\n" for one in ndjson(events, start))
    except OSError as error:
        raise typer.BadParameter(f"cannot write `{output}`: {error.strerror}") from error


def _progress(accounts: int) -> Callable[[int], None]:
    """Return what shows on a terminal how many accounts are made; elsewhere it shows nothing."""
    if not sys.stderr.isatty():
        return lambda _done: None

    def show(done: int) -> None:
        if done % _EVERY == 0 or done == accounts:
            end = "\n" if done == accounts else ""
            print(f"\rgateway: {done:,} of {accounts:,} accounts", end=end, file=sys.stderr, flush=True)

    return show
