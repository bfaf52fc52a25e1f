"""`gateway decisions erase`: replace a customer's personal data in recorded decisions by digests, for good."""

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gateway.cli import logs
from gateway.cli.account import AsJson, Config, Who, Why, refuse, store_of

if TYPE_CHECKING:
    from gateway.app.erasing import Erased
    from gateway.core.account import Refused
    from gateway.ports import Erasing

_DEFAULT = Path("gateway.toml")


def erase(
    why: Why,
    who: Who,
    account: Annotated[str | None, typer.Option(help="Of this account.")] = None,
    address: Annotated[str | None, typer.Option(help="Of whatever this one address was held responsible for.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask whether it is meant.")] = False,
    config: Config = _DEFAULT,
    as_json: AsJson = False,
) -> None:
    """Erase the personal data in all decisions of one account or address that the archive has.

    Account and address become digests, path and user agent nothing; verdicts stay. It cannot be undone. With the key of
    `[archive] digest_key`, a search by the account still finds its decisions.

    Example: gateway decisions erase --account bob --why 'TICKET-4711: asked to be forgotten'
    """
    logs.to_stderr()
    erasing = _erasing(account, address)
    if not yes:
        typer.confirm(
            f"Erase the personal data in every archived decision of {account or address}? It cannot be undone.",
            abort=True,
            err=True,
        )
    done = asyncio.run(_erase(config, erasing, who, why))
    from gateway.core.account import Refused

    if isinstance(done, Refused):
        refuse(done, as_json)
    print(json.dumps(done.to_json()) if as_json else _told(done))
    if done.waiting:
        print(
            f"Not in the archive yet, which will take them as they are: {_many(done.waiting)}. Run the same command "
            "again when they are there.",
            file=sys.stderr,
        )


def _erasing(account: str | None, address: str | None) -> "Erasing":
    from gateway.core.addresses import canonical
    from gateway.ports import Erasing

    if (account is None) == (address is None):
        raise typer.BadParameter("say whose: one of --account and --address")
    if address is None:
        if not account:
            raise typer.BadParameter("it is empty", param_hint="--account")
        return Erasing(account=account)
    plain = canonical(address)
    if plain is None:
        raise typer.BadParameter(f"`{address}` is not one address such as 203.0.113.7", param_hint="--address")
    return Erasing(address=plain)


async def _erase(config: Path, erasing: "Erasing", who: str, why: str) -> "Erased | Refused":
    from gateway.app import erasing as app
    from gateway.config import load

    store = store_of(config, None)
    try:
        await store.migrate()
        return await app.erase(load(config), store, erasing, who=who, why=why)
    finally:
        await store.close()


def _told(done: "Erased") -> str:
    days, rest = divmod(done.journal_keeps_s, 86_400)
    kept = f"{days} days" if days and not rest else f"{done.journal_keeps_s // 3600} hours"
    return (
        f"Changed in the archive, and now without personal data: {_many(done.decisions)}.\n"
        "The journal, which is sealed and cannot be changed, still has them as they were: each of its segments stays "
        f"until {kept} after the latest decision in it. What was exported or sent to sinks is theirs to erase."
    )


def _many(number: int) -> str:
    return f"{number} decision{'' if number == 1 else 's'}"
