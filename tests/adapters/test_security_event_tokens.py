"""Security Event Tokens: each kind changes what it is about, once, and whatever is forged changes nothing."""

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jwt
import pytest
import sqlalchemy as sa
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from jwt.algorithms import ECAlgorithm, RSAAlgorithm

from gateway.adapters.desk_store import DeskStore
from gateway.adapters.event_book import EventBook
from gateway.adapters.jwks import read_key_set, secret_key_set
from gateway.adapters.jws import KeySet
from gateway.adapters.keys import FixedKeys
from gateway.adapters.once import OnceStore
from gateway.adapters.security_event_tokens import (
    MAX_BYTES,
    MEDIA_TYPE,
    REPLY_HEADERS,
    Checked,
    Err,
    Refused,
    SetIssuer,
    SetReceiver,
    issuer_of,
)
from gateway.adapters.sql import AccountStore
from gateway.core.errors import ConfigError, StoreUnavailable
from gateway.core.events import AssuranceChanged, Event, EventProblem, SessionRevoked, VerificationChanged
from gateway.core.login import Digests
from gateway.core.security_events import CAEP, SSF, Transmitter
from gateway.desk.kinds import TicketKind
from gateway.ports import Taken, Taking
from tests.adapters.sinks.rig import Taken as Asked
from tests.adapters.sinks.rig import service
from tests.stores import SetClock, opened

NOW = 1_795_284_000_000_000
SECONDS = NOW // 1_000_000
ISSUER = "https://idp.example"
EC = ec.generate_private_key(ec.SECP256R1())
OTHER = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)
PUBLISHED = json.dumps(
    {
        "keys": [
            {**json.loads(ECAlgorithm.to_jwk(EC.public_key())), "kid": "es", "alg": "ES256"},
            {**json.loads(RSAAlgorithm.to_jwk(RSA.public_key())), "kid": "rs", "alg": "RS256"},
        ]
    }
).encode()
KEYS = read_key_set(PUBLISHED, ("ES256", "RS256"), "test")


class Clock:
    def __init__(self) -> None:
        self.at = NOW

    def now(self) -> int:
        return self.at


class Book:
    """Takes events, each id once, as the port describes it."""

    def __init__(self) -> None:
        self.all: dict[str, tuple[Event, str]] = {}
        self.away = False
        self.problem: EventProblem | None = None
        self.asked = 0

    async def take(self, events: Sequence[Event], source: str) -> tuple[Taken, ...]:
        self.asked += 1
        if self.away:
            raise StoreUnavailable("the store did not answer")
        if self.problem is not None:
            return tuple(Taken(Taking.PROBLEM, self.problem) for _ in events)
        found = []
        for event in events:
            found.append(Taken(Taking.REPEATED if event.id in self.all else Taking.TAKEN))
            self.all.setdefault(event.id, (event, source))
        return tuple(found)

    def events(self) -> list[Any]:
        return [event for event, _ in self.all.values()]


class Names:
    """Remembers names, as the port describes it."""

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], int] = {}
        self.away = False

    async def seen(self, issuer: str, name: str) -> bool:
        return (issuer, name) in self.known

    async def first(self, issuer: str, name: str, until: int) -> bool:
        if self.away:
            raise StoreUnavailable("the store did not answer")
        return self.known.setdefault((issuer, name), until) == until


