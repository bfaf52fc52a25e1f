"""`gateway risk`: what the anomaly score would have done to a recorded history, and pretend histories to try it on."""

import gc
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from gateway.service.backtest import Backtest, Judged
    from gateway.service.history import BadLine, Reader

app = typer.Typer(help="Risk: try the anomaly score on histories before it holds anything.", no_args_is_help=True)

_EVERY = 2_000
_SHOWN = 10
"""Bad lines that are named one by one."""
_TEST_FROM = 300 / 365
"""Of a file's span, where nothing else is said: in a year, day 300."""


@app.callback()
def risk() -> None:
    """Risk: try the anomaly score on histories before it holds anything."""


@app.command()
def backtest(
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="The history as NDJSON, by time; `-` is stdin.")],
    budget: Annotated[
        list[str] | None,
        typer.Option("--budget", "-b", help="How much of customers' withdrawals may be held, as 2%; repeatable."),
    ] = None,
    test_from: Annotated[
        float | None,
        typer.Option("--test-from", min=5, help="The day the test begins; 300 of 365, or that part of a file's span."),
    ] = None,
    shipped: Annotated[bool, typer.Option("--shipped", help="Use the shipped shares; fit nothing.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first bad line.")] = False,
    seed: Annotated[int, typer.Option("--seed", help="For the sample that is fitted on, and the intervals.")] = 0,
    plot: Annotated[
        Path | None, typer.Option("--plot", help="Draw hold rate against catch into this SVG file.")
    ] = None,
    no_geo: Annotated[
        bool, typer.Option("--no-geo", help="Look no address up: use only the `geo` beside events.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print each withdrawal as a JSON line; the report goes to stderr, as JSON.")
    ] = False,
) -> None:
    """Run a recorded history through the anomaly score as live traffic would be, and report what it would have held.

    Each line is {"type": "login"|"withdrawal"|"verification.changed", "id", "account", "at", "ip", "user_agent",
    "device", "session", ...}; docs/risk.md lists all keys. What is missing is Unknown, and never a reason for trust.
    Beside the score stand the rules that others use, on the same withdrawals.

    Example: gateway risk synth --accounts 500 --attacks 100 | gateway risk backtest - --budget 2% --plot catch.svg
    """
    from gateway.core.login import Digests
    from gateway.service.backtest import BUDGET, BUDGETS, TEST_FROM_DAYS, Backtest
    from gateway.service.backtest_plot import svg
    from gateway.service.backtest_report import document, report_of, text
    from gateway.service.history import Reader, events

    budgets = tuple(dict.fromkeys(_budget(one) for one in budget)) if budget else BUDGETS
    if plot is not None and plot.suffix != ".svg":
        raise typer.BadParameter(f"`{plot}`: a plot is SVG, so its name ends in .svg", param_hint="--plot")
    reader = Reader(Digests(b"of this back-test alone"), None if no_geo else _shipped_geo())
    skipped: list[BadLine] = []

    def bad(fault: "BadLine") -> None:
        if strict:
            raise fault
        skipped.append(fault)
        if len(skipped) <= _SHOWN:
            _say(f"left out {fault}")

    with _opened(file) as (lines, size):
        days = test_from or (TEST_FROM_DAYS if size is None else _span(Path(file), reader) * _TEST_FROM)
        run = Backtest(budgets, test_from_days=days, seed=seed, refit=not shipped)
        with _progress(size) as told, _without_collecting():
            try:
                for judged in run.run(events(_counted(lines, told), reader, bad)):
                    if as_json:
                        print(json.dumps(_line(judged, run)))
            except ValueError as fault:
                told_off = f"{file}: {fault}"
                raise typer.BadParameter(told_off, param_hint="FILE") from None
    _tell_left_out(len(skipped), reader)
    if not run.tested:
        _say(_nothing_tested(run))
        raise typer.Exit(1)
    report = report_of(run, main=BUDGET if BUDGET in budgets else budgets[0], seed=seed)
    if plot is not None:
        plot.write_text(svg(run.tested, len(budgets)))
    if as_json:
        print(json.dumps(document(report)), file=sys.stderr)
    else:
        print(*text(report), sep="\n")


