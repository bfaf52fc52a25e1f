"""Credentials: one is presented, or none, or what is presented proves nothing."""

import json
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import ports
from gateway.core.credential import Conflicting, CredentialRule, Presented
from gateway.core.errors import ConfigError

ROWS = json.loads((Path(__file__).parents[1] / "corpus/headers/credentials.json").read_text("utf-8"))
RULE = CredentialRule(cookie="session", api_key_header="X-API-Key")
TOKEN = st.text("abcXYZ019-._~+/", min_size=1, max_size=20).map(str.encode)


@pytest.mark.parametrize("row", ROWS, ids=[row["lesson"] for row in ROWS])
def test_every_credential_of_the_corpus_reads_as_its_lesson_says(row: dict[str, Any]) -> None:
    authorization, api_key = (
        None if row[name] is None else row[name].encode("latin-1") for name in ("authorization", "api_key")
    )
    found = RULE.read(authorization, [line.encode("latin-1") for line in row["cookies"]], api_key)
    if "kind" in row:
        assert found == Presented(row["kind"], row["secret"].encode())
    elif row["conflict"] is None:
        assert found is None
    else:
        assert found == Conflicting(row["conflict"])


@given(token=TOKEN, key=TOKEN, cookie=TOKEN)
def test_two_credentials_at_once_prove_nothing(token: bytes, key: bytes, cookie: bytes) -> None:
    bearer, line = b"Bearer " + token, b"a=b; session=" + cookie
    assert RULE.read(bearer, (), None) == Presented("session", token)
    assert RULE.read(None, (line,), None) == Presented("session", cookie)
    assert RULE.read(None, (), key) == Presented("api_key", key)
    assert isinstance(RULE.read(bearer, (), key), Conflicting)
    assert isinstance(RULE.read(None, (line,), key), Conflicting)
    assert isinstance(RULE.read(bearer, (line,), None), Conflicting) == (token != cookie)


@given(
    line=st.lists(
        st.sampled_from(["session", "Session", "%73ession", "=", ";", ",", " ", '"', "a", "b", "$", "\t"]), max_size=12
    ).map("".join)
)
def test_no_other_reader_of_cookies_sees_a_session_where_we_see_nobody(line: str) -> None:
    try:
        theirs = SimpleCookie(line)
    except CookieError:
        return
    seen = [cookie.value for name, cookie in theirs.items() if name.lower() == "session" and cookie.value]
    found = RULE.read(None, [line.encode()], None)
    if seen:
        assert found is not None
        # What we present is what they see, or it can be no token.
        assert isinstance(found, Conflicting) or found.secret.decode() == seen[0] or {*found.secret} & {*b'\t ",='}


@given(
    authorization=st.binary(max_size=30), cookie=st.binary(max_size=30), key=st.one_of(st.none(), st.binary(max_size=5))
)
def test_a_conflict_never_repeats_a_secret(authorization: bytes, cookie: bytes, key: bytes | None) -> None:
    found = RULE.read(b"Bearer " + authorization, [b"session=" + cookie], key)
    if isinstance(found, Conflicting):
        assert found.why in {
            "Authorization is not one bearer token",
            "a bearer token and another one in the cookie `session`",
            "a session and an API key",
            "the cookie `session` more than once",
            "the cookie `session` in another spelling",
        }


def test_cookies_mean_nothing_where_none_is_configured() -> None:
    rule = CredentialRule(cookie=None, api_key_header=None)
    assert not rule.uses_cookie
    assert RULE.uses_cookie
    assert rule.read(None, [b"session=a; session=b"], None) is None
    assert rule.read(b"Bearer a", [b"session=b"], None) == Presented("session", b"a")


def test_the_ports_speak_of_the_same_credential() -> None:
    assert ports.Presented is Presented


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cookie": "my session"}, "identity.cookie: `my session` is not the name of a cookie"),
        ({"cookie": ""}, "identity.cookie"),
        ({"cookie": "séance"}, "identity.cookie"),
        ({"api_key_header": "X_API_Key"}, "identity.api_key_header: `X_API_Key` is not the name of a header"),
        ({"api_key_header": ""}, "identity.api_key_header"),
        ({"api_key_header": "Authorization"}, "`Authorization` is read for sessions already"),
        ({"api_key_header": "cookie"}, "is read for sessions already"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_when_it_is_built(settings: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        CredentialRule(**{"cookie": None, "api_key_header": None, **settings})
    assert message in str(refused.value)
