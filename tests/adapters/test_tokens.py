"""What a credential proves: facts, never an exception, checked once and remembered within bounds."""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import jwt
import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.adapters.jwks import read_key_set, secret_key_set
from gateway.adapters.jws import Fault, Key, KeySet
from gateway.adapters.keys import FixedKeys
from gateway.adapters.tokens import TokenChecker
from gateway.core.errors import ConfigError, GatewayError, StoreUnavailable
from gateway.core.facts import Unknown
from gateway.core.terms import Credential, TokenState, WhyUnknown
from gateway.ports import Identity, Presented, Tokens

SECOND = 1_000_000
NOW = 1_763_700_000
AT = NOW * SECOND
ALGORITHMS = ("RS256", "PS256", "ES256", "EdDSA")

RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()
SECRET = b"a secret of at least thirty-two bytes"


def jwk(text: str, kid: str, algorithm: str) -> dict[str, Any]:
    return {**json.loads(text), "kid": kid, "alg": algorithm}


PUBLISHED = {
    "keys": [
        jwk(RSAAlgorithm.to_jwk(RSA.public_key()), "rs", "RS256"),
        jwk(RSAAlgorithm.to_jwk(RSA.public_key()), "ps", "PS256"),
        jwk(ECAlgorithm.to_jwk(EC.public_key()), "es", "ES256"),
        jwk(OKPAlgorithm.to_jwk(ED.public_key()), "ed", "EdDSA"),
    ]
}
SIGNERS: dict[str, tuple[str, Any]] = {
    "rs": ("RS256", RSA),
    "ps": ("PS256", RSA),
    "es": ("ES256", EC),
    "ed": ("EdDSA", ED),
}
KEYSET = read_key_set(json.dumps(PUBLISHED).encode(), ALGORITHMS, "here")
CLAIMS = {"iss": "https://auth.example", "aud": "exchange-api", "sub": "alice", "iat": NOW, "exp": NOW + 600}


class Keys:
    """A key source whose moods the test decides."""

    def __init__(self, keyset: KeySet | None = KEYSET) -> None:
        self.keyset = keyset
        self.generation = 0
        self.good_until: int | None = None
        self.looked = 0
        self.next: KeySet | None = None

    def current(self, at: int) -> KeySet | None:
        return self.keyset if self.good_until is None or at <= self.good_until else None

    async def look_again(self) -> None:
        self.looked += 1
        await asyncio.sleep(0)
        if self.next is not None:
            self.swap(self.next)

    def swap(self, keyset: KeySet | None) -> None:
        self.keyset, self.next = keyset, None
        self.generation += 1

    async def start(self) -> None:
        """Nothing to start."""

    async def close(self) -> None:
        """Nothing to close."""


def checker(keys: Any = None, **changes: Any) -> TokenChecker:
    return TokenChecker(
        **{
            "keys": Keys() if keys is None else keys,
            "algorithms": ALGORITHMS,
            "issuer": "https://auth.example",
            "audience": "exchange-api",
            **changes,
        }
    )


def mint(kid: str = "ed", /, **claims: Any) -> bytes:
    algorithm, key = SIGNERS[kid]
    kept = {name: value for name, value in {**CLAIMS, **claims}.items() if value is not ...}
    return jwt.encode(kept, key, algorithm, {"kid": kid}).encode()


def session(token: bytes) -> Presented:
    return Presented("session", token)


def api_key(secret: bytes) -> Presented:
    return Presented("api_key", secret)


def refused(state: TokenState = TokenState.INVALID, credential: Credential = Credential.SESSION) -> tuple[Any, ...]:
    return (credential, state, None, 0, None)


def counted(verify: Callable[[bytes, bytes], bool]) -> tuple[Callable[[bytes, bytes], bool], list[int]]:
    """The same check, and how often it was made."""
    made = [0]

    def count(signing_input: bytes, signature: bytes) -> bool:
        made[0] += 1
        return verify(signing_input, signature)

    return count, made


def counting_keys() -> tuple[Keys, list[int]]:
    (key,) = (key for key in KEYSET.keys if key.kid == "ed")
    verify, made = counted(key.verify)
    return Keys(KeySet([key._replace(verify=verify)])), made


def test_the_checker_is_what_the_line_asks_for() -> None:
    tokens: Tokens = checker()
    assert tokens.generation == 0


