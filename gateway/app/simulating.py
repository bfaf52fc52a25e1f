"""Simulations of one configuration: what its archive and its journal have, under other policies or other editions."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from ipaddress import IPv6Address
from pathlib import Path
from threading import Event
from typing import NamedTuple

from gateway.adapters.archive.alike import HeldMoment
from gateway.adapters.archive.memory import MemoryArchive
from gateway.adapters.follow import Follower
from gateway.adapters.sql import AccountStore
from gateway.app.parts import archive_to_ask, bundle_of, geo_of
from gateway.app.terms import read_pseudonyms
from gateway.config import Settings
from gateway.core.addresses import Nat64, key_of, parse
from gateway.core.alike import Alike
from gateway.core.client_ip import ClientIP, How
from gateway.core.errors import ConfigError, GatewayError
from gateway.core.facts import ACCOUNT_FACTS, CONNECTION_FACTS, AnyFact
from gateway.core.search import is_pseudonym
from gateway.core.terms import Credential, Operation, TokenState
from gateway.policies.compile import Bundle
from gateway.policies.rules import Rule
from gateway.policies.simulate import named
from gateway.policies.simulated import Simulation
from gateway.ports import Identity, Moment, Presented
from gateway.service.gather import Gather
from gateway.service.lookback import Lookback, Row, alone, look_back
from gateway.service.memo import Memo
from gateway.service.simulation import Momentary, Refresh, simulate

_PAIRS = 100_000
"""Addresses, or addresses and accounts, that are remembered."""
_ROLES = ("country", "subdivision", "asn", "anonymizer")


class Window(NamedTuple):
    """Which decisions are weighed: those made from `since` to before `until`, microseconds since the epoch."""

    since: int
    until: int


async def simulated(
    settings: Settings,
    candidate: Bundle,
    window: Window,
    *,
    against: Bundle | None = None,
    editions: Mapping[str, Path] | None = None,
    told: Callable[[int], None] = lambda _: None,
) -> Simulation:
    """Return what the candidate would have answered. Raise GatewayError where what was recorded cannot be read.

    `editions` are databases, by what they are of, that are tried in place of the configured ones. It computes in a
    thread of its own: whoever waits may do other things meanwhile.
    """
    refresh = None if not editions else _by_editions(settings, editions, window.until)
    bundles = [candidate] if against is None else [candidate, against]

    given_up = Event()

    def heard(decisions: int) -> None:
        if given_up.is_set():
            raise GatewayError("nobody waits for this simulation any more")
        told(decisions)

    async def run() -> Simulation:
        async with moments_of(settings) as moments:
            return await simulate(
                moments,
                candidate,
                since=window.since,
                until=window.until,
                against=against,
                digests=digests_of(settings, bundles),
                refresh=refresh,
                told=heard,
            )

    try:
        return await asyncio.to_thread(asyncio.run, run())
    finally:
        # A thread cannot be ended from outside: where the waiting was cut short, it ends by itself.
        given_up.set()


async def looked_back(
    settings: Settings,
    rule: Rule,
    bundle: Bundle,
    window: Window,
    *,
    dated: bool = False,
    write: Callable[[Sequence[Row]], None] | None = None,
) -> Lookback:
    """Return whom the rule would have refused, by the data of that day and by that of now. Raise GatewayError.

    It is taken to be in force all the time, unless it is `dated`. `write` is given each of these decisions.
    """
    store = AccountStore(settings.store.url)
    await store.start()
    try:
        now = _ByNow(settings, store, window.until)
        async with moments_of(settings) as moments:
            digests = digests_of(settings, [alone(rule, bundle)])
            return await look_back(
                moments, rule, bundle, window, now.refresh, digests=digests, write=write, dated=dated
            )
    finally:
        await store.close()


@asynccontextmanager
async def moments_of(settings: Settings) -> AsyncIterator[AsyncIterator[Moment]]:
    """Give all that is recorded: what the journal has beyond the archive, and the archive. Raise StoreUnavailable."""
    archive = archive_to_ask(settings) or MemoryArchive()
    assert isinstance(archive, Momentary)
    await archive.start()
    try:
        async with archive.moment() as moment:
            yield _all(settings.journal.directory, moment)
    finally:
        await archive.close()


async def _all(directory: Path, moment: Moment) -> AsyncIterator[Moment]:
    # The journal first: what is taken meanwhile may be removed from it, and this moment of the archive has none of it.
    untaken = Follower(directory).stretches(dict(moment.taken))
    while (stretch := await asyncio.to_thread(next, untaken, None)) is not None:
        yield HeldMoment.of(stretch)
    yield moment


def digests_of(settings: Settings, bundles: Sequence[Bundle]) -> Mapping[str, str] | None:
    """Return the accounts that rules name, by their digests; None where there is no key of digests."""
    if settings.archive.digest_key is None:
        return None
    pseudonyms = read_pseudonyms(settings.archive.digest_key)
    return {pseudonyms.account(one): one for one in named(bundles)}


def current_of(settings: Settings) -> Bundle:
    """Return the bundle that this configuration decides by. Raise PolicyError."""
    return bundle_of(settings)


def read_editions(texts: Sequence[str]) -> dict[str, Path]:
    """Return databases by what they are of: `FILE` is of countries, else `asn=FILE`. Raise ConfigError."""
    found: dict[str, Path] = {}
    for text in texts:
        role, mark, file = text.partition("=")
        if not mark or role not in _ROLES:
            role, file = "country", text
        if role in found:
            raise ConfigError(f"--edition: `{file}` is a second database of the kind `{role}`; try one at a time")
        found[role] = Path(file).absolute()
    return found


def _with_editions(settings: Settings, editions: Mapping[str, Path]) -> Settings:
    geo = settings.geodb.model_copy(update={role: (str(path),) for role, path in editions.items()})
    return settings.model_copy(update={"geodb": geo})


def _by_editions(settings: Settings, editions: Mapping[str, Path], at: int) -> Refresh:
    """Return what these databases say of each address, and the configured ones of what they are not of."""
    geo, nat64 = geo_of(_with_editions(settings, editions)), Nat64(settings.client_ip.nat64_prefixes)
    known: Memo[bytes, Mapping[str, AnyFact]] = Memo(_PAIRS)

    async def refresh(some: Sequence[Alike]) -> Sequence[Mapping[str, AnyFact] | None]:
        return [None if one.address is None else said(one.address) for one in some]

    def said(address: bytes) -> Mapping[str, AnyFact]:
        there = known.get(address)
        if there is not None:
            return there
        connection = geo.look_up(_key(address, nat64), at)
        return known.keep(address, {name: getattr(connection, name) for name in CONNECTION_FACTS})

    return refresh


def _key(address: bytes, nat64: Nat64) -> str | None:
    parsed = parse(_text(address))
    return None if parsed is None else key_of(parsed, nat64)


def _text(address: bytes) -> str:
    packed = IPv6Address(address)
    return str(packed.ipv4_mapped or packed)


class _SignedIn(NamedTuple):
    """Tokens that say of every credential that it is this account's."""

    account: str | None
    generation: int = 0

    async def check(self, presented: Presented | None, at: int) -> Identity:  # noqa: ARG002 - as the port has it
        if self.account is None:
            return Identity(Credential.NONE, TokenState.ABSENT, None, 0, None, None)
        return Identity(Credential.SESSION, TokenState.VALID, self.account, 1, at, None)


