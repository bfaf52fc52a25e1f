"""`gateway ticket`: work that people owe. One person proposes how a ticket ends, another approves or declines."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from gateway.cli.account import AsJson, Config, Store, Uid, Who, Why, refuse
from gateway.cli.evidence import Files, FilesKey, sealed_files
from gateway.cli.person import TokenFile, as_person, at_desk

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from gateway.adapters.desk_store import DeskStore
    from gateway.core.account import Refused
    from gateway.core.permissions import Person
    from gateway.desk.record import Ticket

app = typer.Typer(
    help="Tickets: list, show, open, attach evidence, propose an end, approve or decline it.", no_args_is_help=True
)
_DEFAULT = Path("gateway.toml")
TicketId = Annotated[str, typer.Argument(metavar="TICKET", help="Such as T-7Q2M4XKDPA.")]
Version = Annotated[
    int | None, typer.Option(min=1, help="The version that `ticket show` showed: nothing unseen is changed.")
]


@app.command("list")
def list_tickets(
    account: Annotated[str | None, typer.Option(help="Of this account.")] = None,
    kind: Annotated[str | None, typer.Option(help="Such as withdrawal_review or appeal.")] = None,
    state: Annotated[str | None, typer.Option(help="open, evidenced, proposed, released, upheld or expired.")] = None,
    closed: Annotated[bool, typer.Option("--all", help="Closed ones too.")] = False,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="What the page before ended with.")] = None,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """List tickets that are open, the newest first.

    Example: gateway ticket list --state evidenced
    """
    from gateway.adapters.clock import SystemClock
    from gateway.adapters.desk_reads import TicketFilter
    from gateway.api.documents import ticket_document
    from gateway.core.errors import SearchError
    from gateway.desk.kinds import TicketKind
    from gateway.desk.lifecycle import TicketState

    for option, value, choices in (("--kind", kind, TicketKind), ("--state", state, TicketState)):
        if value is not None and value not in tuple(map(str, choices)):
            raise typer.BadParameter(f"`{value}` is none of {', '.join(map(str, choices))}", param_hint=option)
    wanted = TicketFilter(account, kind, state, None if closed or state is not None else True)
    try:
        page = at_desk(config, store, lambda desk: desk.tickets(wanted, cursor=cursor, limit=limit))
    except SearchError as fault:
        raise typer.BadParameter(str(fault), param_hint="--cursor") from None
    now = SystemClock().now()
    found = [ticket_document(one, now) for one in page.tickets]
    if as_json:
        print(json.dumps({"tickets": found, "cursor": page.cursor}))
    for one in () if as_json else found:
        late = "  overdue" if one["overdue"] else ""
        print(f"{one['id']}  {one['state']:<9}  {one['kind']}  {one['account']}  {','.join(one['operations'])}{late}")
    if page.cursor is not None and not as_json:
        print(f"Older ones: --cursor {page.cursor}", file=sys.stderr)


@app.command()
def show(ticket: TicketId, config: Config = _DEFAULT, store: Store = None, as_json: AsJson = False) -> None:
    """Show a ticket with its steps. Exit 1 where there is none.

    Example: gateway ticket show T-7Q2M4XKDPA
    """
    from gateway.api.documents import log_document

    found = at_desk(config, store, lambda desk: desk.ticket(ticket))
    if found is None:
        _absent(ticket, as_json)
    steps = at_desk(config, store, lambda desk: desk.log(ticket))
    print_ticket(found, as_json, [log_document(one) for one in steps])


@app.command("open")
def open_ticket(
    uid: Uid,
    who: Who,
    why: Why,
    kind: Annotated[str, typer.Option(help="appeal: to be let back to a wider status; or review.")] = "appeal",
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Open a ticket for a customer. It holds nothing; `gateway hold place` does.

    Example: gateway ticket open alice --kind appeal --why 'she sent her new passport'
    """
    from gateway.api.desk_schemas import OPENED_BY_PEOPLE
    from gateway.core.account import Refused
    from gateway.core.permissions import Person

    found = next((one for one in OPENED_BY_PEOPLE if one == kind), None)
    if found is None:
        raise typer.BadParameter(f"`{kind}` is none of {', '.join(OPENED_BY_PEOPLE)}", param_hint="--kind")
    opened = at_desk(config, store, lambda desk: desk.open(uid, found, Person(who, frozenset()), why), write=True)
    if isinstance(opened, Refused):
        refuse(opened, as_json)
    print_ticket(opened, as_json)


