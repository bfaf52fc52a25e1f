"""Compact signatures: one spelling a token, and no say in its own key."""

import base64
import hashlib
import hmac
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.jws import (
    MAX_DEPTH,
    MAX_TOKEN_BYTES,
    Compact,
    Fault,
    Key,
    KeySet,
    Rejected,
    from_base64url,
    read_compact,
    read_object,
    verify_compact,
)

SECRET = b"a secret of at least thirty-two bytes"


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def mac(signing_input: bytes) -> bytes:
    return hmac.digest(SECRET, signing_input, hashlib.sha256)


def token(header: object = None, payload: bytes = b'{"sub":"alice"}', *, raw_header: bytes | None = None) -> bytes:
    if raw_header is None:
        raw_header = json.dumps({"alg": "HS256", "kid": "one"} if header is None else header).encode()
    signing_input = encode(raw_header) + b"." + encode(payload)
    return signing_input + b"." + encode(mac(signing_input))


def key(kid: str | None = "one", algorithm: str = "HS256") -> Key:
    return Key(kid, algorithm, lambda signing_input, signature: hmac.compare_digest(mac(signing_input), signature))


KEYS = KeySet([key(), key("two")])


def fault_of(text: bytes, keyset: KeySet = KEYS) -> Fault:
    answer = verify_compact(text, keyset)
    assert isinstance(answer, Rejected), answer
    assert answer.detail
    return answer.fault


def test_a_signed_token_yields_its_payload() -> None:
    assert verify_compact(token(), KEYS) == b'{"sub":"alice"}'


def test_reading_takes_a_token_apart_without_believing_it() -> None:
    text = token()
    assert read_compact(text) == Compact(
        "HS256", "one", b'{"sub":"alice"}', text.rpartition(b".")[0], mac(text.rpartition(b".")[0])
    )


def test_an_empty_payload_is_a_payload() -> None:
    assert verify_compact(token(payload=b""), KEYS) == b""


@pytest.mark.parametrize("kind", ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt"])
def test_sessions_and_access_tokens_are_taken(kind: str) -> None:
    assert verify_compact(token({"alg": "HS256", "kid": "one", "typ": kind}), KEYS) == b'{"sub":"alice"}'


@pytest.mark.parametrize(
    ("header", "fault"),
    [
        ({"alg": "HS256", "kid": "one", "crit": ["exp"]}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "crit": ["b64"], "b64": False}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "b64": True}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "jku": "https://evil.example/jwks.json"}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "x5u": "https://evil.example/chain"}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "jwk": {"kty": "oct", "k": "AAAA"}}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "x5c": ["MIIB"]}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "x5t": "AAAA"}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "zip": "DEF"}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "cty": "JWT"}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "unheard-of": 1}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "typ": "logout+jwt"}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "typ": "secevent+jwt"}, Fault.HEADER),
        ({"alg": "HS256", "kid": "one", "typ": None}, Fault.HEADER),
        ({"alg": "HS256", "kid": None}, Fault.HEADER),
        ({"alg": "HS256", "kid": ""}, Fault.HEADER),
        ({"alg": "HS256", "kid": 1}, Fault.HEADER),
        ({"alg": "HS256", "kid": "k" * 257}, Fault.HEADER),
        ({"alg": ["HS256"], "kid": "one"}, Fault.HEADER),
        ({"kid": "one"}, Fault.HEADER),
        ({}, Fault.HEADER),
        ([], Fault.JSON),
        ("HS256", Fault.JSON),
        ({"alg": "none", "kid": "one"}, Fault.ALGORITHM),
        ({"alg": "hs256", "kid": "one"}, Fault.ALGORITHM),
        ({"alg": "HS384", "kid": "one"}, Fault.ALGORITHM),
        ({"alg": "RS256", "kid": "one"}, Fault.ALGORITHM),
        ({"alg": "HS256", "kid": "three"}, Fault.KEY_UNKNOWN),
        ({"alg": "HS256", "kid": "../../etc/passwd"}, Fault.KEY_UNKNOWN),
        ({"alg": "HS256"}, Fault.KEY_NOT_NAMED),
    ],
)
def test_a_header_that_says_more_or_less_than_it_may_is_refused(header: object, fault: Fault) -> None:
    assert fault_of(token(header)) == fault