class _ByNow:
    """What is known now of addresses and accounts."""

    def __init__(self, settings: Settings, store: AccountStore, at: int) -> None:
        self._geo, self._store, self._at = geo_of(settings), store, at
        self._nat64 = Nat64(settings.client_ip.nat64_prefixes)
        self._known: Memo[tuple[bytes | None, str | None], Mapping[str, AnyFact]] = Memo(_PAIRS)

    async def refresh(self, some: Sequence[Alike]) -> Sequence[Mapping[str, AnyFact] | None]:
        """Return it of each; what was erased stays as it was."""
        return [await self._said(one) for one in some]

    async def _said(self, one: Alike) -> Mapping[str, AnyFact]:
        pair = (one.address, one.account)
        known = self._known.get(pair)
        return self._known.keep(pair, await self._ask(one)) if known is None else known

    async def _ask(self, one: Alike) -> Mapping[str, AnyFact]:
        account = None if one.account is None or is_pseudonym(one.account) else one.account
        gather = Gather(geo=self._geo, tokens=_SignedIn(account), accounts=self._store)
        text, key = (None, None) if one.address is None else (_text(one.address), _key(one.address, self._nat64))
        came = ClientIP(text, How.PEER, geo_key=key)
        known = (await gather(self._at, Operation.VIEW, came, None, fresh=True)).facts._asdict()
        names = (*(() if one.address is None else CONNECTION_FACTS), *(() if account is None else ACCOUNT_FACTS))
        return {name: known[name] for name in names}
