"""What a run prints: ratios first, then the absolute figures that they come from, then the targets."""

import os
import platform
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version

from benchmarks.ratios import Round, Spread, Turn, added_cpu, added_cpu_ratio, cpu_ratio, of, rate_ratio

BASE = "bare"
CEILING = "canned"
COMPILED = "gateway-compiled"
"""What a wheel or an image runs, under uvicorn as it is."""
EMBEDDED = "gateway-embedded"
"""The same under uvicorn with the gateway's protocol, as the documentation recommends."""
BARE_EMBEDDED = "bare-embedded"
"""The app with nothing in front of it, under that protocol."""
NEED_COMPILER = frozenset({COMPILED, EMBEDDED, BARE_EMBEDDED})
JUDGED = (EMBEDDED, COMPILED, "gateway")
"""The targets are about the first of these that was measured."""
PEERS = ("straightforward", "fastapi-guard")
"""What the gateway must be eight times as fast as. fastapi-guard's pure ASGI middleware is measured beside its
documented one, without a target: the bare app itself is only some five times as fast."""
DISTRIBUTIONS = (
    "uvicorn",
    "uvloop",
    "httptools",
    "starlette",
    "PyJWT",
    "geoip2",
    "maxminddb",
    "fastapi-guard",
    "guard-core",
)
TITLES = ("of bare, req/s", "of bare, by CPU", "CPU µs added", "it is faster by", "adds less CPU by")
WIDTH = 21
BUSY = 0.9
HEADROOM = 2.0


@dataclass(frozen=True)
class Result:
    """Everything that a run measured, and under what conditions."""

    rounds: Sequence[Round]
    ceiling: Turn
    """A server of one fixed answer: how fast the load generator can go."""
    load: str
    connections: int
    customers: int
    cores: tuple[int, int] | None
    seconds: float
    varying: bool = False
    """Whether each request had headers that no other one had."""
    left_out: Sequence[str] = ()
    """What was not measured, and why, in words."""


@dataclass(frozen=True)
class Target:
    """One promise, and what was measured of it."""

    promise: str
    measured: float
    met: bool


def text(result: Result) -> str:
    """Return the tables for a terminal."""
    apps = list(result.rounds[0])
    lines = [
        f"Ratios within a round: median (least to most) of {len(result.rounds)} rounds, turns of {result.seconds:g} s.",
        _conditions(result),
        "",
        f"{'':20}" + "".join(f"{title:>{WIDTH}}" for title in TITLES),
        *(_ratio_row(result.rounds, app) for app in apps),
        f"The last two columns and the targets are about `{judged(result.rounds)}`.",
        *_under_the_same_protocol(result.rounds),
        "",
        "The figures that the ratios come from (they are this machine's, today's: do not quote them)",
        f"{'':20}{'req/s':>10}{'CPU µs':>10}{'p50 ms':>10}{'p99 ms':>10}{'busy':>8}",
        *(_figure_row(result.rounds, app) for app in apps),
        _figure_row([{CEILING: result.ceiling}], CEILING),
        "",
        *(
            f"{'met   ' if target.met else 'MISSED'}  {target.promise}: {target.measured:.3g}"
            for target in targets(result)
        ),
        *(f"note    {note}" for note in notes(result)),
    ]
    return "\n".join(lines)


def document(result: Result) -> dict[str, object]:
    """Return everything, for machines."""
    return {
        "conditions": {
            "load": result.load,
            "connections": result.connections,
            "customers": result.customers,
            "varying": result.varying,
            "cores": result.cores,
            "seconds": result.seconds,
            "python": platform.python_version(),
            "machine": platform.machine(),
            "processors": os.cpu_count(),
            "versions": _versions(),
        },
        "ratios": {
            app: {
                "rate_of_bare": _plain(rate_ratio(result.rounds, app, BASE)),
                "cpu_of_bare": _plain(cpu_ratio(result.rounds, BASE, app)),
                "cpu_us_added": _plain(added_cpu(result.rounds, app, BASE)),
                "gateway_times_as_fast": _plain(rate_ratio(result.rounds, judged(result.rounds), app)),
                "gateway_times_less_added_cpu": _plain(
                    added_cpu_ratio(result.rounds, app, judged(result.rounds), BASE)
                ),
            }
            for app in result.rounds[0]
        },
        "judged": judged(result.rounds),
        "targets": [asdict(target) for target in targets(result)],
        "notes": notes(result),
        "rounds": [{app: _turn(turn) for app, turn in one.items()} for one in result.rounds],
        "ceiling": _turn(result.ceiling),
    }


def targets(result: Result) -> list[Target]:
    """Return the promises that this run can judge. A ratio counts by requests or by CPU time, whichever is less."""
    found: list[Target] = []
    app = judged(result.rounds)
    kept = _lesser(result.rounds, app, BASE)
    if kept is not None:
        found.append(Target(f"`{app}` keeps at least 0.80 of bare", kept, kept >= 0.80))
    added = added_cpu(result.rounds, app, BASE)
    if added is not None:
        found.append(Target(f"`{app}` adds at most 12 CPU µs per request", added.median, added.median <= 12))
    for peer in PEERS:
        faster = _lesser(result.rounds, app, peer)
        if faster is not None:
            found.append(Target(f"`{app}` is at least 8 times as fast as {peer}", faster, faster >= 8))
    return found