async def test_no_credential_is_knowledge() -> None:
    assert await checker().check(None, AT) == Identity("none", "absent", None, 0, None, None)


@pytest.mark.parametrize("kid", ["rs", "ps", "es", "ed"])
async def test_a_good_token_proves_who_it_is(kid: str) -> None:
    token = mint(kid, auth_time=NOW - 60, amr=["pwd", "otp"], sid="s-1", jti="t-1")
    proved = Identity("session", "valid", "alice", 2, (NOW - 60) * SECOND, AT + 300 * SECOND)
    identity = await checker().check(session(token), AT)
    assert identity == proved._replace(session="s-1", token_id="t-1", issued_at=NOW * SECOND)
    unnamed = await checker().check(session(mint(kid, auth_time=NOW - 60, amr=["pwd", "otp"], jti="t-1")), AT)
    assert unnamed.session == "t-1", "a token without a session is named by its own id"


async def test_a_shared_secret_proves_it_as_well() -> None:
    keys = FixedKeys(secret_key_set(SECRET, ("HS256",), "here"))
    identity = await checker(keys, algorithms=("HS256",)).check(
        session(jwt.encode(CLAIMS, SECRET, "HS256").encode()), AT
    )
    assert (identity.token, identity.account, identity.assurance) == ("valid", "alice", 1)
    assert identity.auth_time == Unknown(WhyUnknown.TOKEN_LACKS_CLAIM)


def segment(data: object) -> bytes:
    raw = data if isinstance(data, bytes) else json.dumps(data).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=")


def sealed(header: object, payload: object, key: ed25519.Ed25519PrivateKey = ED) -> bytes:
    signing_input = segment(header) + b"." + segment(payload)
    return signing_input + b"." + segment(key.sign(signing_input))


HEADER = {"alg": "EdDSA", "kid": "ed"}
BODY = json.dumps(CLAIMS).encode()
PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def hs256_with(secret: bytes) -> bytes:
    signing_input = segment({"alg": "HS256", "kid": "rs"}) + b"." + segment(BODY)
    return signing_input + b"." + segment(hmac.digest(secret, signing_input, hashlib.sha256))


@pytest.mark.parametrize(
    ("token", "fault"),
    [
        (b"x" * 1_000_000, Fault.SIZE),
        (sealed(HEADER, BODY + b" " * 8192), Fault.SIZE),
        (b"", Fault.SIZE),
        (b"not a token", Fault.SHAPE),
        (mint() + b"=", Fault.ENCODING),
        (mint() + b"==", Fault.ENCODING),
        (mint().replace(b".", b"=.", 1), Fault.ENCODING),
        (sealed(b'{"alg":"EdDSA","kid":"ed","kid":"ed"}', BODY), Fault.JSON),
        (sealed(HEADER, BODY[:-1] + b',"sub":"bob"}'), Fault.JSON),
        (sealed(HEADER, BODY[:-1] + b',"exp":Infinity}'), Fault.JSON),
        (sealed(HEADER, BODY[:-1] + b',"x":' + b"[" * 900 + b"]" * 900 + b"}"), Fault.JSON),
        (sealed({**HEADER, "zip": "DEF"}, BODY), Fault.HEADER),
        (sealed({**HEADER, "crit": ["exp"]}, BODY), Fault.HEADER),
        (sealed({**HEADER, "crit": ["b64"], "b64": False}, BODY), Fault.HEADER),
        (sealed({**HEADER, "jwk": PUBLISHED["keys"][3]}, BODY), Fault.HEADER),
        (sealed({**HEADER, "jku": "https://evil.example"}, BODY), Fault.HEADER),
        (segment({"alg": "none"}) + b"." + segment(BODY) + b".", Fault.ALGORITHM),
        (hs256_with(PEM), Fault.ALGORITHM),
        (hs256_with(json.dumps(PUBLISHED["keys"][0]).encode()), Fault.ALGORITHM),
        (sealed({"alg": "RS512", "kid": "rs"}, BODY), Fault.ALGORITHM),
        (sealed({"alg": "EdDSA", "kid": "rs"}, BODY), Fault.ALGORITHM),
        (sealed({"alg": "RS256", "kid": "ps"}, BODY), Fault.ALGORITHM),
        (sealed({"alg": "EdDSA"}, BODY), Fault.KEY_NOT_NAMED),
        (sealed({"alg": "EdDSA", "kid": "unheard-of"}, BODY), Fault.KEY_UNKNOWN),
        (sealed(HEADER, BODY, ed25519.Ed25519PrivateKey.generate()), Fault.SIGNATURE),
        (sealed({"alg": "RS256", "kid": "rs"}, BODY), Fault.SIGNATURE),
        (mint(exp=str(NOW + 600)), Fault.CLAIM),
        (mint(exp=...), Fault.CLAIM),
        (mint(iat=...), Fault.CLAIM),
        (mint(sub=...), Fault.CLAIM),
        (mint(exp=NOW + 86_401), Fault.LIFETIME),
        (mint(iss="https://auth.example.evil"), Fault.ISSUER),
        (mint(iss="https://auth"), Fault.ISSUER),
        (mint(aud="another-api"), Fault.AUDIENCE),
        (mint(nbf=NOW + 31), Fault.NOT_YET),
        (mint(iat=NOW + 31), Fault.NOT_YET),
        (mint(auth_time=NOW + 31), Fault.NOT_YET),
    ],
)
async def test_a_bad_token_signs_nobody_in(token: bytes, fault: Fault) -> None:
    tokens = checker()
    identity = await tokens.check(session(token), AT)
    assert identity[:5] == refused()
    assert tokens.refusals == {fault: 1}
    assert list(tokens.details) == [fault]


