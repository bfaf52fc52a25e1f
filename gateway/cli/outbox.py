"""`gateway outbox`: what the exchange was told, is still to be told, and what was given up on."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli.account import AsJson, Config, Store, Who, Why, ask, refuse

if TYPE_CHECKING:
    from gateway.core.decision import Document

app = typer.Typer(help="Messages to the exchange: list, show, try a parked one again.", no_args_is_help=True)
_DEFAULT = Path("gateway.toml")
MessageId = Annotated[str, typer.Argument(metavar="MESSAGE", help="The id that `outbox list` shows.")]


@app.command("list")
def list_messages(
    account: Annotated[str | None, typer.Option(help="Of this account.")] = None,
    kind: Annotated[str | None, typer.Option("--type", help="Of this type, such as hold.placed.")] = None,
    state: Annotated[str | None, typer.Option(help="pending, delivered or parked.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="What the page before ended with.")] = None,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """List messages, the newest first.

    Example: gateway outbox list --state parked
    """
    from gateway.adapters.outbox_rows import Sending
    from gateway.adapters.outbox_store import OutboxFilter, OutboxStore
    from gateway.api.documents import message_document
    from gateway.core.errors import SearchError

    if state is not None and state not in tuple(Sending):
        raise typer.BadParameter(f"`{state}` is none of {', '.join(Sending)}", param_hint="--state")
    wanted = OutboxFilter(account, kind, state)
    try:
        page = ask(config, store, lambda book: OutboxStore(book).rows(wanted, cursor=cursor, limit=limit))
    except SearchError as fault:
        raise typer.BadParameter(str(fault), param_hint="--cursor") from None
    found = [message_document(one) for one in page.rows]
    if as_json:
        print(json.dumps({"messages": found, "cursor": page.cursor}))
    for one in () if as_json else found:
        print(_line(one))
    if page.cursor is not None and not as_json:
        print(f"Older ones: --cursor {page.cursor}", file=sys.stderr)


@app.command()
def show(message: MessageId, config: Config = _DEFAULT, store: Store = None, as_json: AsJson = False) -> None:
    """Show one message with what it tells. Exit 1 where there is none.

    Example: gateway outbox show msg_4f1c09ab77de
    """
    from gateway.adapters.outbox_store import OutboxStore
    from gateway.api.documents import message_document
    from gateway.core.account import Refused

    row = ask(config, store, lambda book: OutboxStore(book).row(message))
    if row is None:
        refuse(Refused("id", f"there is no message `{ascii(message[:64])[1:-1]}` in the Outbox"), as_json)
    document = message_document(row)
    if as_json:
        print(json.dumps(document))
        return
    print(_line(document))
    print(f"  data: {json.dumps(document['data'], ensure_ascii=False)}")
    for name in ("created_at", "next_try_at", "delivered_at", "last_error"):
        if document[name] is not None:
            print(f"  {name}: {document[name]}")


@app.command()
def retry(
    message: MessageId,
    who: Who,
    why: Why,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Try a message again that was given up on. Exit 1 where it was not.

    Example: gateway outbox retry msg_4f1c09ab77de --why 'the receiver is back'
    """
    from gateway.adapters.outbox_store import OutboxStore
    from gateway.api.documents import message_document
    from gateway.core.account import Refused

    row = ask(config, store, lambda book: OutboxStore(book).retry(message, who=who, why=why), write=True)
    if isinstance(row, Refused):
        refuse(row, as_json)
    print(json.dumps(message_document(row)) if as_json else _line(message_document(row)))


def _line(one: "Document") -> str:
    return f"{one['id']}  {one['state']:<9}  {one['type']}  {one['account']}  tries {one['tries']}"
