"""`gateway account`: look at customers' accounts and change them, each change with who and why."""

import asyncio
import json
import os
import pwd
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn, TypeVar

import typer

if TYPE_CHECKING:
    from gateway.adapters.account_book import ApiKey, AuditEntry
    from gateway.adapters.sql import AccountStore
    from gateway.core.account import Account, Refused

T = TypeVar("T")

app = typer.Typer(help="Customers' accounts: show them, change them, say who did and why.", no_args_is_help=True)
key = typer.Typer(help="API keys of an account: add, revoke, list.", no_args_is_help=True)
app.add_typer(key, name="key")


def os_user() -> str:
    """Return the name of the user who runs the command, from the system's own list and not from the environment."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return f"uid {os.getuid()}"


_DEFAULT = Path("gateway.toml")
Config = Annotated[Path, typer.Option("--config", "-c", envvar="GATEWAY_CONFIG", help="The configuration file.")]
Store = Annotated[
    str | None, typer.Option("--store", help="The store itself, sqlite:///PATH, in place of a configuration.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Uid = Annotated[str, typer.Argument(metavar="UID", help="The account.")]
Why = Annotated[str, typer.Option("--why", help="Why: it stands in the audit for good.")]
Who = Annotated[
    str, typer.Option("--who", default_factory=os_user, show_default="your user name", help="Who answers for it.")
]


@app.command()
def show(uid: Uid, config: Config = _DEFAULT, store: Store = None, as_json: AsJson = False) -> None:
    """Show an account as the gateway knows it. Exit 1 where there is none.

    Example: gateway account show alice
    """
    account = ask(config, store, lambda book: book.read(uid))
    if account is None:
        from gateway.adapters.account_book import absent

        refuse(absent(uid), as_json)
    _print_account(account, as_json)


@app.command("list")
def list_accounts(
    after: Annotated[str, typer.Option(help="Begin behind this account: the last one of the page before.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """List accounts by name, a page at a time.

    Example: gateway account list --limit 20 --after alice
    """
    accounts = ask(config, store, lambda book: book.accounts(after, limit))
    if as_json:
        print(json.dumps([_plain(account) for account in accounts]))
        return
    for account in accounts:
        marks = " ".join(sorted(account.flags))
        print(f"{account.uid}  {account.status}  {account.verification}  {_codes(account.documents)}  {marks}".rstrip())


@app.command("set")
def set_fields(
    uid: Uid,
    who: Who,
    why: Why,
    status: Annotated[str | None, typer.Option(help="open, exit_only, flagged, restricted or archived.")] = None,
    evidence: Annotated[str | None, typer.Option(help="The ticket or document that `archived` rests on.")] = None,
    verification: Annotated[str | None, typer.Option(help="none, basic, full or institutional.")] = None,
    documents: Annotated[str | None, typer.Option(help="Countries of the documents, such as PT,ES; `none`.")] = None,
    residence: Annotated[str | None, typer.Option(help="The country of residence; `none`.")] = None,
    nationality: Annotated[str | None, typer.Option(help="The nationality; `none`.")] = None,
    create: Annotated[bool, typer.Option("--create", help="Make the account where there is none.")] = False,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Change an account: all that is said, or nothing. Exit 1 where it may not be, saying what may.

    A status only narrows so. A wider one takes two people: `gateway ticket open UID --kind appeal`.

    Example: gateway account set alice --status flagged --why 'three logins from Ohio'
    """
    from gateway.core import account as rules

    asked: list[Callable[[Account], Account | Refused]] = []
    if status is not None:
        by = rules.Author.COMPLIANCE
        asked.append(lambda one: rules.set_status(one, status, by=by, evidence=evidence))
    if verification is not None:
        asked.append(lambda one: rules.set_verification(one, verification))
    if documents is not None:
        papers = [] if documents == "none" else [code.strip() for code in documents.split(",")]
        asked.append(lambda one: rules.set_documents(one, papers))
    if residence is not None:
        asked.append(lambda one: rules.set_residence(one, None if residence == "none" else residence))
    if nationality is not None:
        asked.append(lambda one: rules.set_nationality(one, None if nationality == "none" else nationality))
    if not asked and not create:
        raise typer.BadParameter(
            "say what to change: --status, --verification, --documents, --residence, --nationality"
        )
    step = rules.steps(*asked)
    _change(
        config, store, as_json, lambda book: book.change(uid, step, create=create, evidence=evidence, who=who, why=why)
    )


