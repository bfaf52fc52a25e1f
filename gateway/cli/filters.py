"""What the commands on recorded decisions have in common: the filters as options, and who may see what of them."""

import functools
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from gateway.cli.account import refuse, store_of
from gateway.core.errors import SearchError

if TYPE_CHECKING:
    from gateway.adapters.service_tokens import ServiceTokens
    from gateway.app.finding import Found
    from gateway.config import Settings
    from gateway.core.account import Refused
    from gateway.core.decision import Document
    from gateway.core.masking import Reader, Unmasking
    from gateway.core.search import Search

FILTERS: Final[Mapping[str, str]] = {
    "account": "Of this account.",
    "address": "From this address, or from a network such as 203.0.113.0/24.",
    "country": "From this country, or where it may have been this one.",
    "asn": "From this autonomous system, such as AS64500.",
    "operation": "Of this operation; `ambiguous`: what could not be read.",
    "outcome": "allow, challenge or deny.",
    "reason": "With this reason, such as jurisdiction-blocked.",
    "rule": "Determined by this rule, as policy/rule.",
    "bundle": "Decided by the bundle whose digest begins so.",
    "ticket": "Of which the visitor was told this ticket.",
    "trace": "Of which the request said that it was a part of this trace.",
    "since": "Since this instant (RFC 3339), or since 90m, 24h, 7d.",
    "until": "Until this instant, exclusive, or until so long ago.",
}
"""Every field of `core.search.Search`, and what the help says of it."""

Asked = Mapping[str, str]
"""The filters that were given, as texts."""
Unmask = Annotated[
    str | None,
    typer.Option(metavar="WHY", help="Show addresses and documents as they are. The reason is written into the audit."),
]


def with_filters(command: Callable[..., None]) -> Callable[..., None]:
    """Return the command with an option for each filter, which it receives together as `asked`."""

    @functools.wraps(command)
    def wrapped(**options: Any) -> None:  # noqa: ANN401 - whatever the options hold
        asked = {name: options.pop(name) for name in FILTERS}
        command({name: text for name, text in asked.items() if text is not None}, **options)

    own = list(inspect.signature(command).parameters.values())[1:]
    filters = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[str | None, typer.Option(f"--{name}", help=said)],
        )
        for name, said in FILTERS.items()
    ]
    parameters = [*filters, *(one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in own)]
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
    wrapped.__annotations__ = {one.name: one.annotation for one in parameters}
    del wrapped.__wrapped__  # typer would look through to the command itself
    return wrapped


class Reading:
    """One command's reading of the decisions: what is searched for, and what of it may be seen."""

    def __init__(self, settings: "Settings", search: "Search", now: int, *, whole: bool) -> None:
        self.search = search
        self.now = now
        """When the command began, microseconds since the epoch."""
        self._settings = settings
        self._whole = whole

    @asynccontextmanager
    async def found(self) -> "AsyncIterator[Found]":
        """Give the decisions of the configuration."""
        from gateway.app.finding import found_of

        async with found_of(self._settings) as found:
            yield found

    def seen(self, document: "Document") -> "Document":
        """Return what of a decision may be seen."""
        from gateway.core.masking import SEES, Reader, masked

        return document if self._whole else masked(document, SEES[Reader.SUPPORT])


def reading_for(config: Path, asked: Asked, unmask: str | None) -> Reading:
    """Return the reading that the options ask for; an unmasking is written down before. Raise ConfigError."""
    from gateway.adapters.clock import SystemClock
    from gateway.config import load
    from gateway.core.search import read_search

    settings = load(config)
    now = SystemClock().now()
    try:
        search = read_search(asked, now)
    except SearchError as fault:
        raise typer.BadParameter(str(fault)) from None
    if unmask is not None:
        _note(config, unmask, asked)
    return Reading(settings, search, now, whole=unmask is not None)


def leave_for(config: Path, document: "Document", reader: "Reader", why: str) -> "Unmasking | None":
    """Return the leave to see a decision whole, written down before; None where the reader sees all of it anyway.

    Raise BadParameter for a reason that says nothing, ConfigError, StoreUnavailable.
    """
    from gateway.adapters.service_tokens import Unmasked
    from gateway.core.masking import EVERYTHING, SEES

    leave = _leave(document, why)
    account = (document.get("facts") or {}).get("account")
    seen = [Unmasked(leave.decision_id, account if isinstance(account, str) else None)]
    _keep(config, lambda tokens: tokens.note_unmasked(leave.who, leave.why, seen))
    return leave._replace(reader=reader) if EVERYTHING - SEES[reader] else None


def _note(config: Path, why: str, asked: Asked) -> None:
    # The same rule for a reason as everywhere; here it is of a search, and not of one decision.
    leave = _leave({"id": "-"}, why)
    _keep(config, lambda tokens: tokens.note_unmasked_search(leave.who, leave.why, asked))


def _leave(document: "Document", why: str) -> "Unmasking":
    from gateway.adapters.clock import SystemClock
    from gateway.cli.account import os_user
    from gateway.core.errors import MaskingError
    from gateway.core.masking import Reader, unmasking

    try:
        return unmasking(document, Reader.SUPPORT, os_user(), SystemClock().now(), why)
    except MaskingError as fault:
        raise typer.BadParameter(str(fault), param_hint="--unmask") from None


def _keep(config: Path, write: "Callable[[ServiceTokens], Awaitable[Refused | None]]") -> None:
    """Write into the audit of the configured store, or say why nothing may be shown; exit 1."""
    import asyncio

    from gateway.adapters.service_tokens import ServiceTokens

    store = store_of(config, None)

    async def kept() -> "Refused | None":
        try:
            await store.migrate()
            return await write(ServiceTokens(store))
        finally:
            await store.close()

    refused = asyncio.run(kept())
    if refused is not None:
        refuse(refused, as_json=False)