def judged(rounds: Sequence[Round]) -> str:
    """Return the app that the promises are about: the gateway as shipped and recommended, where it was measured."""
    return next((app for app in JUDGED if app in rounds[0]), "gateway")


def _lesser(rounds: Sequence[Round], app: str, to: str) -> float | None:
    """Return the ratio of rates, or of CPU times where that is less: others on the core flatter one of the two."""
    ratios = [rate_ratio(rounds, app, to), cpu_ratio(rounds, to, app)]
    return min((one.median for one in ratios if one is not None), default=None)


def notes(result: Result) -> list[str]:
    """Return what makes these figures doubtful, in words."""
    found: list[str] = list(result.left_out)
    if result.cores is None:
        found.append("server and load share their cores: the ratios understate what the server does")
    fastest = max(turn.rate for one in result.rounds for turn in one.values())
    headroom = result.ceiling.rate / fastest
    if headroom < HEADROOM:
        found.append(
            f"the load generator can go only {headroom:.2g} times as fast as the fastest server: it may be the limit"
        )
    for app in result.rounds[0]:
        busy = of(result.rounds, app, lambda turn: turn.busy)
        if busy is not None and busy.median < BUSY:
            found.append(f"`{app}` computed only {busy.median:.0%} of the time: something else was the limit")
    kept = rate_ratio(result.rounds, judged(result.rounds), BASE)
    if kept is not None and kept.most - kept.least > 0.15:
        found.append("the rounds disagree by more than 0.15 of bare: the machine is busy with something else")
    return found


def _conditions(result: Result) -> str:
    where = (
        f"server on core {result.cores[0]}, load on core {result.cores[1]}" if result.cores else "not pinned to cores"
    )
    return (
        f"{result.load}, {result.connections} keep-alive connections, {result.customers:,} customers "
        f"(address and token), {'requests that all differ, ' if result.varying else ''}{where}, "
        f"CPython {platform.python_version()}."
    )


def _ratio_row(rounds: Sequence[Round], app: str) -> str:
    ours = judged(rounds)
    compared = app not in {BASE, ours}
    cells = (
        _cell(rate_ratio(rounds, app, BASE), 2),
        _cell(cpu_ratio(rounds, BASE, app), 2),
        _cell(added_cpu(rounds, app, BASE), 1),
        _cell(rate_ratio(rounds, ours, app) if compared else None, 1),
        _cell(added_cpu_ratio(rounds, app, ours, BASE) if compared else None, 1),
    )
    return f"{app:20}{''.join(cells)}".rstrip()


def _figure_row(rounds: Sequence[Round], app: str) -> str:
    figures = [
        of(rounds, app, lambda turn: turn.rate),
        of(rounds, app, lambda turn: turn.cpu_us),
        of(rounds, app, lambda turn: turn.load.p50_ms),
        of(rounds, app, lambda turn: turn.load.p99_ms),
        of(rounds, app, lambda turn: turn.busy),
    ]
    shown = [
        "-" if one is None else f"{one.median:,.{places}f}"
        for one, places in zip(figures, (0, 1, 2, 2, 2), strict=True)
    ]
    return f"{app:20}" + "".join(f"{one:>{width}}" for one, width in zip(shown, (10, 10, 10, 10, 8), strict=True))


def _under_the_same_protocol(rounds: Sequence[Round]) -> Iterator[str]:
    """Yield what the gateway costs where its protocol serves the bare app as well: less of it pays for the rest."""
    kept, added = rate_ratio(rounds, EMBEDDED, BARE_EMBEDDED), added_cpu(rounds, EMBEDDED, BARE_EMBEDDED)
    if kept is not None and added is not None:
        share, more = _cell(kept, 2).strip(), _cell(added, 1).strip()
        yield f"Of `{BARE_EMBEDDED}`, `{EMBEDDED}` keeps {share} and adds {more} CPU µs."


def _cell(value: Spread | None, places: int) -> str:
    if value is None:
        return " " * WIDTH
    return f"{value.median:.{places}f} ({value.least:.{places}f}..{value.most:.{places}f})".rjust(WIDTH)


def _turn(turn: Turn) -> dict[str, object]:
    return {**asdict(turn.load), "rate": turn.rate, "cpu_us": turn.cpu_us, "busy": turn.busy}


def _plain(value: Spread | None) -> dict[str, float] | None:
    return None if value is None else asdict(value)


def _versions() -> dict[str, str]:
    def installed() -> Iterator[tuple[str, str]]:
        for name in DISTRIBUTIONS:
            try:
                yield name, version(name)
            except PackageNotFoundError:
                continue

    return dict(installed())
