"""Project Wycheproof's signatures against the strict reader, with every deviation listed and argued.

The vectors (github.com/C2SP/wycheproof, folder testvectors_v1) lie beside the checkout. They carry no claims: what is
tried here is the form of a token and its signature, as `verify_compact` checks them.
"""

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from gateway.adapters.jwks import read_key_set
from gateway.adapters.jws import Fault, KeySet, Rejected, verify_compact
from gateway.core.errors import ConfigError

PUBLIC = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
SECRET = ("HS256", "HS384", "HS512")


class Deviation(NamedTuple):
    """A vector that we judge otherwise than the file does."""

    ours: Fault | None
    """Why we reject what the file calls valid; None where we accept what it calls invalid."""
    why: str


_LABEL = (
    "The key says PS256, the token PS384: a key is used for the algorithm that it names, and no other (RFC 7517 §4.4)."
)
_ES521 = "The key names an algorithm `ES521`, which no registry has (it is ES512): the key is left out."
_STRAY = "A `?` stands inside a segment. It is not a letter of base64url, and passing over it gives a token two texts."
_TWIN = "Byte for byte the vector 357, which the file calls valid: the padding that its comment speaks of is not there."
DEVIATIONS: dict[int, Deviation] = {
    346: Deviation(Fault.ALGORITHM, _LABEL),
    347: Deviation(Fault.KEY_UNKNOWN, _ES521),
    350: Deviation(Fault.ALGORITHM, _LABEL),
    351: Deviation(Fault.KEY_UNKNOWN, _ES521),
    367: Deviation(None, _TWIN),
    370: Deviation(None, _TWIN),
    372: Deviation(Fault.ENCODING, _STRAY),
    373: Deviation(Fault.ENCODING, _STRAY),
}


def load(path: Path) -> dict[str, Any]:
    vectors: dict[str, Any] = json.loads(path.read_bytes())
    return vectors


def keys_of(jwk: dict[str, Any]) -> KeySet:
    """The set of one published key; an empty one where that key cannot be used."""
    try:
        return read_key_set(json.dumps({"keys": [jwk]}).encode(), SECRET if jwk["kty"] == "oct" else PUBLIC, "vector")
    except ConfigError:
        return KeySet()


def signatures(vectors: dict[str, Any]) -> Iterator[tuple[dict[str, Any], KeySet]]:
    for group in vectors["testGroups"]:
        keyset = keys_of(group.get("public", group["private"]))
        for test in group["tests"]:
            yield test, keyset


@pytest.fixture(scope="module")
def jws(shared_data: Callable[[str], Path]) -> dict[str, Any]:
    return load(shared_data("wycheproof") / "json_web_signature_test.json")


@pytest.fixture(scope="module")
def ed25519(shared_data: Callable[[str], Path]) -> dict[str, Any]:
    return load(shared_data("wycheproof") / "ed25519_test.json")


def test_every_signature_is_judged_as_its_source_says_but_for_the_listed_deviations(jws: dict[str, Any]) -> None:
    judged = 0
    found: dict[int, Fault | None] = {}
    for test, keyset in signatures(jws):
        answer = verify_compact(test["jws"].encode(), keyset)
        judged += 1
        if isinstance(answer, Rejected) == (test["result"] == "valid"):
            found[test["tcId"]] = answer.fault if isinstance(answer, Rejected) else None
    assert judged == jws["numberOfTests"]
    assert found == {number: deviation.ours for number, deviation in DEVIATIONS.items()}


def test_the_vectors_that_we_accept_against_the_file_are_copies_of_one_that_it_calls_valid(jws: dict[str, Any]) -> None:
    texts = {test["tcId"]: (test["jws"], test["result"]) for test, _ in signatures(jws)}
    valid = texts[357][0]
    assert texts[357] == (valid, "valid")
    assert {number: texts[number] for number, deviation in DEVIATIONS.items() if deviation.ours is None} == {
        367: (valid, "invalid"),
        370: (valid, "invalid"),
    }


def test_what_the_comments_of_those_vectors_describe_is_rejected(jws: dict[str, Any]) -> None:
    (valid, keyset) = next((test["jws"].encode(), keys) for test, keys in signatures(jws) if test["tcId"] == 357)
    assert verify_compact(valid, keyset) == b"Test"
    for padded in (valid + b"=", valid.replace(b".VGVzdA.", b".VGVzdA==.")):
        assert padded != valid
        answer = verify_compact(padded, keyset)
        assert isinstance(answer, Rejected)
        assert answer.fault is Fault.ENCODING


@pytest.mark.parametrize("number", [353, 354, 355, 356])
def test_a_key_of_another_use_checks_no_signature(jws: dict[str, Any], number: int) -> None:
    (keyset,) = (keys for test, keys in signatures(jws) if test["tcId"] == number)
    assert keyset.keys == ()


def test_every_deviation_is_argued_in_the_documentation() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "identity.md").read_text(encoding="utf-8")
    for number in DEVIATIONS:
        assert f"| {number} " in page, f"docs/identity.md does not argue the deviation of vector {number}"


def test_every_ed25519_signature_is_judged_as_its_source_says(ed25519: dict[str, Any]) -> None:
    # What a token signs is its own header and payload, which the messages of these vectors are not. So the key is
    # asked itself: read from the JWK of the vector, and asked as `verify_compact` asks it.
    judged = 0
    for group in ed25519["testGroups"]:
        (key,) = keys_of({**group["publicKeyJwk"], "kid": "vector"}).keys
        for test in group["tests"]:
            judged += 1
            expected = test["result"] == "valid"
            assert key.verify(bytes.fromhex(test["msg"]), bytes.fromhex(test["sig"])) is expected, test
    assert judged == ed25519["numberOfTests"]


def encode(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


_ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(
    "change",
    [
        lambda r, s: r + (int.from_bytes(s, "little") + _ORDER).to_bytes(32, "little"),
        lambda r, s: r + s + b"\0",
        lambda r, s: r + s[:-1],
        lambda r, s: s + r,
        lambda r, s: bytes(32) + s,
        lambda r, s: r + bytes(32),
        lambda _r, _s: bytes(64),
        lambda _r, _s: b"",
    ],
)
def test_the_families_of_those_vectors_are_rejected_around_a_real_token(
    change: Callable[[bytes, bytes], bytes],
) -> None:
    private = Ed25519PrivateKey.generate()
    keyset = keys_of({**json.loads(OKPAlgorithm.to_jwk(private.public_key())), "kid": "ours"})
    head = encode(b'{"alg":"EdDSA","kid":"ours"}') + b"." + encode(b"Test")
    signature = private.sign(head)
    assert verify_compact(head + b"." + encode(signature), keyset) == b"Test"
    answer = verify_compact(head + b"." + encode(change(signature[:32], signature[32:])), keyset)
    assert isinstance(answer, Rejected)
    assert answer.fault is Fault.SIGNATURE