class Desk:
    """A receiver with everything around it."""

    def __init__(self, *, keys: KeySet = KEYS, max_age_s: int = 3600) -> None:
        self.clock, self.book, self.names = Clock(), Book(), Names()
        transmitter = Transmitter(ISSUER, max_age=max_age_s * 1_000_000)
        issuer = SetIssuer(transmitter, "gateway", FixedKeys(keys))
        self.receiver = SetReceiver([issuer], events=self.book, seen=self.names, clock=self.clock)

    async def receive(self, token: bytes, content_type: str | None = MEDIA_TYPE) -> Checked | Refused:
        return await self.receiver.receive(token, content_type)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def claims(kind: str = f"{CAEP}session-revoked", payload: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    found = {
        "iss": ISSUER, "jti": "j-1", "iat": SECONDS, "aud": "gateway",
        "sub_id": {"format": "opaque", "id": "alice"}, "events": {kind: payload or {}}, **more,
    }  # fmt: skip
    return {name: value for name, value in found.items() if value is not ...}


def signed(content: dict[str, Any], key: Any = EC, algorithm: str = "ES256", **header: Any) -> bytes:
    first = {"typ": "secevent+jwt", "kid": "es", **header}
    return jwt.encode(content, key, algorithm, headers={k: v for k, v in first.items() if v is not ...}).encode()


def by_hand(header: dict[str, Any], content: dict[str, Any], signature: bytes = b"") -> bytes:
    parts = (json.dumps(header).encode(), json.dumps(content).encode(), signature)
    return b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)


@pytest.mark.parametrize(
    ("kind", "payload", "event"),
    [
        ("session-revoked", {}, SessionRevoked),
        ("credential-change", {"credential_type": "password", "change_type": "update"}, VerificationChanged),
        ("assurance-level-change", {"current_level": "nist-aal1", "namespace": "NIST-AAL"}, AssuranceChanged),
    ],
)
async def test_each_kind_of_a_signed_token_is_taken(
    desk: Desk, kind: str, payload: dict[str, Any], event: type[Event]
) -> None:
    answer = await desk.receive(signed(claims(f"{CAEP}{kind}", payload)))
    assert isinstance(answer, Checked)
    assert not answer.repeated
    ((taken, source),) = desk.book.all.values()
    assert isinstance(taken, event)
    assert (taken.account, taken.at, source) == ("alice", NOW, f"set:{ISSUER}")


async def test_any_published_key_will_do_and_the_audience_may_be_a_list(desk: Desk) -> None:
    content = claims(aud=["other", "gateway"])
    assert isinstance(await desk.receive(signed(content, RSA, "RS256", kid="rs")), Checked)
    assert isinstance(await desk.receive(signed(claims(jti="j-2"), typ="application/SecEvent+JWT")), Checked)
    assert isinstance(await desk.receive(signed(claims(jti="j-3")), f"{MEDIA_TYPE}; charset=utf-8"), Checked)


async def test_a_token_that_comes_again_is_answered_alike_and_changes_nothing(desk: Desk) -> None:
    token = signed(claims())
    await desk.receive(token)
    again = await desk.receive(token)
    assert isinstance(again, Checked)
    assert again.repeated
    assert len(desk.book.all) == 1
    other = await desk.receive(signed(claims(events={f"{CAEP}assurance-level-change": {"current_level": "1"}})))
    assert isinstance(other, Checked)
    assert other.repeated, "another event under the same name is a repeat, too"
    assert desk.book.asked == 1
    assert len(desk.book.all) == 1


async def test_a_token_whose_name_could_not_be_noted_is_taken_again_without_a_second_effect(desk: Desk) -> None:
    desk.names.away = True
    with pytest.raises(StoreUnavailable):
        await desk.receive(signed(claims()))
    desk.names.away = False
    assert isinstance(await desk.receive(signed(claims())), Checked)
    assert len(desk.book.all) == 1


async def test_a_store_that_is_away_loses_no_token(desk: Desk) -> None:
    desk.book.away = True
    with pytest.raises(StoreUnavailable):
        await desk.receive(signed(claims()))
    assert not desk.names.known
    desk.book.away = False
    assert isinstance(await desk.receive(signed(claims())), Checked)
    assert len(desk.book.all) == 1


async def test_a_name_is_remembered_until_its_token_would_be_stale(desk: Desk) -> None:
    await desk.receive(signed(claims(iat=SECONDS + 299)))
    (until,) = desk.names.known.values()
    desk.clock.at = until
    late = await desk.receiver.check(signed(claims(jti="j-2", iat=SECONDS + 299)), MEDIA_TYPE)
    assert isinstance(late, Refused)
    assert "stale" in late.description


