"""What a token claims, read with types."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.claims import ClaimRules, Claims, read_claims
from gateway.adapters.jws import Fault, Rejected
from gateway.core.errors import ConfigError
from gateway.core.facts import Unknown
from gateway.core.terms import WhyUnknown

NOW = 1_763_700_000
GOOD: dict[str, Any] = {
    "iss": "https://auth.example",
    "aud": "exchange-api",
    "sub": "alice",
    "iat": NOW,
    "exp": NOW + 600,
}
ABSENT = object()


def rules(**changes: Any) -> ClaimRules:
    return ClaimRules.checked(
        **{
            "issuer": "https://auth.example",
            "audience": "exchange-api",
            "account_claim": "sub",
            "leeway_s": 30,
            "max_lifetime_s": 86_400,
            "assurance": {},
            **changes,
        }
    )


def read(changes: Mapping[str, Any] | None = None, by: ClaimRules | None = None) -> Claims | Rejected:
    claims = {name: value for name, value in {**GOOD, **(changes or {})}.items() if value is not ABSENT}
    return read_claims(json.dumps(claims).encode(), by or rules())


def test_a_token_says_who_and_when() -> None:
    assert read({"jti": "t-1", "sid": "s-1", "auth_time": NOW - 60}) == Claims(
        account="alice",
        jti="t-1",
        assurance=1,
        auth_time=(NOW - 60) * 1_000_000,
        begins=(NOW - 30) * 1_000_000,
        ends=(NOW + 630) * 1_000_000 - 1,
        issued=NOW * 1_000_000,
        sid="s-1",
    )


def test_a_token_that_does_not_say_when_its_subject_signed_in_leaves_it_unknown() -> None:
    claims = read()
    assert isinstance(claims, Claims)
    assert claims.auth_time == Unknown(WhyUnknown.TOKEN_LACKS_CLAIM)
    assert claims.jti is None


@pytest.mark.parametrize(
    ("changes", "begins"),
    [
        ({}, NOW - 30),
        ({"nbf": NOW - 100}, NOW - 30),
        ({"nbf": NOW + 100}, NOW + 70),
        ({"auth_time": NOW - 100}, NOW - 30),
        ({"auth_time": NOW + 100}, NOW + 70),
        ({"iat": NOW + 0.5}, NOW - 29.5),
    ],
)
def test_a_token_begins_when_all_that_it_tells_has_happened(changes: dict[str, Any], begins: float) -> None:
    claims = read(changes)
    assert isinstance(claims, Claims)
    assert claims.begins == int(begins * 1_000_000)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"exp": ABSENT}, Fault.CLAIM),
        ({"iat": ABSENT}, Fault.CLAIM),
        ({"exp": str(NOW + 600)}, Fault.CLAIM),
        ({"exp": True}, Fault.CLAIM),
        ({"exp": None}, Fault.CLAIM),
        ({"exp": [NOW + 600]}, Fault.CLAIM),
        ({"exp": -1}, Fault.CLAIM),
        ({"exp": 2**53 + 1}, Fault.CLAIM),
        ({"exp": 10**400}, Fault.CLAIM),
        ({"exp": (NOW + 600) * 1000}, Fault.CLAIM),
        ({"iat": False}, Fault.CLAIM),
        ({"iat": "now"}, Fault.CLAIM),
        ({"nbf": None}, Fault.CLAIM),
        ({"nbf": "0"}, Fault.CLAIM),
        ({"auth_time": True}, Fault.CLAIM),
        ({"auth_time": str(NOW)}, Fault.CLAIM),
        ({"exp": NOW}, Fault.LIFETIME),
        ({"exp": NOW - 1}, Fault.LIFETIME),
        ({"exp": NOW + 86_401}, Fault.LIFETIME),
        ({"iss": ABSENT}, Fault.ISSUER),
        ({"iss": "https://auth.example/"}, Fault.ISSUER),
        ({"iss": "https://auth.exampl"}, Fault.ISSUER),
        ({"iss": "HTTPS://AUTH.EXAMPLE"}, Fault.ISSUER),
        ({"iss": ["https://auth.example"]}, Fault.ISSUER),
        ({"iss": None}, Fault.ISSUER),
        ({"aud": ABSENT}, Fault.AUDIENCE),
        ({"aud": None}, Fault.AUDIENCE),
        ({"aud": "exchange-api-2"}, Fault.AUDIENCE),
        ({"aud": "exchange"}, Fault.AUDIENCE),
        ({"aud": []}, Fault.AUDIENCE),
        ({"aud": ["other"]}, Fault.AUDIENCE),
        ({"aud": ["exchange-api", 1]}, Fault.AUDIENCE),
        ({"aud": [["exchange-api"]]}, Fault.AUDIENCE),
        ({"aud": {"exchange-api": True}}, Fault.AUDIENCE),
        ({"sub": ABSENT}, Fault.CLAIM),
        ({"sub": ""}, Fault.CLAIM),
        ({"sub": 7}, Fault.CLAIM),
        ({"sub": None}, Fault.CLAIM),
        ({"sub": ["alice"]}, Fault.CLAIM),
        ({"sub": "a" * 256}, Fault.CLAIM),
        ({"sub": "alice\r\nGateway-Access: full"}, Fault.CLAIM),
        ({"sub": "alice\0"}, Fault.CLAIM),
        ({"sub": "\ud800"}, Fault.CLAIM),
        ({"sub": "аlice"}, Fault.CLAIM),  # noqa: RUF001 - the Cyrillic letter is the point
        ({"sub": " alice"}, Fault.CLAIM),
        ({"sub": "alice "}, Fault.CLAIM),
        ({"jti": ""}, Fault.CLAIM),
        ({"jti": 1}, Fault.CLAIM),
        ({"jti": None}, Fault.CLAIM),
        ({"jti": "j" * 257}, Fault.CLAIM),
        ({"acr": 2}, Fault.CLAIM),
        ({"acr": None}, Fault.CLAIM),
        ({"amr": "mfa"}, Fault.CLAIM),
        ({"amr": None}, Fault.CLAIM),
        ({"amr": ["pwd", 1]}, Fault.CLAIM),
        ({"amr": {"mfa": True}}, Fault.CLAIM),
    ],
)
def test_a_claim_that_is_missing_ill_typed_or_not_ours_is_refused(changes: dict[str, Any], fault: Fault) -> None:
    answer = read(changes)
    assert isinstance(answer, Rejected), answer
    assert answer.fault is fault
    assert answer.detail


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'"alice"',
        b"null",
        json.dumps(GOOD).encode()[:-1] + b',"sub":"bob"}',
        json.dumps(GOOD).encode()[:-1] + b',"exp":NaN}',
        json.dumps(GOOD).encode()[:-1] + b',"a":' + b"[" * 2000 + b"]" * 2000 + b"}",
    ],
)
def test_a_payload_that_is_not_one_plain_object_is_refused(payload: bytes) -> None:
    answer = read_claims(payload, rules())
    assert isinstance(answer, Rejected)
    assert answer.fault is Fault.JSON
    assert answer.detail.startswith("payload: ")


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", "exchange-api"]},
        {"exp": NOW + 86_400},
        {"exp": NOW + 0.25},
        {"sub": "a" * 255},
        {"sub": "auth0|alice smith@example.com"},
        {"scope": "anything", "nested": {"is": ["fine"]}},
    ],
)
def test_what_is_allowed_is_taken(changes: dict[str, Any]) -> None:
    assert isinstance(read(changes), Claims)


def test_the_account_may_stand_in_another_claim() -> None:
    claims = read({"uid": "u-77"}, rules(account_claim="uid"))
    assert isinstance(claims, Claims)
    assert claims.account == "u-77"
    assert read({}, rules(account_claim="uid")) == Rejected(
        Fault.CLAIM, "`uid` must be a string of 1 to 255 characters"
    )


@pytest.mark.parametrize(
    ("claims", "configured", "level"),
    [
        ({}, {}, 1),
        ({"amr": []}, {}, 1),
        ({"amr": ["pwd"]}, {}, 1),
        ({"amr": ["unheard-of"]}, {}, 1),
        ({"acr": "unheard-of"}, {}, 1),
        ({"amr": ["mfa"]}, {}, 2),
        ({"amr": ["pwd", "otp"]}, {}, 2),
        ({"amr": ["pwd", "sms"]}, {}, 2),
        ({"amr": ["pin", "fpt"]}, {}, 2),
        ({"amr": ["swk", "face"]}, {}, 2),
        ({"amr": ["pwd", "pin"]}, {}, 1),  # two of one kind are one factor
        ({"amr": ["otp", "sms"]}, {}, 1),
        ({"amr": ["pwd", "pwd"]}, {}, 1),
        ({"amr": ["pwd", "rba", "geo"]}, {}, 1),  # a risk engine is not a factor
        ({"amr": ["hwk"]}, {}, 3),
        ({"amr": ["pwd", "hwk"]}, {}, 3),
        ({"acr": "phr"}, {}, 3),
        ({"acr": "phrh"}, {}, 3),
        ({"acr": "phr", "amr": ["pwd"]}, {}, 3),
        ({"acr": "unheard-of", "amr": ["mfa"]}, {}, 2),
        ({"acr": "urn:example:gold"}, {"urn:example:gold": 2}, 2),
        ({"acr": "urn:example:bronze", "amr": ["hwk"]}, {"urn:example:bronze": 1}, 1),  # the acr decides
        ({"acr": "phr"}, {"phr": 2}, 2),
        ({"amr": ["hwk"]}, {"hwk": 2}, 2),
        ({"amr": ["mfa"]}, {"mfa": 1}, 1),
        ({"amr": ["pwd", "sms"]}, {"sms": 1}, 1),  # what is configured is not a factor besides
        ({"amr": ["pwd", "push"]}, {"push": 2}, 2),
        ({"amr": ["pwd", "otp", "key"]}, {"key": 3}, 3),
    ],
)
def test_the_acr_decides_else_the_methods_do(claims: dict[str, Any], configured: dict[str, int], level: int) -> None:
    answer = read(claims, rules(assurance=configured))
    assert isinstance(answer, Claims)
    assert answer.assurance == level


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"issuer": ""}, "issuer: must not be empty"),
        ({"audience": ""}, "audience: must not be empty"),
        ({"account_claim": ""}, "account_claim: must not be empty"),
        ({"leeway_s": -1}, "leeway_s: -1 is not within 0 and 600"),
        ({"leeway_s": 3600}, "leeway_s: 3600 is not within 0 and 600"),
        ({"max_lifetime_s": 0}, "max_lifetime_s: 0 would refuse every token"),
        ({"assurance": {"gold": 4}}, "assurance: `gold` = 4, expected 1, 2 or 3"),
        ({"assurance": {"gold": 0}}, "assurance: `gold` = 0, expected 1, 2 or 3"),
    ],
)
def test_rules_that_cannot_work_are_refused_when_they_are_made(changes: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        rules(**changes)
    assert str(caught.value).startswith(f"[identity] {told}")


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(["iss", "aud", "sub", "iat", "exp", "nbf", "jti", "auth_time", "acr", "amr"]), _JSON)
def test_no_value_of_any_claim_breaks_the_reading(name: str, value: object) -> None:
    answer = read({name: value})
    if isinstance(answer, Claims):
        assert answer.begins < answer.ends
        assert answer.assurance in {1, 2, 3}
        assert 0 < len(answer.account) <= 255