async def test_expired_is_said_only_of_a_token_that_was_once_good() -> None:
    tokens = checker()
    old = {"iat": NOW - 700, "exp": NOW - 31}
    assert (await tokens.check(session(mint(**old)), AT))[:5] == refused(TokenState.EXPIRED)
    forged = sealed(HEADER, {**CLAIMS, **old}, ed25519.Ed25519PrivateKey.generate())
    assert (await tokens.check(session(forged), AT))[:5] == refused(TokenState.INVALID)
    assert tokens.refusals == {Fault.EXPIRED: 1, Fault.SIGNATURE: 1}


@pytest.mark.parametrize(
    ("at", "state"),
    [
        (AT - 30 * SECOND - 1, "invalid"),
        (AT - 30 * SECOND, "valid"),
        (AT + 630 * SECOND - 1, "valid"),
        (AT + 630 * SECOND, "expired"),
    ],
)
async def test_a_token_holds_from_its_first_to_its_last_microsecond(at: int, state: str) -> None:
    for tokens in (checker(), checker(remember_s=100_000)):
        token = session(mint())
        if state == "valid":
            assert (await tokens.check(token, AT)).account == "alice"
        identity = await tokens.check(token, at)
        assert identity.token == state
        assert identity.valid_until is not None
        assert state != "valid" or at <= identity.valid_until < AT + 630 * SECOND


async def test_a_token_is_verified_once_and_remembered() -> None:
    keys, made = counting_keys()
    tokens = checker(keys)
    token = session(mint())
    first = await tokens.check(token, AT)
    for second in (0, 1, 150, 300):
        assert await tokens.check(token, AT + second * SECOND) == first
    assert made == [1]
    assert (await tokens.check(token, AT + 300 * SECOND + 1)).token == "valid"
    assert made == [2]


async def test_an_answer_is_not_older_than_its_question() -> None:
    keys, made = counting_keys()
    tokens = checker(keys)
    token = session(mint(nbf=NOW + 60))
    assert (await tokens.check(token, AT + 60 * SECOND)).token == "valid"
    assert (await tokens.check(token, AT)).token == "invalid"
    assert tokens.refusals == {Fault.NOT_YET: 1}
    bad = session(mint() + b"=")
    await tokens.check(bad, AT)
    await tokens.check(bad, AT - 1)
    assert tokens.refusals[Fault.ENCODING] == 2
    assert made == [1]


async def test_remembering_can_be_switched_off() -> None:
    keys, made = counting_keys()
    tokens = checker(keys, remember_s=0)
    for second in range(3):
        assert (await tokens.check(session(mint()), AT + second * SECOND)).token == "valid"
    assert made == [3]


async def test_a_forgery_costs_one_signature_in_thirty_seconds() -> None:
    keys, made = counting_keys()
    tokens = checker(keys)
    forged = session(sealed(HEADER, BODY, ed25519.Ed25519PrivateKey.generate()))
    for second in (0, 10, 30):
        identity = await tokens.check(forged, AT + second * SECOND)
        assert identity == Identity(*refused(), AT + 30 * SECOND)
    assert made == [1]
    await tokens.check(forged, AT + 30 * SECOND + 1)
    assert made == [2]