async def test_a_token_that_only_tests_the_stream_tells_nothing(desk: Desk) -> None:
    answer = await desk.receive(signed(claims(f"{SSF}verification", {"state": "x"})))
    assert isinstance(answer, Checked)
    assert not desk.book.all


PUBLIC_PEM = EC.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
GOOD = signed(claims())
HEAD, PAYLOAD, SIGNATURE = GOOD.split(b".")


def flipped(part: bytes) -> bytes:
    return part[:5] + (b"A" if part[5:6] != b"A" else b"B") + part[6:]


def hmac_with_public_key() -> bytes:
    """The classic confusion: the published key used as if it were a shared secret."""
    import hashlib
    import hmac

    unsigned = by_hand({"alg": "HS256", "kid": "es", "typ": "secevent+jwt"}, claims()).rpartition(b".")[0]
    mac = hmac.digest(PUBLIC_PEM, unsigned, hashlib.sha256)
    return unsigned + b"." + base64.urlsafe_b64encode(mac).rstrip(b"=")


@pytest.mark.parametrize(
    ("token", "err"),
    [
        (signed(claims(), OTHER), Err.AUTHENTICATION_FAILED),
        (b".".join((HEAD, PAYLOAD, flipped(SIGNATURE))), Err.AUTHENTICATION_FAILED),
        (b".".join((HEAD, signed(claims(sub_id={"format": "opaque", "id": "bob"})).split(b".")[1], SIGNATURE)),
         Err.AUTHENTICATION_FAILED),
        (b".".join((HEAD, PAYLOAD, b"")), Err.AUTHENTICATION_FAILED),
        (by_hand({"alg": "none", "typ": "secevent+jwt"}, claims()), Err.INVALID_KEY),
        (by_hand({"alg": "none", "kid": "es", "typ": "secevent+jwt"}, claims()), Err.INVALID_KEY),
        (hmac_with_public_key(), Err.INVALID_KEY),
        (signed(claims(), kid="unknown"), Err.INVALID_KEY),
        (signed(claims(), kid=...), Err.INVALID_KEY),
        (signed(claims(), kid="rs"), Err.INVALID_KEY),
        (signed(claims(iss="https://other.example")), Err.INVALID_ISSUER),
        (signed(claims(iss=...)), Err.INVALID_ISSUER),
        (signed(claims(iss=f"{ISSUER}/")), Err.INVALID_ISSUER),
        (signed(claims(aud="other")), Err.INVALID_AUDIENCE),
        (signed(claims(aud=...)), Err.INVALID_AUDIENCE),
        (signed(claims(aud=["gateway"] * 17)), Err.INVALID_AUDIENCE),
        (signed(claims(), typ="JWT"), Err.INVALID_REQUEST),
        (signed(claims(), typ="at+jwt"), Err.INVALID_REQUEST),
        (by_hand({"alg": "ES256", "kid": "es"}, claims()), Err.INVALID_REQUEST),
        (signed(claims(), jku="https://evil.example/keys"), Err.INVALID_REQUEST),
        (signed(claims(), crit=["exp"]), Err.INVALID_REQUEST),
        (signed(claims(exp=SECONDS - 61)), Err.INVALID_REQUEST),
        (signed(claims(nbf=SECONDS + 61)), Err.INVALID_REQUEST),
        (signed(claims(exp=True)), Err.INVALID_REQUEST),
        (signed(claims(iat=SECONDS - 3601)), Err.INVALID_REQUEST),
        (signed(claims(iat=SECONDS + 301)), Err.INVALID_REQUEST),
        (signed(claims(iat=...)), Err.INVALID_REQUEST),
        (signed(claims(jti=...)), Err.INVALID_REQUEST),
        (signed(claims(jti="x" * 257)), Err.INVALID_REQUEST),
        (signed(claims(events={})), Err.INVALID_REQUEST),
        (signed(claims(events={"https://example.com/unknown": {}})), Err.INVALID_REQUEST),
        (signed(claims(sub_id={"format": "email", "email": "a@b.example"})), Err.INVALID_REQUEST),
        (signed(claims(padding="x" * MAX_BYTES)), Err.INVALID_REQUEST),
        (b"", Err.INVALID_REQUEST),
        (b"a.b", Err.INVALID_REQUEST),
        (GOOD + b".x.y", Err.INVALID_REQUEST),
        (GOOD + b"\n", Err.INVALID_REQUEST),
        (GOOD + b"=", Err.INVALID_REQUEST),
        (b"\xff.\xff.\xff", Err.INVALID_REQUEST),
        (json.dumps(claims()).encode(), Err.INVALID_REQUEST),
    ],
)  # fmt: skip
async def test_whatever_is_forged_stale_or_for_others_changes_nothing(desk: Desk, token: bytes, err: Err) -> None:
    answer = await desk.receive(token)
    assert isinstance(answer, Refused)
    assert (answer.err, desk.book.all, desk.names.known) == (err, {}, {})
    assert set(answer.document()) == {"err", "description"}
    assert json.dumps(answer.document())
    assert "alice" not in answer.description
    assert REPLY_HEADERS["Content-Language"] == "en"
    assert isinstance(await desk.receive(GOOD), Checked), "and does not keep a good one out"