@app.command()
def attach(
    ticket: TicketId,
    file: Annotated[Path, typer.Option(help="A picture or PDF.")],
    kind: Annotated[str, typer.Option(help="What the file is, such as selfie_with_document.")],
    files: Files = None,
    files_key: FilesKey = None,
    token_file: TokenFile = None,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Attach a file to a ticket as evidence. The same again is attached once.

    What an identity provider found comes from the provider alone, signed: no command says it in its place.

    Example: gateway ticket attach T-7Q2M4XKDPA --file selfie.jpg --kind selfie_with_document --token-file my.token
    """
    from gateway.adapters.clock import SystemClock
    from gateway.api.evidence import attach_file
    from gateway.api.problems import ApiProblem
    from gateway.core.account import Refused
    from gateway.core.permissions import Permission, may
    from gateway.desk.refusals import not_allowed

    sealed = sealed_files(config, store, files, files_key)

    async def act(desk: "DeskStore", person: "Person") -> "Ticket | Refused":
        if not may(person, Permission.EVIDENCE_WRITE):
            return not_allowed(Permission.EVIDENCE_WRITE, person)
        known = await desk.ticket(ticket)
        if known is None:
            return Refused("id", f"there is no ticket `{ascii(ticket[:40])[1:-1]}`")
        try:
            return await attach_file(desk, sealed, known, kind, _content(file), "", person.name, SystemClock().now())
        except ApiProblem as problem:
            return Refused("file", str(problem))

    print_ticket(as_person(config, store, token_file, as_json, act), as_json)


@app.command()
def propose(
    ticket: TicketId,
    outcome: Annotated[str, typer.Option(help="release: the customer is right; uphold: the account is restricted.")],
    why: Why,
    to: Annotated[str | None, typer.Option(help="Of the release of an appeal: the status to give.")] = None,
    version: Version = None,
    token_file: TokenFile = None,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Propose how a ticket is to end. Another person must approve it. Exit 1 where it cannot be.

    Example: gateway ticket propose T-7Q2M4XKDPA --outcome release --why 'her selfie' --token-file my.token
    """
    from gateway.core.terms import Status
    from gateway.desk.record import End

    if outcome not in tuple(End):
        raise typer.BadParameter(f"`{outcome}` is none of {', '.join(End)}", param_hint="--outcome")
    if to is not None and to not in tuple(Status):
        raise typer.BadParameter(f"`{to}` is no status", param_hint="--to")
    status = None if to is None else Status(to)

    async def act(desk: "DeskStore", person: "Person") -> "Ticket | Refused":
        return await desk.propose(ticket, person, End(outcome), why, to=status, version=version)

    print_ticket(as_person(config, store, token_file, as_json, act), as_json)


@app.command()
def approve(
    ticket: TicketId,
    why: Why,
    version: Version = None,
    token_file: TokenFile = None,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """End a ticket as another person proposed. Exit 1 where it cannot be, or it was proposed by yourself.

    Example: gateway ticket approve T-7Q2M4XKDPA --version 3 --why 'I see her too' --token-file my.token
    """

    async def act(desk: "DeskStore", person: "Person") -> "Ticket | Refused":
        return await desk.approve(ticket, person, why, version=version)

    print_ticket(as_person(config, store, token_file, as_json, act), as_json)


@app.command()
def decline(
    ticket: TicketId,
    why: Why,
    version: Version = None,
    token_file: TokenFile = None,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Turn down what another person proposed. Exit 1 where it cannot be.

    Example: gateway ticket decline T-7Q2M4XKDPA --why 'the note has no date' --token-file my.token
    """

    async def act(desk: "DeskStore", person: "Person") -> "Ticket | Refused":
        return await desk.decline(ticket, person, why, version=version)

    print_ticket(as_person(config, store, token_file, as_json, act), as_json)


def print_ticket(ticket: "Ticket", as_json: bool, log: list[dict[str, Any]] | None = None) -> None:
    """Print a ticket, and its steps where they are given."""
    from gateway.adapters.clock import SystemClock
    from gateway.api.documents import ticket_document

    document = ticket_document(ticket, SystemClock().now())
    if log is not None:
        document["log"] = log
    if as_json:
        print(json.dumps(document))
        return
    print(
        f"{document['id']}  {document['kind']} of {document['account']}: {document['state']}, version {ticket.version}"
    )
    if document["operations"]:
        until = f" until {document['ends_at'] or 'two people end it'}" if document["closed_at"] is None else ""
        print(f"  {'held' if document['closed_at'] else 'holds'} {', '.join(document['operations'])}{until}")
    if document["missing"]:
        print(f"  needs {', '.join(document['missing'])}")
    for piece in document["evidence"]:
        print(
            f"  has {piece['kind']} by {piece['by']}, {piece['at']}{'' if piece['counts'] else ': counts for nothing'}"
        )
    if (proposed := document["proposal"]) is not None:
        to = f" to {proposed['to']}" if proposed["to"] else ""
        print(f"  {proposed['outcome']}{to} proposed by {proposed['by']}: {proposed['reason']}")
    if document["possible"]:
        print(f"  possible: {', '.join(document['possible'])}")
    for step in log or ():
        print(f"  {step['at']}  {step['act']}  by {step['who']}: {step['why']}")


def _absent(ticket: str, as_json: bool) -> NoReturn:
    from gateway.core.account import Refused

    refuse(Refused("id", f"there is no ticket `{ascii(ticket[:40])[1:-1]}`"), as_json)


async def _content(path: Path) -> "AsyncIterator[bytes]":
    try:
        with path.open("rb") as file:
            while piece := file.read(64 * 1024):
                yield piece
    except OSError as fault:
        raise typer.BadParameter(f"{path}: {fault.strerror}", param_hint="--file") from None