async def test_a_flood_of_forgeries_does_not_push_out_the_good_tokens() -> None:
    keys, made = counting_keys()
    tokens = checker(keys, limit=8)
    await tokens.check(session(mint()), AT)
    for number in range(100):
        await tokens.check(session(b"%d.%d.%d" % (number, number, number)), AT)
    assert len(tokens._bad) <= 8
    await tokens.check(session(mint()), AT)
    assert made == [1]


async def test_memory_is_bounded() -> None:
    tokens = checker(limit=8)
    for number in range(20):
        assert (await tokens.check(session(mint(jti=str(number))), AT)).token == "valid"
        assert len(tokens._good) <= 8


async def test_nothing_is_remembered_across_a_change_of_keys() -> None:
    keys, made = counting_keys()
    tokens = checker(keys)
    good, forged = session(mint()), session(mint("es"))
    assert (await tokens.check(good, AT)).token == "valid"
    assert (await tokens.check(forged, AT)).token == "invalid"
    before = tokens.generation
    keys.swap(KEYSET)
    assert tokens.generation > before
    assert (await tokens.check(forged, AT)).token == "valid"
    assert (await tokens.check(good, AT)).token == "valid"
    keys.swap(KeySet())
    assert (await tokens.check(good, AT)).token == "invalid"
    assert made == [1]


async def test_a_remembered_answer_ends_with_the_key_set_it_came_from() -> None:
    keys = Keys()
    keys.good_until = AT + 10 * SECOND
    tokens = checker(keys)
    token = session(mint())
    assert (await tokens.check(token, AT)).valid_until == AT + 10 * SECOND
    assert (await tokens.check(token, AT + 10 * SECOND)).token == "valid"
    late = await tokens.check(token, AT + 10 * SECOND + 1)
    assert late.token == Unknown(WhyUnknown.KEYS_UNAVAILABLE)


async def test_a_new_key_is_looked_for_and_found() -> None:
    keys = Keys(KeySet())
    keys.next = KEYSET
    tokens = checker(keys)
    assert (await tokens.check(session(mint()), AT)).account == "alice"
    assert keys.looked == 1
    assert (await tokens.check(session(mint()), AT)).account == "alice"
    assert keys.looked == 1


async def test_a_token_whose_key_is_not_published_yet_is_not_held_against_it() -> None:
    keys = Keys(KeySet())
    tokens = checker(keys)
    identity = await tokens.check(session(mint()), AT)
    assert identity == Identity(*refused(), AT)
    keys.next = KEYSET
    assert (await tokens.check(session(mint()), AT)).account == "alice"


@pytest.mark.parametrize(
    "token",
    [
        mint("es", iss="https://evil.example"),
        mint("es", aud="another-api"),
        mint("es", nbf=NOW + 31),
        mint("es", iat=NOW - 700, exp=NOW - 31),
        hs256_with(PEM),
        b"a.b.c",
    ],
)
async def test_only_a_token_that_could_be_good_makes_us_look_for_keys(token: bytes) -> None:
    keys = Keys(KeySet([key for key in KEYSET.keys if key.kid == "ed"]))
    assert (await checker(keys).check(session(token), AT)).token == "invalid"
    assert keys.looked == 0


async def test_without_keys_nobody_can_say_anything() -> None:
    keys = Keys(None)
    why = Unknown(WhyUnknown.KEYS_UNAVAILABLE)
    assert await checker(keys).check(session(mint()), AT) == Identity("session", why, why, why, why, AT)
    assert keys.looked == 1


async def test_without_keys_a_broken_token_is_still_broken() -> None:
    keys = Keys(None)
    assert (await checker(keys).check(session(b"a.b.c"), AT))[:5] == refused()
    assert keys.looked == 0


async def test_revocation_takes_effect_at_once_whatever_is_remembered() -> None:
    keys, made = counting_keys()
    tokens = checker(keys)
    alice, other = session(mint(jti="t-1")), session(mint(jti="t-2"))
    for token in (alice, other):
        assert (await tokens.check(token, AT)).token == "valid"
    before = tokens.generation
    tokens.revoke("t-1", (NOW + 600) * SECOND)
    assert tokens.generation > before
    for _ in range(3):
        assert (await tokens.check(alice, AT))[:5] == refused()
        assert (await tokens.check(other, AT)).token == "valid"
    assert tokens.refusals == {Fault.REVOKED: 1}
    assert made == [3]