@pytest.mark.parametrize("kind", [None, "", "application/json", "application/jwt"])
async def test_another_kind_of_body_is_no_token(desk: Desk, kind: str | None) -> None:
    answer = await desk.receive(GOOD, kind)
    assert isinstance(answer, Refused)
    assert answer.err is Err.INVALID_REQUEST
    assert not desk.book.all


async def test_a_token_that_ends_is_taken_until_then(desk: Desk) -> None:
    assert isinstance(await desk.receive(signed(claims(exp=SECONDS + 1, nbf=SECONDS - 1))), Checked)


async def test_an_event_that_the_store_has_a_problem_with_is_refused_and_may_come_again(desk: Desk) -> None:
    desk.book.problem = EventProblem("account", "account", "there is no such account")
    answer = await desk.receive(GOOD)
    assert answer == Refused(Err.INVALID_REQUEST, "there is no such account")
    assert not desk.names.known


async def test_a_shared_secret_signs_no_token_even_where_somebody_configured_one() -> None:
    secret = b"a secret of at least thirty-two bytes"
    desk = Desk(keys=secret_key_set(secret, ("HS256",), "test"))
    answer = await desk.receive(signed(claims(), secret, "HS256", kid=...))
    assert isinstance(answer, Refused)
    assert answer.err is Err.INVALID_KEY
    assert not desk.book.all


class Rotating(FixedKeys):
    """Keys of which a newer set is found when one looks again."""

    def __init__(self, now: KeySet | None, later: KeySet | None) -> None:
        self.now, self.later, self.looked = now, later, 0

    def current(self, at: int) -> KeySet | None:
        return self.now

    async def look_again(self) -> None:
        self.now = self.later
        self.looked += 1


def with_keys(desk: Desk, keys: Rotating) -> SetReceiver:
    issuer = SetIssuer(Transmitter(ISSUER), "gateway", keys)
    return SetReceiver([issuer], events=desk.book, seen=desk.names, clock=desk.clock)


async def test_a_key_that_nobody_has_seen_yet_is_looked_for_once(desk: Desk) -> None:
    old = read_key_set(
        json.dumps({"keys": [{**json.loads(ECAlgorithm.to_jwk(OTHER.public_key())), "kid": "old"}]}).encode(),
        ("ES256",),
        "test",
    )
    keys = Rotating(old, KEYS)
    assert isinstance(await with_keys(desk, keys).receive(GOOD, MEDIA_TYPE), Checked)
    assert keys.looked == 1
    forged = await with_keys(desk, keys).receive(signed(claims(jti="j-2"), OTHER), MEDIA_TYPE)
    assert isinstance(forged, Refused)
    assert keys.looked == 1, "a bad signature is no reason to look"