def _tell_left_out(skipped: int, reader: "Reader") -> None:
    if skipped > _SHOWN:
        _say(f"left out {skipped} bad lines in all; the first {_SHOWN} are above")
    for told, line in reader.taken.first.items():
        _say(f"took {told}, first on line {line}")
    for key, line in sorted(reader.ignored.items(), key=lambda one: one[1]):
        _say(f"ignored the unknown key {key}, first on line {line}")


def _nothing_tested(run: "Backtest") -> str:
    days = (run.last - run.first) / 86_400_000_000
    return (
        f"nothing to report: the history spans {days:.0f} days, and the test, which begins on day {run.test_days:.0f}, "
        f"sees no withdrawal; --test-from {max(5, int(days * _TEST_FROM))} begins earlier"
    )


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Leave garbage in cycles uncollected, as none is made: to look for it costs a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _budget(text: str) -> float:
    number = text.strip().removesuffix("%").strip()
    try:
        share = float(number) / 100 if text.strip().endswith("%") else float(number)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise typer.BadParameter(
            f"`{text}` is no share of withdrawals: write 2%, or 0.02 for the same", param_hint="--budget"
        )
    return share


def _shipped_geo() -> Any:  # noqa: ANN401 - a Geo; adapters are imported when they are needed
    from gateway.adapters.geoip.editions import GeoIP

    return GeoIP()


@contextmanager
def _opened(name: str) -> Iterator[tuple[IO[bytes], int | None]]:
    """Yield the lines, and how many bytes there are; None where nobody knows."""
    if name == "-":
        yield sys.stdin.buffer, None
        return
    try:
        with Path(name).open("rb") as file:
            yield file, Path(name).stat().st_size
    except OSError as fault:
        raise typer.BadParameter(f"cannot read {name}: {fault.strerror}", param_hint="FILE") from fault


def _span(path: Path, reader: "Reader") -> float:
    """Return how many days lie between the first and the last line of a file."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip()), b"")
        file.seek(max(0, path.stat().st_size - (1 << 17)))
        last = next((line for line in reversed(file.read().splitlines()) if line.strip()), first)
    try:
        begun, ended = (reader.read(number, line).login.at for number, line in ((1, first), (0, last)))
    except ValueError:
        return 365.0
    return max(6.0, (ended - begun) / 86_400_000_000)


def _counted(lines: Iterable[bytes], told: Callable[[int, int], None]) -> Iterator[bytes]:
    done = 0
    for number, line in enumerate(lines, 1):
        done += len(line)
        if number % _EVERY == 0:
            told(number, done)
        yield line


@contextmanager
def _progress(size: int | None) -> Iterator[Callable[[int, int], None]]:
    """Yield what shows how far it is, on a terminal alone."""
    shown = sys.stderr.isatty()

    def show(events: int, done: int) -> None:
        if shown:
            part = "" if not size else f", {min(100, 100 * done // size)} %"
            print(f"\r\x1b[K{events:,} events{part}", end="", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def _line(judged: "Judged", run: "Backtest") -> dict[str, Any]:
    from gateway.core.decision import instant_text
    from gateway.core.risk_words import words

    event, score = judged.event, judged.score
    return {
        "id": event.id,
        "line": event.number,
        "account": event.account,
        "at": instant_text(event.login.at),
        "phase": judged.phase,
        "score": round(score.total, 4),
        "held": dict(zip((f"{100 * one:g}%" for one in run.budgets), judged.held, strict=False)) or None,
        "terms": [
            {"name": term.name, "value": round(term.value, 4), "words": words(term, event.login)}
            for term in sorted(score.terms, key=lambda term: -term.value)
        ],
        "learning": list(score.learning),
        "rules": judged.rules._asdict(),
        "label": event.label,
    }


def _say(text: str) -> None:
    print(text, file=sys.stderr)