async def test_every_text_of_a_revoked_token_is_revoked() -> None:
    tokens = checker()
    token = mint("es", jti="t-1")
    head, _, encoded = token.rpartition(b".")
    signature = base64.urlsafe_b64decode(encoded + b"==")
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    mirrored = signature[:32] + (order - int.from_bytes(signature[32:], "big")).to_bytes(32, "big")
    twin = head + b"." + segment(mirrored)
    assert twin != token
    assert (await tokens.check(session(twin), AT)).account == "alice"
    tokens.revoke("t-1", (NOW + 600) * SECOND)
    for text in (token, twin):
        assert (await tokens.check(session(text), AT))[:5] == refused()


async def test_a_token_without_an_id_cannot_be_revoked_by_another() -> None:
    tokens = checker()
    tokens.revoke("t-1", (NOW + 600) * SECOND)
    assert (await tokens.check(session(mint()), AT)).token == "valid"


async def test_revocations_are_forgotten_only_when_they_no_longer_matter() -> None:
    tokens = checker(revoked_limit=2)
    tokens.revoke("t-1", AT)
    tokens.revoke("t-2", AT + 100 * SECOND)
    tokens.revoke("t-2", AT)  # never sooner than was said before
    with pytest.raises(GatewayError, match="2 unexpired tokens are revoked already"):
        tokens.revoke("t-3", AT)
    await tokens.check(session(mint()), AT + 30 * SECOND)
    with pytest.raises(GatewayError, match="2 unexpired tokens are revoked already"):
        tokens.revoke("t-3", AT)
    await tokens.check(session(mint(jti="t-2")), AT + 30 * SECOND + 1)
    tokens.revoke("t-3", AT + 100 * SECOND)
    assert set(tokens._revoked) == {"t-2", "t-3"}
    assert tokens.refusals == {Fault.REVOKED: 1}


@pytest.mark.parametrize("jti", ["", "j" * 257])
def test_an_id_that_no_token_can_have_is_not_revoked(jti: str) -> None:
    with pytest.raises(GatewayError, match="a `jti` has 1 to 256 characters"):
        checker().revoke(jti, AT)


class Store:
    """Who owns which API key."""

    def __init__(self, owners: dict[bytes, str] | None = None, fails: Exception | None = None) -> None:
        self.owners = {hashlib.sha256(key).digest(): owner for key, owner in (owners or {}).items()}
        self.fails = fails
        self.asked = 0

    async def key_owner(self, digest: bytes) -> str | None:
        self.asked += 1
        if self.fails is not None:
            raise self.fails
        return self.owners.get(digest)


async def test_an_api_key_proves_whose_it_is_for_a_second() -> None:
    store = Store({b"key-of-alice": "alice"})
    tokens = checker(key_owner=store.key_owner)
    identity = Identity("api_key", "valid", "alice", 1, None, AT + SECOND)
    for at in (AT, AT + SECOND):
        assert await tokens.check(api_key(b"key-of-alice"), at) == identity
    assert store.asked == 1
    store.owners.clear()
    assert (await tokens.check(api_key(b"key-of-alice"), AT + SECOND + 1))[:5] == refused(credential=Credential.API_KEY)


@pytest.mark.parametrize(("secret", "asked"), [(b"key-of-nobody", 1), (b"", 0), (b"k" * 513, 0), (b"k" * 512, 1)])
async def test_an_unknown_api_key_is_invalid(secret: bytes, asked: int) -> None:
    store = Store({b"key-of-alice": "alice"})
    tokens = checker(key_owner=store.key_owner)
    for _ in range(2):
        assert (await tokens.check(api_key(secret), AT))[:5] == refused(credential=Credential.API_KEY)
    assert store.asked == asked


async def test_api_keys_are_invalid_where_none_are_taken() -> None:
    tokens = checker()
    assert (await tokens.check(api_key(b"key-of-alice"), AT))[:5] == refused(credential=Credential.API_KEY)
    assert tokens.refusals == {Fault.API_KEY: 1}