async def test_without_keys_nothing_is_judged_and_it_is_to_be_sent_again(desk: Desk) -> None:
    with pytest.raises(StoreUnavailable, match="keys of https://idp"):
        await with_keys(desk, Rotating(None, None)).receive(GOOD, MEDIA_TYPE)
    assert not desk.book.all


async def test_keys_come_from_where_the_issuer_publishes_them(desk: Desk) -> None:
    async def publish(request: web.Request, asked: Asked) -> web.Response:
        return web.Response(body=PUBLISHED)

    asked: list[Asked] = []
    async with service(publish, asked) as url:
        issuer = issuer_of(
            Transmitter(ISSUER), audience="gateway", jwks=url, algorithms=["ES256", "RS256"], clock=desk.clock
        )
        receiver = SetReceiver([issuer], events=desk.book, seen=desk.names, clock=desk.clock)
        await receiver.start()
        assert isinstance(await receiver.receive(GOOD, MEDIA_TYPE), Checked)
        await receiver.close()
    assert len(asked) == 1


def test_what_could_never_check_anything_is_refused_when_it_is_built(desk: Desk) -> None:
    with pytest.raises(ConfigError, match="HS256: a shared secret does not prove"):
        issuer_of(Transmitter(ISSUER), audience="gateway", jwks="keys.json", algorithms=["HS256"], clock=desk.clock)
    with pytest.raises(ConfigError, match="audience"):
        issuer_of(Transmitter(ISSUER), audience="", jwks="keys.json", algorithms=["ES256"], clock=desk.clock)
    issuer = SetIssuer(Transmitter(ISSUER), "gateway", FixedKeys(KEYS))
    with pytest.raises(ConfigError, match="configured once"):
        SetReceiver([issuer, issuer], events=desk.book, seen=desk.names, clock=desk.clock)


async def test_each_kind_reaches_the_account_in_the_store_and_a_repeat_or_a_forgery_does_not(tmp_path: Path) -> None:
    clock = SetClock()
    seconds = clock.at // 1_000_000

    async def state(store: AccountStore) -> dict[str, list[Any]]:
        tables = ("events", "account_holds", "tickets", "revoked_sessions", "outbox")
        async with store.reading("look at all of it") as connection:
            return {name: list(await connection.execute(sa.text(f"SELECT * FROM {name}"))) for name in tables}

    async with opened(tmp_path, clock) as store:
        book, names = EventBook(store, Digests(b"the key of these tests")), OnceStore(store)
        issuer = SetIssuer(Transmitter(ISSUER), "gateway", FixedKeys(KEYS))
        receiver = SetReceiver([issuer], events=book, seen=names, clock=clock)
        changed = claims(
            f"{CAEP}credential-change", {"credential_type": "phone-sms", "change_type": "update"}, iat=seconds
        )
        over = claims(jti="j-2", iat=seconds)
        weaker = claims(f"{CAEP}assurance-level-change", {"current_level": "nist-aal1"}, jti="j-3", iat=seconds)
        for content in (changed, over, weaker):
            before = await state(store)
            assert isinstance(await receiver.receive(signed(content, OTHER), MEDIA_TYPE), Refused)
            assert await state(store) == before, "a forgery changes nothing"
            assert isinstance(await receiver.receive(signed(content), MEDIA_TYPE), Checked)
            after = await state(store)
            assert after != before
            again = await receiver.receive(signed(content), MEDIA_TYPE)
            assert isinstance(again, Checked)
            assert again.repeated
            assert await state(store) == after, "a repeat changes nothing"
        held = await DeskStore(store).open_ticket_for("alice", "withdraw")
        ended = await state(store)
    assert held is not None
    assert held.kind == TicketKind.VERIFICATION_CHANGED
    assert len(ended["revoked_sessions"]) == 2
    assert len(ended["events"]) == 3
