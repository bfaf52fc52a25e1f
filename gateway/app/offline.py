"""Deciding without serving: the whole line over requests that somebody wrote down. Nothing is recorded."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple
from uuid import UUID

import orjson

from gateway.adapters.clock import SystemClock
from gateway.adapters.revocations import RevocationStore
from gateway.adapters.sql import AccountStore
from gateway.app.measuring import hold_line_of, profiles_of, risk_of, withdrawals_of, withdrawn_today_of
from gateway.app.parts import bundle_of, geo_of, keys_of, reader_of, tokens_of
from gateway.config import Settings
from gateway.core.countries import CONTINENT_OF
from gateway.core.decision import decision_document, instant_text, parse_instant, request_line
from gateway.core.errors import ConfigError
from gateway.core.facts import OneOf, Unknown
from gateway.core.request import AccessRequest
from gateway.core.terms import Credential, TokenState, WhyUnknown
from gateway.ports import Clock, Connection, Geo, Identity, Presented, Ruling, Tokens
from gateway.service.gather import Gather
from gateway.service.pipeline import Line

_KEYS = ("peer", "method", "target", "headers", "at", "websocket")
_DEFAULT_HOST = (b"host", b"localhost")


class WhatIf(NamedTuple):
    """What is supposed in place of what the request says."""

    country: str | None = None
    account: str | None = None
    bundle: tuple[str, ...] = ()


async def decide_offline(
    settings: Settings, requests: Iterable[AccessRequest], write: Callable[[bytes], object], what_if: WhatIf
) -> None:
    """Decide each request by the configured bundle, databases and store, and write its Decision as one JSON line.

    Raise GatewayError where the settings cannot work.
    """
    clock = SystemClock()
    if what_if.country is not None and what_if.country not in CONTINENT_OF:
        raise ConfigError(f"--country: `{what_if.country}` is not a country code of ISO 3166-1, such as `DE`")
    store = AccountStore(settings.store.url)
    keys = keys_of(settings, clock)
    geo: Geo = geo_of(settings)
    tokens: Tokens = tokens_of(settings, keys, store.key_owner)
    profiles, hold_line = profiles_of(settings, store), hold_line_of(settings, store)
    sheet = _Sheet()
    line = Line(
        reader=reader_of(settings),
        gather=Gather(
            geo=geo if what_if.country is None else _Elsewhere(geo, what_if.country),
            tokens=tokens if what_if.account is None else _SignedIn(what_if.account),
            accounts=store,
            revocations=RevocationStore(store),
            risk=risk_of(settings, profiles, hold_line),
            withdrawn_today=withdrawn_today_of(settings, store),
        ),
        bundle=bundle_of(settings, what_if.bundle),
        journal=sheet,
        clock=clock,
        withdrawals=withdrawals_of(settings),
    )
    await store.start()
    try:
        if profiles is not None:
            await profiles.start()
        if hold_line is not None:
            # Once, with nothing counted: what is decided here is recorded nowhere.
            await hold_line.look()
        if keys is not None:
            await keys.start()
        for request in requests:
            # The request's own instant may be years away: what deciding took is measured apart from it.
            begun = clock.now()
            if line.recall(request) is None:
                await line.decide(request)
            write(sheet.line(clock.now() - begun))
    finally:
        if keys is not None:
            await keys.close()
        if profiles is not None:
            await profiles.close()
        await store.close()


def read_request(text: bytes, clock: Clock, at: str | None = None) -> AccessRequest:
    """Return the request that one NDJSON line describes. Raise ValueError saying what is wrong with it."""
    document = orjson.loads(text)
    if not isinstance(document, Mapping):
        raise ValueError('a request is an object such as {"peer": "8.8.8.8", "method": "GET", "target": "/"}')  # noqa: TRY004
    unknown = next((key for key in document if key not in _KEYS), None)
    if unknown is not None:
        raise ValueError(f"unknown key `{unknown}`; a request has {', '.join(_KEYS)}")
    pairs = document.get("headers", [])
    if not isinstance(pairs, list):
        raise ValueError(f"`headers` is {pairs!r}; it must be a list of [name, value] pairs")  # noqa: TRY004
    headers = [_header(pair) for pair in pairs]
    if not any(name == b"host" for name, _ in headers):
        headers.insert(0, _DEFAULT_HOST)
    peer = document.get("peer")
    path, _, query = _text(document, "target", "/").encode("utf-8").partition(b"?")
    return AccessRequest(
        _instant(document.get("at") if at is None else at, clock),
        None if peer is None else _text(document, "peer", ""),
        _text(document, "method", "GET"),
        path,
        headers,
        query,
        document.get("websocket", False) is True,
    )


def _text(document: Mapping[str, Any], key: str, default: str) -> str:
    value = document.get(key, default)
    if not isinstance(value, str):
        raise ValueError(f"`{key}` is {value!r}; it must be text")  # noqa: TRY004 - one error for a line
    return value


def _header(pair: Any) -> tuple[bytes, bytes]:  # noqa: ANN401 - whatever the line holds
    match pair:
        case [str() as name, str() as value]:
            try:
                return name.lower().encode("latin-1"), value.encode("latin-1")
            except UnicodeEncodeError:
                raise ValueError(f"`headers` holds {pair!r}; a header has the characters of Latin-1 only") from None
        case _:
            raise ValueError(f"`headers` holds {pair!r}; each header is a [name, value] pair of texts")


def _instant(at: object, clock: Clock) -> int:
    match at:
        case None:
            return clock.now()
        case bool():
            pass
        case int():
            try:
                instant_text(at)
            except OverflowError:
                raise ValueError(f"`at` is {at}; an instant lies between the years 1 and 9999") from None
            return at
        case str():
            return parse_instant(at)
        case _:
            pass
    raise ValueError(f"`at` is {at!r}; write an RFC 3339 instant, or microseconds since the epoch")


class _Sheet:
    """A journal of one line, which is read before the next is written."""

    def __init__(self) -> None:
        self._last: tuple[Ruling, bytes, int, int | None, bytes] | None = None

    def append(  # noqa: PLR0917 - the port's shape
        self,
        ruling: Ruling,
        decision_id: bytes,
        at: int,
        auth_age: int | None,
        took_us: int,  # noqa: ARG002 - the port's shape; measured apart
        request: bytes,
    ) -> int:
        self._last = (ruling, decision_id, at, auth_age, request)
        return 0

    async def durable(self, position: int) -> None:
        assert position == 0

    def line(self, took_us: int) -> bytes:
        """Return the decision that was appended last."""
        assert self._last is not None
        ruling, raw_id, at, auth_age, request = self._last
        document = decision_document(
            {} if auth_age is None else orjson.loads(ruling.document),
            decision_id=str(UUID(bytes=raw_id)),
            at=instant_text(at),
            request=request_line(request),
            took_us=took_us,
            auth_age=auth_age,
        )
        if auth_age is not None:
            return orjson.dumps(document)
        # Spliced, not parsed: the ruling is a JSON object already, and most of the record.
        del document["took_us"]
        return b'%b,%b,"took_us":%d}' % (orjson.dumps(document)[:-1], ruling.document[1:-1], took_us)


class _Elsewhere:
    """The configured databases, except that every address lies in one country."""

    def __init__(self, geo: Geo, country: str) -> None:
        self._geo = geo
        self._country = country

    @property
    def generation(self) -> int:
        return self._geo.generation

    @property
    def editions(self) -> tuple[str, ...]:
        return (*self._geo.editions, f"supposed: {self._country}")

    def look_up(self, geo_key: str | None, at: int) -> Connection:
        connection = self._geo.look_up(geo_key, at)
        return connection._replace(
            place=None,
            country=self._country,
            continent=CONTINENT_OF[self._country],
            subdivision=OneOf(WhyUnknown.NOT_SUPPLIED, frozenset(), frozenset({f"{self._country}-"})),
            network=frozenset() if isinstance(connection.network, Unknown) else connection.network,
        )


class _SignedIn:
    """Whoever asks is one account, and has just proved it with two factors."""

    generation = 0

    def __init__(self, uid: str) -> None:
        self._uid = uid

    async def check(self, presented: Presented | None, at: int) -> Identity:  # noqa: ARG002 - the port's shape
        return Identity(Credential.SESSION, TokenState.VALID, self._uid, 2, at, None)
