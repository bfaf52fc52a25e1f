"""`gateway policy exceptions`: who is spared which rules, by whose leave, and until when."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.findings import instant_of, refuse
from gateway.cli.policy import DEFAULT, AsJson, At, Config, Paths, read

if TYPE_CHECKING:
    from gateway.policies.rules import PolicyException


def register(app: typer.Typer) -> None:
    """Add the command of this module to `app`."""
    app.command()(exceptions)


def exceptions(
    paths: Paths = None,
    config: Config = DEFAULT,
    expiring: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Only those in force that end within this time, such as 14d."),
    ] = None,
    at: At = None,
    as_json: AsJson = False,
) -> None:
    """List the exceptions to rules, the next to end first: what each lifts, for whom, who answers for it, days left.

    With --expiring, exit 1 where there is one.

    Example: gateway policy exceptions --expiring 14d
    """
    from gateway.policies import excepting
    from gateway.policies.bundle import assemble
    from gateway.policies.findings import Rejected
    from gateway.policies.times import meant_duration, seconds

    within = None if expiring is None else seconds(expiring)
    if expiring is not None and within is None:
        message = f"`{expiring}` is no length of time such as `14d` or `48h`{meant_duration(expiring)}"
        raise typer.BadParameter(message, param_hint="--expiring")
    now = instant_of(at)
    try:
        texts, supplied = read(paths, config)
        found = assemble(texts, sources_configured=supplied).exceptions
    except Rejected as rejected:
        refuse(rejected.findings, as_json=as_json)
    if within is None:
        chosen = sorted(found, key=lambda one: (one.end <= now, one.end, one.name))
    else:
        chosen = excepting.expiring(found, now, within * 1_000_000)
    rows = [_row(one, now) for one in chosen]
    if as_json:
        print(json.dumps({"exceptions": rows}, indent=2))
    else:
        _print(rows, none="there are no exceptions" if within is None else f"no exception ends within {expiring}")
    if within is not None and rows:
        raise typer.Exit(1)


def _row(one: "PolicyException", now: int) -> dict[str, Any]:
    from gateway.core.decision import instant_text
    from gateway.policies.excepting import days_left, standing

    return {
        "exception": one.name,
        "state": str(standing(one, now)),
        "days_left": days_left(one, now),
        "from": instant_text(one.start),
        "until": instant_text(one.end),
        "owner": one.owner,
        "approved_by": one.approved_by,
        "operations": sorted(one.operations),
        "for": one.when_text,
        "lifts": ["/".join(ref) for ref in one.lifts],
        "reason": one.reason,
        "basis": one.basis,
        "file": one.place.file,
        "line": one.place.line,
    }


def _print(rows: Sequence[Mapping[str, Any]], *, none: str) -> None:
    if not rows:
        print(none)
    for row in rows:
        days = row["days_left"]
        left = f", {days} {'day' if days == 1 else 'days'} left" if row["state"] == "in force" else ""
        approved = f", approved by {row['approved_by']}" if row["approved_by"] is not None else ""
        print(f"{row['exception']}: {row['state']}{left} ({row['file']}:{row['line']})")
        print(f"  {', '.join(row['operations'])} where {row['for']}, from {row['from']} until {row['until']}")
        print(f"  lifts {', '.join(row['lifts'])}; owner {row['owner']}{approved}")
        print(f"  {row['reason']} ({row['basis']})")
