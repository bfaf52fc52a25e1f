"""`gateway alarms`: what was refused unusually often or seldom, what lasts, and who has seen it."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.account import AsJson, Config, Who, refuse

if TYPE_CHECKING:
    from gateway.adapters.alarms import AlarmFile
    from gateway.core.alarms import KeptAlarm

app = typer.Typer(invoke_without_command=True)
_DEFAULT = Path("gateway.toml")
_ON_THE_LINE = "ParameterSource.COMMANDLINE"


@app.callback()
def list_alarms(
    context: typer.Context,
    lasting: Annotated[bool, typer.Option("--open", help="Only what lasts.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="At most so many.")] = 50,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """List alarms, the newest first: refusals that left their usual band. Exit 1 where there are none.

    Example: gateway alarms --open
    """
    if context.invoked_subcommand is not None:
        given = [name for name in context.params if str(context.get_parameter_source(name)) == _ON_THE_LINE]
        if given:
            raise typer.BadParameter(f"options stand behind `{context.invoked_subcommand}`, where they count")
        return
    alarms = [one for one in reversed(_file(config).read().alarms) if one.ended is None or not lasting][:limit]
    if as_json:
        from gateway.core.alarms import to_json

        for one in alarms:
            print(json.dumps(to_json(one)))
    elif alarms:
        print("\n\n".join(map(_shown, alarms)))
    if not alarms:
        print("There is no alarm.", file=sys.stderr)
        raise typer.Exit(1)


@app.command()
def ack(
    name: Annotated[str, typer.Argument(metavar="ID", help="The alarm, as `gateway alarms` shows it.")],
    who: Who,
    why: Annotated[str, typer.Option("--why", help="Why that is enough: it stands beside the alarm.")],
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Acknowledge an alarm. It lasts as long as it does all the same; the first to do so stays on record.

    Example: gateway alarms ack 20251124T01-country-FR-rose --why 'the list of November, as announced'
    """
    from gateway.adapters.clock import SystemClock
    from gateway.core.account import Refused
    from gateway.core.alarms import to_json

    done = _file(config).acknowledge(name, who, why, SystemClock().now())
    if isinstance(done, Refused):
        refuse(done, as_json)
    print(json.dumps(to_json(done)) if as_json else _shown(done))


def _file(config: Path) -> "AlarmFile":
    from gateway.adapters.alarms import AlarmFile
    from gateway.config import load

    return AlarmFile(load(config).journal.directory)


def _shown(kept: "KeptAlarm") -> str:
    """Return an alarm as text: its id and state, a line for each thing to know, and who has seen it."""
    from gateway.core.decision import instant_text

    state = "open" if kept.ended is None else f"usual again from {instant_text(kept.ended)[:16]}Z"
    lines = [f"{kept.alarm.id}  {state}", *kept.alarm.text().split("; ")]
    if kept.acknowledged is not None:
        seen = kept.acknowledged
        lines.append(f"acknowledged {instant_text(seen.at)[:16]}Z by {seen.who}: {seen.why}")
    return "\n  ".join(lines)
