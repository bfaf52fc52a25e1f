"""The command line: `gateway …`."""

import sys

import typer

from gateway.cli import (
    account,
    alarms,
    config,
    decide,
    decisions,
    evidence,
    exceptions,
    geodb,
    hold,
    outbox,
    policy,
    policy_effect,
    policy_writing,
    publish,
    risk,
    serve,
    simulate,
    synth,
    ticket,
    token,
)
from gateway.core.errors import GatewayError

app = typer.Typer(
    name="gateway",
    help="Decides, for each request, which operations this customer may perform from here, now, and proves later why.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
serve.register(app)
decide.register(app)
app.add_typer(config.app, name="config")
app.add_typer(decisions.app, name="decisions")
app.add_typer(alarms.app, name="alarms")
publish.register(policy.app)
exceptions.register(policy.app)
simulate.register(policy.app)
policy_writing.register(policy.app)
policy_effect.register(policy.app)
app.add_typer(policy.app, name="policy")
app.add_typer(geodb.app, name="geodb")
app.add_typer(account.app, name="account")
app.add_typer(hold.app, name="hold")
app.add_typer(ticket.app, name="ticket")
app.add_typer(evidence.app, name="evidence")
app.add_typer(outbox.app, name="outbox")
app.add_typer(token.app, name="token")
synth.register(risk.app)
app.add_typer(risk.app, name="risk")


def main() -> None:
    """Run the command line. A fault that somebody must mend is one line on stderr and exit code 2."""
    try:
        app()
    except GatewayError as fault:
        print(f"gateway: {fault}", file=sys.stderr)
        sys.exit(2)
