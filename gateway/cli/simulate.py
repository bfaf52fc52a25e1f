"""`gateway policy simulate` and `lookback`: what rules would have done to what was recorded."""

import asyncio
import csv
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.findings import refuse
from gateway.cli.policy import DEFAULT, AsJson, Config, read
from gateway.core.errors import SearchError

if TYPE_CHECKING:
    from gateway.app.simulating import Window
    from gateway.config import Settings
    from gateway.policies.compile import Bundle
    from gateway.policies.rules import Rule
    from gateway.service.lookback import Row

Since = Annotated[str, typer.Option(help="Since this instant (RFC 3339), or since 24h, 7d, 5y.")]
Until = Annotated[str | None, typer.Option(help="Until this instant, exclusive, or until so long ago; else until now.")]
Candidate = Annotated[
    list[str] | None,
    typer.Argument(metavar="[CANDIDATE]...", help="Files, folders, `library:NAME`; else the configured ones."),
]


def register(app: typer.Typer) -> None:
    """Add the commands to those of `gateway policy`."""
    app.command("simulate")(simulate)
    app.command("lookback")(lookback)
    app.command("shadow")(shadow)


def simulate(
    candidate: Candidate = None,
    since: Since = "7d",
    until: Until = None,
    against: Annotated[
        str, typer.Option(help="`recorded`: what was answered; `current`: what would be now.")
    ] = "recorded",
    edition: Annotated[
        list[str] | None,
        typer.Option(metavar="[KIND=]FILE", help="A database to try: of countries, or `asn=FILE`; repeatable."),
    ] = None,
    list_file: Annotated[
        list[Path] | None, typer.Option("--list", help="A list to try in place of the one of its name; repeatable.")
    ] = None,
    at_most: Annotated[
        float | None, typer.Option(min=0, max=1, help="Exit 1 where a larger part would have another outcome.")
    ] = None,
    html: Annotated[Path | None, typer.Option(help="Write the report into this file, with a map.")] = None,
    config: Config = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Decide what was recorded again under a candidate: every decision, none left to a sample.

    Exit 1 where the candidate does not load, or changes more than `--at-most`.

    Example: gateway policy simulate policies/ --since 7d --html report.html
    """
    from gateway.app.simulating import current_of, read_editions, simulated
    from gateway.service.simulation_report import page

    if against not in {"recorded", "current"}:
        raise typer.BadParameter(f"`{against}` is neither `recorded` nor `current`", param_hint="--against")
    settings = _settings(config)
    window = _window(since, until)
    bundle = _bundle(candidate, list_file or (), config, as_json=as_json)
    with _progress() as told:
        found = asyncio.run(
            simulated(
                settings,
                bundle,
                window,
                against=current_of(settings) if against == "current" else None,
                editions=read_editions(edition or ()),
                told=told,
            )
        )
    if html is not None:
        try:
            html.write_text(page(found), encoding="utf-8")
        except OSError as fault:
            raise typer.BadParameter(f"`{html}` cannot be written: {fault.strerror}", param_hint="--html") from None
    print(json.dumps(found.to_json(), indent=2) if as_json else found.text())
    if at_most is not None and found.share > at_most:
        print(f"{found.share:.3%} would have another outcome; at most {at_most:.3%} may", file=sys.stderr)
        raise typer.Exit(1)


def lookback(
    rule: Annotated[str, typer.Argument(metavar="POLICY/RULE", help="A limit or requirement of the candidate.")],
    since: Since = "365d",
    until: Until = None,
    candidate: Annotated[
        list[str] | None, typer.Option(help="Where the rule stands: a file, a folder, `library:NAME`; repeatable.")
    ] = None,
    dated: Annotated[
        bool, typer.Option("--dated/--as-if-in-force", help="Mind its dates, or take it to be in force all the time.")
    ] = False,
    as_csv: Annotated[
        bool, typer.Option("--csv", help="Print each decision as CSV; what it adds up to goes to stderr.")
    ] = False,
    config: Config = DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Say which past decisions a rule would have refused, by the data of that day and by what is known now.

    Exit 1 where there are none.

    Example: gateway policy lookback us-exit/us-closed --since 5y --csv > touched.csv
    """
    from gateway.app.simulating import looked_back
    from gateway.service.lookback import COLUMNS

    if as_csv and as_json:
        raise typer.BadParameter("`--csv` and `--json` are two answers: give one")
    settings = _settings(config)
    bundle = _bundle(candidate, (), config, as_json=as_json)
    sought = _rule(rule, bundle)
    write = None
    if as_csv:
        rows = csv.writer(sys.stdout, lineterminator="\n")
        rows.writerow(COLUMNS)
        write = partial(_write_rows, rows)
    found = asyncio.run(looked_back(settings, sought, bundle, _window(since, until), dated=dated, write=write))
    if as_json:
        print(json.dumps(found.to_json(), indent=2))
    else:
        print(found.text(), file=sys.stderr if as_csv else sys.stdout)
    if not (found.then.flipped or found.now.flipped):
        raise typer.Exit(1)


def shadow(config: Config = DEFAULT, as_json: AsJson = False) -> None:
    """Print what the candidate of `[policies] shadow` would have answered since it is followed. Exit 1: none is.

    Example: gateway policy shadow --json
    """
    from gateway.adapters.shadow_file import ShadowFile

    settings = _settings(config)
    found = ShadowFile(settings.journal.directory).read()
    if as_json:
        print(json.dumps(found, indent=2))
    elif "text" in found:
        print(found["text"])
    if "refused" in found:
        print(f"the candidate as it is now does not load: {found['refused']}", file=sys.stderr)
    elif not found:
        missing = "" if settings.policies.shadow else '; name it: `[policies] shadow = ["candidate/"]`'
        print(f"no candidate is followed beside {settings.journal.directory}{missing}", file=sys.stderr)
    if "decisions" not in found:
        raise typer.Exit(1)


def _write_rows(rows: Any, found: "Sequence[Row]") -> None:  # noqa: ANN401 - what `csv` calls a writer has no name
    from gateway.core.exports import csv_cell

    rows.writerows(map(csv_cell, one) for one in found)


def _settings(config: Path) -> "Settings":
    from gateway.config import load

    return load(config)


def _bundle(paths: list[str] | None, lists: Sequence[Path], config: Path, *, as_json: bool) -> "Bundle":
    """Return the candidate, in which these lists stand in place of those of their names; exit 1 where it is none."""
    from gateway.policies.bundle import load
    from gateway.policies.findings import Rejected

    texts, supplied = read(paths, config)
    try:
        return load(_with_lists(texts, lists), sources_configured=supplied)
    except Rejected as rejected:
        refuse(rejected.findings, as_json=as_json)


def _with_lists(texts: dict[str, str], lists: Sequence[Path]) -> dict[str, str]:
    from gateway.adapters.policy_files import read_sources
    from gateway.policies.rules import NamedList
    from gateway.policies.syntax import parse_file

    for name, text in read_sources(lists, Path()).items() if lists else ():
        tried = parse_file(name, text)
        if not isinstance(tried, NamedList):
            raise typer.BadParameter(f"`{name}` is no list", param_hint="--list")
        same = [one for one, said in texts.items() if getattr(parse_file(one, said), "key", None) == tried.key]
        texts = {one: said for one, said in texts.items() if one not in same} | {name: text}
    return texts


def _rule(text: str, bundle: "Bundle") -> "Rule":
    from gateway.core.terms import Effect
    from gateway.policies.findings import did_you_mean

    rules = {f"{one.policy}/{one.id}": one for one in bundle.rules}
    if text not in rules:
        raise typer.BadParameter(f"there is no rule `{text}`{did_you_mean(text, rules)}", param_hint="POLICY/RULE")
    if rules[text].effect is Effect.GRANT:
        raise typer.BadParameter(f"`{text}` is a grant: it refuses nobody", param_hint="POLICY/RULE")
    return rules[text]


def _window(since: str, until: str | None) -> "Window":
    from gateway.adapters.clock import SystemClock
    from gateway.app.simulating import Window
    from gateway.core.search import read_instant

    now = SystemClock().now()
    try:
        first = read_instant("--since", _in_days(since), now)
        last = now if until is None else read_instant("--until", _in_days(until), now)
    except SearchError as fault:
        raise typer.BadParameter(str(fault)) from None
    if first >= last:
        raise typer.BadParameter(f"`{since}` is not before the end: nothing lies between them", param_hint="--since")
    return Window(first, last)


def _in_days(text: str) -> str:
    """Return a number of years as days; anything else as it is."""
    years = text.removesuffix("y")
    return f"{int(years) * 365 + int(years) // 4}d" if years != text and years.isdecimal() else text


@contextmanager
def _progress() -> Iterator[Callable[[int], None]]:
    """Yield what shows how far it is, on a terminal alone."""
    shown = sys.stderr.isatty()

    def show(decisions: int) -> None:
        if shown:
            print(f"\r\x1b[K{decisions:,} decisions", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
