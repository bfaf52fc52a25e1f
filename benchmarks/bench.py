"""The whole comparison: the same app bare, behind the gateway and behind the alternatives, interleaved, as ratios.

    ./run bench                       about four minutes
    ./run bench --quick               a look, half a minute: not to be quoted
    ./run bench --json > result.json
    ./run bench --varying             no request is the same as another
    ./run bench --check               exit 1 when a target is missed

Example: python -m benchmarks.bench --rounds 9 --apps bare gateway
"""

import argparse
import dataclasses
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import hatch_build
from benchmarks import answers, report, traffic
from benchmarks.load import generator, wire
from benchmarks.load.generator import Generator
from benchmarks.ratios import Load, Round, Turn
from benchmarks.report import CEILING, NEED_COMPILER
from benchmarks.serve import APPS
from benchmarks.servers import Server, running
from benchmarks.world import ROOT, World, build, on_disk

WARM_S = 1
"""Seconds of load before each turn that are not counted: connections, caches of the processor, a server just woken."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """How much is measured."""

    rounds: int
    seconds: float
    customers: int
    limit_s: float
    """No new round begins after so many seconds."""


QUICK = Plan(rounds=2, seconds=1, customers=1_000, limit_s=60)
FULL = Plan(rounds=7, seconds=2, customers=2_000, limit_s=300)


class Rig:
    """The world, the load and the requests of one run."""

    def __init__(self, world: World, load: Generator, seconds: float, *, varying: bool = False) -> None:
        self.world = world
        self.load = load
        self.seconds = seconds
        self._timed = world.folder / "timed.requests"
        self._first = world.folder / "first.requests"
        timed = traffic.timed(world.customers)
        wire.write(self._timed, traffic.varied(timed) if varying else timed)
        wire.write(self._first, traffic.once(world.customers))

    def greet(self, server: Server) -> None:
        """Send every request once and check a sample of answers, so that the rounds measure warm servers."""
        server.wake()
        answers.check(server, traffic.probes(self.world))
        _must_be_right(server, generator.once(server.port, self._first))
        server.sleep()

    def round(self, servers: dict[str, Server], number: int) -> Round:
        """Return one turn of every server, each checked for right answers before the next one's begins."""
        turns: dict[str, Turn] = {}
        probes = traffic.probes(self.world, seed=number)
        for app, server in servers.items():
            _say(f"round {number + 1}: {app}")
            server.wake()
            self.load.drive(server.port, self._timed, WARM_S, number * 977)
            turns[app] = self.turn(server, number * 1_009)
            answers.check(server, probes)
            server.sleep()
        return turns

    def turn(self, server: Server, start: int = 0) -> Turn:
        """Return what one server did under load, beginning with request number `start`."""
        server.wake()
        before = server.cpu_s()
        seen = self.load.drive(server.port, self._timed, self.seconds, start)
        after = server.cpu_s()
        _must_be_right(server, seen)
        return Turn(seen, None if before is None or after is None else after - before)


def measure(
    apps: Sequence[str],
    plan: Plan,
    load: Generator,
    world: World,
    cores: tuple[int, int] | None,
    *,
    varying: bool = False,
) -> report.Result:
    """Return the rounds of a whole run. Where nothing can be compiled, that is left out, and the result says so.

    `varying`: no request is the same as another.
    """
    compiled: Path | None = None
    left_out: list[str] = []
    if not NEED_COMPILER.isdisjoint(apps):
        missing = hatch_build.lacking()
        if missing is None:
            _say("compiling")
            compiled = world.folder / "compiled"
            hatch_build.compiled(ROOT, compiled)
        else:
            without = [app for app in apps if app in NEED_COMPILER]
            apps = [app for app in apps if app not in NEED_COMPILER]
            left_out.extend(f"`{app}` was left out: {missing}" for app in without)
    rig = Rig(world, load, plan.seconds, varying=varying)
    began = time.monotonic()
    rounds: list[Round] = []
    with running([*apps, CEILING], world, cores[0] if cores else None, compiled) as servers:
        ceiling = rig.turn(servers[CEILING])
        servers.pop(CEILING).stop()
        for server in servers.values():
            _say(f"first requests: {server.app}")
            rig.greet(server)
        for number in range(plan.rounds):
            if rounds and time.monotonic() - began > plan.limit_s:
                _say(f"stopping after {len(rounds)} rounds: {plan.limit_s:.0f} s are over\n")
                break
            rounds.append(rig.round(servers, number))
    return report.Result(
        rounds=rounds,
        ceiling=ceiling,
        load=load.name,
        connections=generator.CONNECTIONS,
        customers=len(world.customers),
        cores=cores,
        seconds=plan.seconds,
        varying=varying,
        left_out=left_out,
    )


def _must_be_right(server: Server, seen: Load) -> None:
    server.check_alive()
    if seen.wrong or not seen.requests:
        raise SystemExit(
            f"benchmark: `{server.app}` answered {seen.wrong} of {seen.requests} requests wrongly or not at all, "
            f"where all are allowed: {server.tail()}"
        )


def _say(text: str) -> None:
    if sys.stderr.isatty():
        print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)


def _cores() -> tuple[int, int] | None:
    """Return one core for the servers and one for the load, or None where processes cannot be pinned to two."""
    if not hasattr(os, "sched_setaffinity"):
        return None
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[1]) if len(usable) > 1 else None


def main() -> int:
    """Run, print, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="two short rounds: a look, not a result")
    parser.add_argument("--json", action="store_true", help="everything measured, as one JSON document")
    parser.add_argument("--check", action="store_true", help="exit 1 when a target is missed")
    parser.add_argument("--apps", nargs="+", choices=list(APPS), default=list(APPS), help="bare is always measured")
    parser.add_argument("--load", choices=["any", "wrk", "own"], default="any", help="the load generator")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--seconds", type=float, help="of each turn (wrk takes whole ones)")
    parser.add_argument("--customers", type=int, help="distinct addresses and tokens")
    parser.add_argument(
        "--varying", action="store_true", help="each request has an X-Request-Id and a trace of its own"
    )
    given = parser.parse_args()
    plan = QUICK if given.quick else FULL
    asked = {name: getattr(given, name) for name in ("rounds", "seconds", "customers")}
    plan = dataclasses.replace(plan, **{name: value for name, value in asked.items() if value is not None})
    apps = list(dict.fromkeys(["bare", *given.apps]))
    cores = _cores()
    if cores is not None:
        # The load generators inherit it; the servers choose their own.
        os.sched_setaffinity(0, {cores[1]})
    with tempfile.TemporaryDirectory(prefix="gateway-bench-", dir=on_disk()) as folder:
        _say("making addresses, tokens and policies")
        world = build(Path(folder), customers=plan.customers)
        result = measure(apps, plan, generator.choose(given.load), world, cores, varying=given.varying)
    _say("")
    print(json.dumps(report.document(result), indent=2) if given.json else report.text(result))
    return 1 if given.check and not all(target.met for target in report.targets(result)) else 0


if __name__ == "__main__":
    sys.exit(main())