@app.command()
def flag(
    uid: Uid,
    name: Annotated[str, typer.Argument(metavar="FLAG", help="Such as us-documents.")],
    who: Who,
    why: Why,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Put a flag on an account.

    Example: gateway account flag bob us-documents --why 'passport scan'
    """
    _change(config, store, as_json, lambda book: book.add_flag(uid, name, who=who, why=why))


@app.command()
def unflag(
    uid: Uid,
    name: Annotated[str, typer.Argument(metavar="FLAG", help="A flag that is on the account.")],
    who: Who,
    why: Why,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Take a flag off an account. Exit 1 where it is not on it.

    Example: gateway account unflag bob us-documents --why 'not his passport'
    """
    _change(config, store, as_json, lambda book: book.remove_flag(uid, name, who=who, why=why))


@app.command()
def history(
    uid: Uid,
    limit: Annotated[int, typer.Option(min=1, max=10_000, help="At most so many.")] = 100,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Show what was changed on an account, by whom and why, newest first. Exit 1 where nothing ever was.

    Example: gateway account history bob
    """
    entries = ask(config, store, lambda book: book.history(uid, limit))
    if as_json:
        print(json.dumps([_entry(entry) for entry in entries]))
    for entry in () if as_json else entries:
        print(f"{_instant(entry.at)}  {entry.action}  by {entry.who}: {entry.why}")
        for name, value in entry.after.items():
            before = f"{_shown(entry.before[name])} -> " if name in entry.before else ""
            print(f"  {name}: {before}{_shown(value)}")
    if not entries:
        raise typer.Exit(1)


@app.command()
def timeline(
    uid: Uid,
    limit: Annotated[int, typer.Option(min=1, max=500, help="At most so many.")] = 50,
    cursor: Annotated[str | None, typer.Option(help="What the page before ended with.")] = None,
    unmask: Annotated[
        str | None, typer.Option(metavar="WHY", help="Show addresses and devices too; who and why are noted.")
    ] = None,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Show what happened to an account: changes, events, steps of tickets, the newest first. Exit 1 where nothing did.

    Example: gateway account timeline alice --limit 20
    """
    from gateway.api.documents import moment_document
    from gateway.cli.person import seen_by_command

    page = seen_by_command(
        config, store, uid, unmask, as_json, lambda desk: desk.timeline(uid, cursor=cursor, limit=limit)
    )
    moments = [moment_document(one, whole=unmask is not None) for one in page.moments]
    if as_json:
        print(json.dumps({"moments": moments, "cursor": page.cursor}))
    for one in () if as_json else moments:
        why = f": {one['why']}" if one["why"] else ""
        print(f"{one['at']}  {one['what']}  by {one['who']}{why}")
        for name, value in one["details"].items():
            print(f"  {name}: {_shown(value)}")
    if page.cursor is not None and not as_json:
        print(f"Older ones: --cursor {page.cursor}", file=sys.stderr)
    if not moments:
        raise typer.Exit(1)


@key.command("add")
def key_add(
    uid: Uid,
    label: Annotated[str, typer.Option(help="What the key is for.")],
    who: Who,
    why: Why,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Make an API key and print its secret, which is kept nowhere and cannot be shown again.

    Example: gateway account key add alice --label 'trading bot' --why 'asked for in TICKET-9'
    """
    from gateway.core.account import Refused

    made = ask(config, store, lambda book: book.add_key(uid, label=label, who=who, why=why), write=True)
    if isinstance(made, Refused):
        refuse(made, as_json)
    if as_json:
        print(json.dumps({"secret": made.secret, **_key(made.key)}))
        return
    print(made.secret)
    print(f"Key {made.key.key_id}. Keep the secret now: it cannot be shown again.", file=sys.stderr)


@key.command("revoke")
def key_revoke(
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="The id that `key list` shows.")],
    who: Who,
    why: Why,
    config: Config = _DEFAULT,
    store: Store = None,
    as_json: AsJson = False,
) -> None:
    """Revoke an API key, for good.

    Example: gateway account key revoke 2408e5fee7bbdd41 --why 'found in a public repository'
    """
    from gateway.core.account import Refused

    revoked = ask(config, store, lambda book: book.revoke_key(key_id, who=who, why=why), write=True)
    if isinstance(revoked, Refused):
        refuse(revoked, as_json)
    print(json.dumps(_key(revoked)) if as_json else _key_line(revoked))


@key.command("list")
def key_list(uid: Uid, config: Config = _DEFAULT, store: Store = None, as_json: AsJson = False) -> None:
    """List the API keys of an account, revoked ones too.

    Example: gateway account key list alice
    """
    keys = ask(config, store, lambda book: book.keys(uid))
    if as_json:
        print(json.dumps([_key(one) for one in keys]))
    for one in () if as_json else keys:
        print(_key_line(one))


def ask(config: Path, url: str | None, question: "Callable[[AccountStore], Awaitable[T]]", *, write: bool = False) -> T:
    """Return the answer of the configured store. A file that is not there is made only to be written to."""
    book = store_of(config, url)

    async def asked() -> T:
        try:
            if write or book.is_there():
                await book.migrate()
            return await question(book)
        finally:
            await book.close()

    return asyncio.run(asked())


def store_of(config: Path, url: str | None) -> "AccountStore":
    """Return the store at `url`, or of the configuration where that is None. Raise ConfigError."""
    from gateway.adapters.sql import AccountStore

    if url is None:
        from gateway.config import load

        url = load(config).store.url
    # Nobody's request waits for this: a busy machine may take its time.
    return AccountStore(url, read_within_s=5.0, write_within_s=10.0)


def _change(
    config: Path, url: str | None, as_json: bool, change: "Callable[[AccountStore], Awaitable[Account | Refused]]"
) -> None:
    from gateway.core.account import Refused

    result = ask(config, url, change, write=True)
    if isinstance(result, Refused):
        refuse(result, as_json)
    _print_account(result, as_json)


def refuse(refused: "Refused", as_json: bool) -> NoReturn:
    """Say why a change is not made, and what could be asked for instead; exit 1."""
    if as_json:
        print(json.dumps({"refused": refused.what, "message": refused.message, "allowed": list(refused.allowed)}))
    else:
        allowed = f" (allowed: {', '.join(refused.allowed)})" if refused.allowed else ""
        print(f"gateway: {refused.message}{allowed}", file=sys.stderr)
    raise typer.Exit(1)


def _print_account(account: "Account", as_json: bool) -> None:
    if as_json:
        print(json.dumps(_plain(account)))
        return
    print(account.uid)
    for name, value in account._asdict().items():
        if name != "uid":
            print(f"  {name:<13} {_codes(value) if isinstance(value, frozenset) else value or '-'}")


def _plain(account: "Account") -> dict[str, Any]:
    fields = account._asdict().items()
    return {name: sorted(value) if isinstance(value, frozenset) else value for name, value in fields}


def _codes(values: frozenset[str]) -> str:
    return ",".join(sorted(values)) or "-"


def _shown(value: object) -> str:
    return json.dumps(value, ensure_ascii=False) if value is not None else "-"


def _entry(entry: "AuditEntry") -> dict[str, Any]:
    return {**entry._asdict(), "at": _instant(entry.at)}


def _key(one: "ApiKey") -> dict[str, Any]:
    revoked = None if one.revoked_at is None else _instant(one.revoked_at)
    return {**one._asdict(), "created_at": _instant(one.created_at), "revoked_at": revoked}


def _key_line(one: "ApiKey") -> str:
    until = "" if one.revoked_at is None else f", revoked {_instant(one.revoked_at)}"
    return f"{one.key_id}  {one.label}  made {_instant(one.created_at)}{until}"


def _instant(at: int) -> str:
    from gateway.core.decision import instant_text

    return instant_text(at)
