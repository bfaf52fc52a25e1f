"""`gateway token`: make, list and revoke the tokens that open the admin API, each with who and why."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer

from gateway.cli.account import AsJson, Config, Store, Who, Why, refuse, store_of

if TYPE_CHECKING:
    from gateway.adapters.service_tokens import NewToken, ServiceTokens
    from gateway.core.account import Refused
    from gateway.core.service_token import ServiceToken

T = TypeVar("T")

app = typer.Typer(help="Tokens of the admin API: create, list, revoke.", no_args_is_help=True)
_DEFAULT = Path("gateway.toml")


@app.command()
def create(
    who: Who,
    why: Why,
    label: Annotated[str | None, typer.Option(help="Which program uses it.")] = None,
    scope: Annotated[
        list[str] | None, typer.Option(help="What it opens for a program, such as decisions:read; may be repeated.")
    ] = None,
    person: Annotated[str | None, typer.Option(help="Whose personal token it is, in place of a label.")] = None,
    role: Annotated[
        list[str] | None,
        typer.Option(help="viewer, auditor, support, editor, approver or admin, of a person; may be repeated."),
    ] = None,
    days: Annotated[int, typer.Option(help="For how many days it holds, 366 at most.")] = 90,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and print it. It is kept nowhere and cannot be shown again.

    A program's has scopes, and a person's has roles: only people propose and approve. The example makes a program's;
    `--person 'Ann Lee' --role approver` makes a person's.

    Example: gateway token create --label 'support desk' --scope decisions:read --why 'asked for in TICKET-9'
    """
    from gateway.core.account import Refused

    if person is not None and scope:
        raise typer.BadParameter("a person has roles and no scopes", param_hint="--scope")
    if person is None and (role or label is None or not scope):
        raise typer.BadParameter("say --label and --scope for a program, or --person and --role for a person")

    def make(tokens: "ServiceTokens") -> "Awaitable[NewToken | Refused]":
        if person is None:
            return tokens.create(label=label or "", scopes=scope or (), days=days, who=who, why=why)
        return tokens.create_personal(
            person=person, roles=role or (), days=days, who=who, why=why, label=label or "personal"
        )

    made = _ask(config, store, make, write=True)
    if isinstance(made, Refused):
        refuse(made, as_json)
    if as_json:
        print(json.dumps({"token": made.text, **_plain(made.token)}))
        return
    print(made.text)
    print(f"Token {made.token.token_id}. Keep it now: it cannot be shown again.", file=sys.stderr)


@app.command("list")
def list_tokens(config: Config = _DEFAULT, store: Store = None, as_json: AsJson = False) -> None:
    """List the tokens, the newest first, revoked and expired ones too.

    Example: gateway token list
    """
    from gateway.adapters.clock import SystemClock

    found = _ask(config, store, lambda tokens: tokens.tokens())
    now = SystemClock().now()
    if as_json:
        print(json.dumps([{**_plain(token), "state": token.state(now)} for token in found]))
    for token in () if as_json else found:
        until = _instant(token.expires_at)[:10]
        opens = ",".join(sorted(token.scopes if token.person is None else token.roles))
        print(f"{token.token_id}  {token.state(now):<7}  until {until}  {opens}  {token.person or token.label}")


@app.command()
def revoke(
    token_id: Annotated[str, typer.Argument(metavar="TOKEN", help="The id that `token list` shows.")],
    who: Who,
    why: Why,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Revoke a token, for good; it opens nothing from that moment on. Exit 1 where there is none.

    Example: gateway token revoke 5f1c09ab77de --why 'its owner has left'
    """
    from gateway.core.account import Refused

    done = _ask(config, store, lambda tokens: tokens.revoke(token_id, who=who, why=why), write=True)
    if isinstance(done, Refused):
        refuse(done, as_json)
    assert done.revoked_at is not None
    print(json.dumps(_plain(done)) if as_json else f"{done.token_id}  revoked {_instant(done.revoked_at)}")


def _ask(config: Path, url: str | None, ask: "Callable[[ServiceTokens], Awaitable[T]]", *, write: bool = False) -> T:
    from gateway.adapters.service_tokens import ServiceTokens

    store = store_of(config, url)

    async def asked() -> T:
        try:
            if write or store.is_there():
                await store.migrate()
            return await ask(ServiceTokens(store))
        finally:
            await store.close()

    return asyncio.run(asked())


def _plain(token: "ServiceToken") -> dict[str, Any]:
    return {
        "token_id": token.token_id,
        "label": token.label,
        "scopes": sorted(token.scopes),
        "person": token.person,
        "roles": sorted(token.roles),
        "created_by": token.created_by,
        "created_at": _instant(token.created_at),
        "expires_at": _instant(token.expires_at),
        "revoked_at": None if token.revoked_at is None else _instant(token.revoked_at),
    }


def _instant(at: int) -> str:
    from gateway.core.decision import instant_text

    return instant_text(at)