def test_a_refused_header_member_is_named_and_cut() -> None:
    answer = read_compact(token({"alg": "HS256", "x" * 99 + "\n": 1}))
    assert isinstance(answer, Rejected)
    assert answer.detail == f"header member '{'x' * 20}' is not accepted, only alg, kid and typ"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"alg":"HS256","kid":"one","alg":"HS256"}',
        b'{"alg":"HS256","kid":"two","kid":"one"}',
        b'{"alg":"HS256","kid":"one"} {}',
        b'{"alg":"HS256","kid":"one",}',
        b"{'alg':'HS256'}",
        '{"alg":"HS256","kid":"one"}'.encode("utf-16"),
        b'\xef\xbb\xbf{"alg":"HS256","kid":"one"}',
        b'{"alg":"HS256","kid":"\xff"}',
        b'{"alg":"HS256","kid":"one\n"}',
        b"",
    ],
)
def test_a_header_that_can_be_read_in_two_ways_is_refused(raw: bytes) -> None:
    assert fault_of(token(raw_header=raw)) is Fault.JSON


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (b"", Fault.SIZE),
        (b"a" * (MAX_TOKEN_BYTES + 1), Fault.SIZE),
        (b"." * 1_000_000, Fault.SIZE),
        (b"a" * MAX_TOKEN_BYTES, Fault.SHAPE),
        (b"." * MAX_TOKEN_BYTES, Fault.SHAPE),
        (b"a.b", Fault.SHAPE),
        (b"a.b.c.d", Fault.SHAPE),
        (b"a.b.c.d.e", Fault.SHAPE),
        (b"..", Fault.JSON),
        (b'{"payload":"Zm9v","signatures":[]}', Fault.SHAPE),
    ],
)
def test_what_is_not_three_segments_is_no_token(text: bytes, fault: Fault) -> None:
    assert fault_of(text) is fault


def test_the_longest_token_is_still_read() -> None:
    longest = MAX_TOKEN_BYTES - len(token(payload=b""))
    text = token(payload=b"x" * (longest * 3 // 4))
    assert MAX_TOKEN_BYTES - 4 < len(text) <= MAX_TOKEN_BYTES
    assert isinstance(verify_compact(text, KEYS), bytes)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text + b"=",
        lambda text: text + b"==",
        lambda text: text.replace(b".", b"=.", 1),
        lambda text: text + b"\n",
        lambda text: b" " + text,
        lambda text: text.replace(b".", b" .", 1),
        lambda text: text[:-3] + b"+" + text[-2:],
        lambda text: text[:-3] + b"/" + text[-2:],
        lambda text: text[:-3] + b"\xff" + text[-2:],
        lambda text: text[:-3] + b"?" + text[-2:],
    ],
)
def test_a_token_has_one_spelling(change) -> None:
    assert fault_of(change(token())) is Fault.ENCODING


def test_stray_bits_behind_the_last_byte_are_refused() -> None:
    assert from_base64url(b"QQ") == b"A"
    for other in b"RST":
        with pytest.raises(ValueError, match="stray bits"):
            from_base64url(b"Q" + bytes([other]))


@given(st.binary(max_size=64))
def test_each_bytes_have_exactly_one_encoding(data: bytes) -> None:
    assert from_base64url(encode(data)) == data


@given(st.binary(max_size=12))
def test_what_decodes_is_what_would_be_encoded(segment: bytes) -> None:
    try:
        decoded = from_base64url(segment)
    except ValueError:
        return
    assert encode(decoded) == segment


