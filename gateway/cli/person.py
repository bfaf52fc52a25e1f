"""Who acts at the command line: a person by the personal token in a file, and never by what somebody writes.

And what the commands on tickets share: the desk of the configured store, asked for one thing.
"""

import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from gateway.cli.account import ask, os_user, refuse

if TYPE_CHECKING:
    from gateway.adapters.desk_store import DeskStore
    from gateway.adapters.sql import AccountStore
    from gateway.core.account import Refused
    from gateway.core.permissions import Person

T = TypeVar("T")

TokenFile = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        envvar="GATEWAY_TOKEN_FILE",
        help="The file with your personal token, which says who you are.",
    ),
]
_LONGEST = 256


def as_person(
    config: Path,
    url: str | None,
    token_file: Path | None,
    as_json: bool,
    act: "Callable[[DeskStore, Person], Awaitable[T | Refused]]",
) -> T:
    """Return what a person did at the desk; exit 1 where the token is not believed or the step is not made."""
    from gateway.adapters.desk_store import DeskStore

    async def at_their_desk(store: "AccountStore", person: "Person") -> "T | Refused":
        desk = DeskStore(store)
        try:
            return await act(desk, person)
        finally:
            await desk.close()

    return in_store(config, url, token_file, as_json, at_their_desk)


def in_store(
    config: Path,
    url: str | None,
    token_file: Path | None,
    as_json: bool,
    act: "Callable[[AccountStore, Person], Awaitable[T | Refused]]",
) -> T:
    """Return what a person did in the store; exit 1 where the token is not believed or the step is not made."""
    from gateway.core.account import Refused

    text = _read(token_file)

    async def acted(store: "AccountStore") -> "T | Refused":
        person = await _person(store, text)
        return person if isinstance(person, Refused) else await act(store, person)

    done = ask(config, url, acted, write=True)
    if isinstance(done, Refused):
        refuse(done, as_json)
    return done


def at_desk(config: Path, url: str | None, look: "Callable[[DeskStore], Awaitable[T]]", *, write: bool = False) -> T:
    """Return what the desk of the store answers."""
    from gateway.adapters.desk_store import DeskStore

    return ask(config, url, lambda store: look(DeskStore(store)), write=write)


def seen_by_command(
    config: Path,
    url: str | None,
    uid: str,
    why: str | None,
    as_json: bool,
    look: "Callable[[DeskStore], Awaitable[T]]",
) -> T:
    """Return what the desk answers; where it is to be shown whole, that is noted first."""
    from gateway.adapters.desk_store import DeskStore
    from gateway.adapters.service_tokens import ServiceTokens
    from gateway.core.account import Refused

    async def looked(store: "AccountStore") -> "T | Refused":
        if why is not None:
            refused = await ServiceTokens(store).note_seen("timeline.unmask", uid, os_user(), why)
            if refused is not None:
                return refused
        return await look(DeskStore(store))

    found = ask(config, url, looked, write=why is not None)
    if isinstance(found, Refused):
        refuse(found, as_json)
    return found


async def _person(store: "AccountStore", text: str) -> "Person | Refused":
    """Return whose personal token a text is, or why nobody acts by it."""
    from gateway.adapters.service_tokens import ServiceTokens
    from gateway.core.account import Refused
    from gateway.core.permissions import Person

    token = await ServiceTokens(store).check(text, store.clock.now())
    if token is None:
        return Refused("token", "this token is none, has expired, or was revoked; `gateway token list` shows which")
    if not isinstance(token.identity, Person):
        return Refused("token", f"token {token.token_id} is a program's: a person acts by a personal token")
    return token.identity


def _read(path: Path | None) -> str:
    """Return the text of a token file. Raise BadParameter where it cannot be one, or others may read it."""
    if path is None:
        raise typer.BadParameter(
            "say who you are: the file of your personal token, which `gateway token create --person` makes",
            param_hint="--token-file",
        )
    try:
        with path.open("rb") as file:
            mode, content = path.stat().st_mode, file.read(_LONGEST + 1)
    except OSError as fault:
        raise typer.BadParameter(f"{path}: {fault.strerror}", param_hint="--token-file") from None
    if stat.S_ISREG(mode) and mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise typer.BadParameter(
            f"{path}: others may use it, and so act as you; `chmod 600 {path}`", param_hint="--token-file"
        )
    return content.decode("ascii", "replace").strip()