@pytest.mark.parametrize("fault", [StoreUnavailable("gone"), TimeoutError(), RuntimeError("a bug")])
async def test_a_store_that_does_not_answer_leaves_the_owner_unknown(fault: Exception) -> None:
    store = Store({b"key-of-alice": "alice"}, fault)
    tokens = checker(key_owner=store.key_owner)
    why = Unknown(WhyUnknown.STORE_UNAVAILABLE)
    with structlog.testing.capture_logs() as events:
        assert await tokens.check(api_key(b"key-of-alice"), AT) == Identity("api_key", why, why, why, why, AT)
    assert [event["error"] for event in events] == (["RuntimeError"] if isinstance(fault, RuntimeError) else [])
    store.fails = None
    assert (await tokens.check(api_key(b"key-of-alice"), AT)).account == "alice"


async def test_a_store_that_never_answers_is_not_waited_for() -> None:
    async def never(_: bytes) -> str | None:
        await asyncio.Event().wait()
        return "alice"

    identity = await checker(key_owner=never, store_wait_s=0.01).check(api_key(b"key"), AT)
    assert identity.token == Unknown(WhyUnknown.STORE_UNAVAILABLE)


async def test_a_token_is_no_api_key_and_an_api_key_no_token() -> None:
    token = mint()
    tokens = checker(key_owner=Store({token: "mallory"}).key_owner)
    assert (await tokens.check(session(token), AT)).account == "alice"
    assert (await tokens.check(api_key(token), AT)).account == "mallory"
    assert (await tokens.check(session(token), AT)).account == "alice"


async def test_a_gateway_without_identity_believes_no_token() -> None:
    tokens = TokenChecker.without_keys(key_owner=Store({b"key-of-alice": "alice"}).key_owner)
    forged = mint(iss="nobody", aud="nobody")
    assert (await tokens.check(session(forged), AT))[:5] == refused()
    assert tokens.refusals == {Fault.KEY_UNKNOWN: 1}
    assert (await tokens.check(None, AT)).token == "absent"
    assert (await tokens.check(api_key(b"key-of-alice"), AT)).account == "alice"


async def test_a_fault_of_ours_lets_nobody_in_and_logs_no_token() -> None:
    def broken(_: bytes, __: bytes) -> bool:
        raise RuntimeError("with a secret in it")

    tokens = checker(Keys(KeySet([Key("ed", "EdDSA", broken)])))
    with structlog.testing.capture_logs() as events:
        identity = await tokens.check(session(mint()), AT)
    assert identity == Identity(*refused(), AT)
    assert tokens.refusals == {Fault.INTERNAL: 1}
    assert events == [{"event": "tokens:check_failed", "error": "RuntimeError", "log_level": "error"}]


async def test_to_be_cancelled_is_not_a_fault() -> None:
    async def never(_: bytes) -> str | None:
        await asyncio.Event().wait()
        return None

    task = asyncio.ensure_future(checker(key_owner=never).check(api_key(b"key"), AT))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"remember_s": -1}, "[identity] remember_s: -1 is less than 0; 0 verifies every time"),
        ({"algorithms": ("RS256", "HS256")}, "[identity] algorithms: HS256 (shared secret) and RS256 (public key)"),
        ({"algorithms": ("none",)}, "[identity] algorithms: `none` cannot be used"),
        ({"issuer": ""}, "[identity] issuer: must not be empty"),
        ({"leeway_s": 601}, "[identity] leeway_s: 601 is not within 0 and 600"),
        ({"assurance": {"gold": 9}}, "[identity] assurance: `gold` = 9, expected 1, 2 or 3"),
    ],
)
def test_values_that_cannot_work_are_refused_when_it_is_built(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        checker(**changes)
    assert str(caught.value).startswith(told)


TEXTS = {kid: mint(kid, jti="t-1", auth_time=NOW, amr=["pwd"]) for kid in SIGNERS}


@settings(max_examples=400, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(TEXTS)), st.data())
def test_no_changed_byte_makes_another_token(kid: str, data: st.DataObject) -> None:
    text = bytearray(TEXTS[kid])
    place = data.draw(st.integers(0, len(text) - 1))
    text[place] ^= data.draw(st.integers(1, 255))
    identity = asyncio.run(checker().check(session(bytes(text)), AT))
    assert identity[:5] == refused()


@settings(max_examples=200)
@given(st.binary(max_size=300), st.sampled_from(["session", "api_key", "other"]), st.integers(0, 2**60))
def test_no_credential_breaks_the_check(secret: bytes, kind: str, at: int) -> None:
    identity = asyncio.run(checker(key_owner=Store().key_owner).check(Presented(kind, secret), at))
    assert identity.token == "invalid"
    assert identity.account is None