def test_a_signature_of_something_else_is_refused() -> None:
    mine, other = token(), token(payload=b'{"sub":"bob"}')
    assert fault_of(other.rpartition(b".")[0] + b"." + mine.rpartition(b".")[2]) is Fault.SIGNATURE
    assert fault_of(mine.rpartition(b".")[0] + b".") is Fault.SIGNATURE


def test_a_token_may_leave_the_key_unnamed_where_there_is_only_one() -> None:
    unnamed = token({"alg": "HS256"})
    assert verify_compact(unnamed, KeySet([key()])) == b'{"sub":"alice"}'
    assert verify_compact(unnamed, KeySet([key(None)])) == b'{"sub":"alice"}'
    assert fault_of(unnamed, KEYS) is Fault.KEY_NOT_NAMED
    assert fault_of(unnamed, KeySet()) is Fault.KEY_UNKNOWN


def test_a_single_key_without_a_name_takes_every_name() -> None:
    assert verify_compact(token({"alg": "HS256", "kid": "any"}), KeySet([key(None)])) == b'{"sub":"alice"}'
    assert fault_of(token({"alg": "HS256", "kid": "any"}), KeySet([key()])) is Fault.KEY_UNKNOWN


def test_keys_of_one_name_are_told_apart_by_their_algorithm() -> None:
    def never(_: bytes, __: bytes) -> bool:
        return False

    keyset = KeySet([Key("one", "HS512", never), key()])
    assert verify_compact(token(), keyset) == b'{"sub":"alice"}'
    assert fault_of(token({"alg": "HS512", "kid": "one"}), keyset) is Fault.SIGNATURE
    assert fault_of(token({"alg": "HS384", "kid": "one"}), keyset) is Fault.ALGORITHM


def test_no_secret_shows_in_what_a_key_set_prints() -> None:
    assert SECRET.decode() not in repr(KEYS.keys)


@pytest.mark.parametrize(
    ("document", "why"),
    [
        (b'{"a":1,"a":2}', "the same member twice"),
        (b'{"a":{"b":[{"c":1,"c":1}]}}', "the same member twice"),
        (b'{"a":1,"\\u0061":2}', "the same member twice"),
        (b'{"a":NaN}', "NaN and Infinity"),
        (b'{"a":Infinity}', "NaN and Infinity"),
        (b'{"a":-Infinity}', "NaN and Infinity"),
        (b'{"a":1e999}', "too large"),
        (b'{"a":-1e999}', "too large"),
        (b'{"a":' + b"9" * 5000 + b"}", "4300 digits"),
        (b"[]", "not a JSON object"),
        (b"1", "not a JSON object"),
        (b'{"a":"\xff"}', "not UTF-8"),
        (b'{"a":1', "not JSON: .* at character 6"),
        (b'{"a":1}x', "not JSON: Extra data"),
        (b'{"a":' + b"[" * 5000 + b"]" * 5000 + b"}", "nested deeper"),
        (b'{"a":' + b"[" * MAX_DEPTH + b"]" * MAX_DEPTH + b"}", "nested deeper"),
        (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), "nested deeper"),
    ],
)
def test_json_that_readers_disagree_about_is_refused(document: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read_object(document)


@pytest.mark.parametrize(
    "document",
    [
        b'{"a":' + b"[" * (MAX_DEPTH - 1) + b"]" * (MAX_DEPTH - 1) + b"}",
        b'{"a":"' + b"[{" * 50 + b'"}',
        b'{"a":[' + b",".join([b"[]"] * 50) + b"]}",
        b'{"a":1.5,"b":[true,null,"\\ud83d\\ude00"]}',
        b' {\n"a" : 1 } ',
    ],
)
def test_ordinary_json_is_read(document: bytes) -> None:
    assert read_object(document) == json.loads(document)


@given(st.binary(max_size=200))
def test_reading_never_raises(text: bytes) -> None:
    assert isinstance(read_compact(text), Rejected | Compact)
