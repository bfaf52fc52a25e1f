"""`gateway hold`: what is held of accounts, and why; a hold placed by hand."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.account import AsJson, Config, Store, Uid, Who, Why, refuse
from gateway.cli.person import at_desk

if TYPE_CHECKING:
    from gateway.desk.record import Ticket

app = typer.Typer(
    help="Holds on accounts: list, show, place. Two people end one: `gateway ticket`.", no_args_is_help=True
)
_DEFAULT = Path("gateway.toml")
_HOUR_US = 3_600_000_000


@app.command("list")
def list_holds(
    account: Annotated[str | None, typer.Option(help="Of this account.")] = None,
    operation: Annotated[str | None, typer.Option(help="That hold this operation, such as withdraw.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many tickets are looked at.")] = 100,
    cursor: Annotated[str | None, typer.Option(help="What the page before ended with.")] = None,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """List the holds that stand, the newest first.

    Example: gateway hold list --account alice
    """
    from gateway.adapters.clock import SystemClock
    from gateway.adapters.desk_reads import TicketFilter
    from gateway.api.documents import hold_document
    from gateway.api.tickets import stands

    wanted = TicketFilter(account, is_open=True, holds=None if operation is None else _operation(operation))
    page = at_desk(config, store, lambda desk: desk.tickets(wanted, cursor=cursor, limit=limit))
    now = SystemClock().now()
    holds = [hold_document(one) for one in page.tickets if stands(one, now)]
    if as_json:
        print(json.dumps({"holds": holds, "cursor": page.cursor}))
    for one in () if as_json else holds:
        print(_line(one))


@app.command()
def show(uid: Uid, config: Config = _DEFAULT, store: Store = None, as_json: AsJson = False) -> None:
    """Show what is held of an account, and for which tickets. Exit 1 where nothing is.

    Example: gateway hold show alice
    """
    from gateway.adapters.account_book import absent
    from gateway.adapters.clock import SystemClock
    from gateway.adapters.desk_reads import MOST, TicketFilter
    from gateway.api.documents import hold_document
    from gateway.api.tickets import stands
    from gateway.cli.account import ask

    account = ask(config, store, lambda book: book.read(uid))
    if account is None:
        refuse(absent(uid), as_json)
    page = at_desk(config, store, lambda desk: desk.tickets(TicketFilter(uid, is_open=True), limit=MOST))
    now = SystemClock().now()
    holds = [hold_document(one) for one in page.tickets if stands(one, now)]
    operations = sorted(map(str, account.holds))
    if as_json:
        print(json.dumps({"account": uid, "operations": operations, "holds": holds}))
    else:
        print(f"{uid}: {', '.join(operations) or 'nothing'} held")
        for one in holds:
            print(f"  {_line(one)}")
    if not operations:
        raise typer.Exit(1)


@app.command()
def place(
    uid: Uid,
    operation: Annotated[list[str], typer.Option(help="What to hold, such as withdraw; may be repeated.")],
    who: Who,
    why: Why,
    hours: Annotated[
        int | None, typer.Option(min=1, max=8784, help="For how long; else until two people end it.")
    ] = None,
    kind: Annotated[
        str, typer.Option(help="review, withdrawal_review or unfamiliar_login: what is asked for.")
    ] = "review",
    evidence: Annotated[list[str] | None, typer.Option(help="Evidence that is asked for besides; repeatable.")] = None,
    expeditable: Annotated[
        bool, typer.Option("--expeditable/--not-expeditable", help="Whether two people may end it before.")
    ] = True,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Hold operations of an account, and open the ticket that two people must close.

    Example: gateway hold place alice --operation withdraw --hours 72 --kind withdrawal_review --why 'she called us'
    """
    from gateway.api.desk_schemas import HELD_BY_PEOPLE
    from gateway.api.tickets import no_kind
    from gateway.cli.ticket import print_ticket
    from gateway.core.account import Refused
    from gateway.core.permissions import Person

    found = next((one for one in HELD_BY_PEOPLE if one == kind), None)
    if found is None:
        raise typer.BadParameter(f"`{kind}` is none of {', '.join(HELD_BY_PEOPLE)}", param_hint="--kind")
    if hours is None and not expeditable:
        raise typer.BadParameter("say --hours too, or nobody could ever end it", param_hint="--not-expeditable")
    strange = no_kind(evidence or ())
    if strange is not None:
        raise typer.BadParameter(strange, param_hint="--evidence")
    operations = [_operation(name) for name in operation]
    placed: Ticket | Refused = at_desk(
        config,
        store,
        lambda desk: desk.open(
            uid,
            found,
            Person(who, frozenset()),
            why,
            operations=operations,
            length=None if hours is None else hours * _HOUR_US,
            expeditable=expeditable,
            evidence=evidence or (),
        ),
        write=True,
    )
    if isinstance(placed, Refused):
        refuse(placed, as_json)
    print_ticket(placed, as_json)


def _operation(name: str) -> Any:  # noqa: ANN401 - of an enum that is imported where it is needed
    from gateway.core.terms import Operation

    if name not in tuple(Operation):
        raise typer.BadParameter(f"`{name}` is none of {', '.join(Operation)}", param_hint="--operation")
    return Operation(name)


def _line(hold: dict[str, Any]) -> str:
    until = hold["ends_at"] or "two people end it"
    missing = f"  needs {', '.join(hold['missing'])}" if hold["missing"] else ""
    return (
        f"{hold['ticket']}  {hold['account']}  {','.join(hold['operations'])}  until {until}  {hold['state']}{missing}"
    )
