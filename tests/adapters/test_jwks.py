"""Key sets and secrets: what is used, what is left out, and what is said about it."""

import base64
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import ECAlgorithm, HMACAlgorithm, OKPAlgorithm, RSAAlgorithm

from gateway.adapters.jwks import check_algorithms, read_key_set, secret_key_set
from gateway.adapters.jws import Rejected, verify_compact
from gateway.core.errors import ConfigError

WHERE = "[identity] jwks keys.json"
PUBLIC = ("RS256", "ES256", "EdDSA")
SECRET = bytes(range(32, 96))


def b64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


@pytest.fixture(scope="module")
def rsa_jwk(rsa_key: rsa.RSAPrivateKey) -> dict[str, Any]:
    return {"kid": "rsa", "alg": "RS256", "use": "sig", **public(RSAAlgorithm.to_jwk(rsa_key.public_key()))}


EC_KEY = ec.generate_private_key(ec.SECP256R1())
ED_KEY = ed25519.Ed25519PrivateKey.generate()


def public(text: str) -> dict[str, Any]:
    jwk: dict[str, Any] = json.loads(text)
    return {name: value for name, value in jwk.items() if name != "key_ops"}


EC_JWK = {"kid": "ec", "alg": "ES256", **public(ECAlgorithm.to_jwk(EC_KEY.public_key()))}
ED_JWK = {"kid": "ed", "alg": "EdDSA", **public(OKPAlgorithm.to_jwk(ED_KEY.public_key()))}


def document(*keys: object, **more: object) -> bytes:
    return json.dumps({"keys": list(keys), **more}).encode()


def notes(*keys: object, algorithms: tuple[str, ...] = PUBLIC) -> tuple[str, ...]:
    """What is said about the keys, beside one that is in order."""
    keyset = read_key_set(document(*keys, {**ED_JWK, "kid": "in order"}), algorithms, WHERE)
    assert [key.kid for key in keyset.keys] == ["in order"]
    return keyset.notes


def signed(key: Any, algorithm: str, kid: str | None) -> bytes:
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode({"sub": "alice"}, key, algorithm, headers).encode()


@pytest.mark.parametrize("algorithm", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"])
def test_rsa_keys_check_the_one_algorithm_they_name(
    rsa_key: rsa.RSAPrivateKey, rsa_jwk: dict[str, Any], algorithm: str
) -> None:
    keyset = read_key_set(document({**rsa_jwk, "alg": algorithm}), ("RS384", algorithm), WHERE)
    assert verify_compact(signed(rsa_key, algorithm, "rsa"), keyset) == b'{"sub":"alice"}'
    other = "PS256" if algorithm != "PS256" else "RS256"
    assert isinstance(verify_compact(signed(rsa_key, other, "rsa"), keyset), Rejected)


@pytest.mark.parametrize(
    ("algorithm", "curve"), [("ES256", ec.SECP256R1()), ("ES384", ec.SECP384R1()), ("ES512", ec.SECP521R1())]
)
def test_each_curve_has_its_algorithm(algorithm: str, curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    jwk = {**public(ECAlgorithm.to_jwk(key.public_key())), "kid": "ec", "alg": algorithm}
    keyset = read_key_set(document(jwk), (algorithm,), WHERE)
    assert verify_compact(signed(key, algorithm, "ec"), keyset) == b'{"sub":"alice"}'
    assert isinstance(verify_compact(signed(ec.generate_private_key(curve), algorithm, "ec"), keyset), Rejected)


@pytest.mark.parametrize("name", ["EdDSA", "Ed25519"])
def test_ed25519_goes_by_two_names(name: str) -> None:
    keyset = read_key_set(document({**ED_JWK, "alg": name}), (name,), WHERE)
    header = b64(json.dumps({"alg": name, "kid": "ed"}).encode())
    signing_input = f"{header}.{b64(b'payload')}".encode()
    token = signing_input + b"." + b64(ED_KEY.sign(signing_input)).encode()
    assert verify_compact(token, keyset) == b"payload"


@pytest.mark.parametrize(("algorithm", "least"), [("HS256", 32), ("HS384", 48), ("HS512", 64)])
def test_a_secret_is_at_least_as_long_as_the_hash(algorithm: str, least: int) -> None:
    keyset = secret_key_set(SECRET[:least], (algorithm,), "[identity] secret")
    assert verify_compact(signed(SECRET[:least], algorithm, None), keyset) == b'{"sub":"alice"}'
    with pytest.raises(ConfigError) as caught:
        secret_key_set(SECRET[: least - 1], (algorithm,), "[identity] secret")
    assert str(caught.value) == (f"[identity] secret: a secret of {least - 1} bytes; {algorithm} needs {least} or more")


def test_secrets_can_stand_in_a_key_set_of_their_own() -> None:
    jwk = {**json.loads(HMACAlgorithm.to_jwk(SECRET)), "kid": "s", "alg": "HS256"}
    keyset = read_key_set(document(jwk, {**jwk, "kid": "weak", "k": "QUJD"}, ED_JWK), ("HS256",), WHERE)
    assert verify_compact(signed(SECRET, "HS256", "s"), keyset) == b'{"sub":"alice"}'
    assert keyset.notes == (
        "key 2 ('weak'): a secret of 3 bytes; HS256 needs 32 or more",
        "key 3 ('ed'): 'OKP' 'Ed25519' 'EdDSA' fits none of the algorithms HS256",
    )


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b""])
def test_the_line_end_of_an_editor_is_no_part_of_a_secret(end: bytes) -> None:
    text = b"correct horse battery staple, and more"
    keyset = secret_key_set(text + end, ("HS256",), "[identity] secret_file s")
    assert verify_compact(signed(text, "HS256", "any kid"), keyset) == b'{"sub":"alice"}'
    assert keyset.fingerprint == secret_key_set(text, ("HS256",), "elsewhere").fingerprint


def test_a_secret_of_any_bytes_is_taken_as_it_is() -> None:
    secret = bytes(range(128, 159)) + b"\n"
    keyset = secret_key_set(secret, ("HS256",), "[identity] secret_file s")
    assert verify_compact(signed(secret, "HS256", None), keyset) == b'{"sub":"alice"}'


def test_a_public_key_is_no_secret(rsa_key: rsa.RSAPrivateKey) -> None:
    pem = rsa_key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for secret in (pem, document(EC_JWK)):
        with pytest.raises(ConfigError, match="should not be used"):
            secret_key_set(secret, ("HS256",), "[identity] secret_file s")


@pytest.mark.parametrize("algorithms", [("RS256",), ("HS256", "HS512"), ("EdDSA", "ES256")])
def test_a_secret_has_one_algorithm(algorithms: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="a secret needs one algorithm, HS256, HS384 or HS512, not "):
        secret_key_set(SECRET, algorithms, "[identity] secret")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"use": "enc"}, "`use` is not `sig`"),
        ({"use": None}, "`use` is not `sig`"),
        ({"key_ops": ["encrypt"]}, "`key_ops` does not list `verify`"),
        ({"key_ops": []}, "`key_ops` does not list `verify`"),
        ({"key_ops": "verify"}, "`key_ops` does not list `verify`"),
        ({"kid": 7}, "`kid` must be a string of 1 to 256 characters"),
        ({"kid": ""}, "`kid` must be a string of 1 to 256 characters"),
        ({"kid": "k" * 257}, "`kid` must be a string of 1 to 256 characters"),
        ({"kty": "AKP"}, "'AKP' 'P-256' 'ES256' fits none of the algorithms RS256, ES256, EdDSA"),
        ({"kty": ["EC"]}, "'P-256' 'ES256' fits none of the algorithms RS256, ES256, EdDSA"),
        ({"alg": "ES512"}, "'EC' 'P-256' 'ES512' fits none of the algorithms RS256, ES256, EdDSA"),
        ({"alg": "RS256"}, "'EC' 'P-256' 'RS256' fits none of the algorithms RS256, ES256, EdDSA"),
        ({"alg": None}, "'EC' 'P-256' fits none of the algorithms RS256, ES256, EdDSA"),
        ({"alg": 5, "kty": 5, "crv": 5}, "its type fits none of the algorithms RS256, ES256, EdDSA"),
        ({"crv": "secp256k1", "alg": "ES256K"}, "'EC' 'secp256k1' 'ES256K' fits none"),
        ({"x": None}, "EC keys have `x` and `y`"),
        ({"x": ""}, "EC keys have `x` and `y`"),
        ({"y": 5}, "EC keys have `x` and `y`"),
        ({"x": "A" * 2049}, "EC keys have `x` and `y`"),
        ({"x": "A" * 43}, "not a valid EC key (Invalid EC key. Point is not on the curve specified.)"),
        ({"x": "AAAA"}, "not a valid EC key (Coords should be 32 bytes for curve P-256)"),
        ({"d": "AAAA"}, "holds the private key: publish only the public half, and replace this one"),
    ],
)
def test_a_key_that_cannot_be_used_is_left_out_and_the_reason_noted(change: dict[str, Any], why: str) -> None:
    (note,) = notes({**EC_JWK, **change})
    assert note.startswith("key 1")
    assert why in note


@pytest.mark.parametrize("entry", [None, 5, "key", ["kty"]])
def test_what_is_no_object_is_no_key(entry: object) -> None:
    assert notes(entry) == ("key 1: not a JSON object",)


def test_the_name_of_a_key_is_cut_and_escaped_in_notes() -> None:
    (note,) = notes({**EC_JWK, "kid": "\x1b[31m" + "k" * 60, "use": "enc"})
    assert note == f"key 1 ('\\x1b[31m{'k' * 35}'): `use` is not `sig`"


@pytest.mark.parametrize("bits", [1024, 2040])
def test_weak_rsa_keys_are_left_out(bits: int) -> None:
    weak = rsa.generate_private_key(65537, bits).public_key()
    (note,) = notes({"kid": "weak", **public(RSAAlgorithm.to_jwk(weak))})
    assert note == f"key 1 ('weak'): an RSA key of {bits} bits; 2048 to 8192 with a small exponent are used"


def test_rsa_keys_that_would_take_long_are_left_out(rsa_jwk: dict[str, Any]) -> None:
    large = b64((1 << 9000 | 1).to_bytes(1126, "big"))
    odd = b64((1 << 40 | 1).to_bytes(6, "big"))
    for change in ({"n": large}, {"e": odd}):
        (note,) = notes({**rsa_jwk, **change})
        assert "2048 to 8192 with a small exponent are used" in note


def test_ed448_is_not_ed25519() -> None:
    jwk = public(OKPAlgorithm.to_jwk(ed448.Ed448PrivateKey.generate().public_key()))
    assert notes({**jwk, "kid": "448", "alg": "EdDSA"}) == (
        "key 1 ('448'): 'OKP' 'Ed448' 'EdDSA' fits none of the algorithms RS256, ES256, EdDSA",
    )


def test_a_key_without_an_algorithm_is_read_as_the_first_that_fits(
    rsa_key: rsa.RSAPrivateKey, rsa_jwk: dict[str, Any]
) -> None:
    unsaid = {name: value for name, value in rsa_jwk.items() if name != "alg"}
    keyset = read_key_set(document(unsaid), ("ES256", "PS256", "RS256"), WHERE)
    assert keyset.notes == ("key 1 ('rsa'): names no `alg`, read as PS256",)
    assert isinstance(verify_compact(signed(rsa_key, "PS256", "rsa"), keyset), bytes)
    assert isinstance(verify_compact(signed(rsa_key, "RS256", "rsa"), keyset), Rejected)


def test_two_keys_of_one_name_and_algorithm_are_both_left_out() -> None:
    other = public(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP256R1()).public_key()))
    assert notes(EC_JWK, {**EC_JWK, **other}) == (
        "2 ES256 key(s) of the one `kid` 'ec': no token can say which it means",
    )


def test_the_same_key_twice_is_one_key() -> None:
    keyset = read_key_set(document(EC_JWK, dict(reversed(EC_JWK.items()))), PUBLIC, WHERE)
    assert len(keyset.keys) == 1
    assert keyset.notes == ()


def test_a_nameless_key_is_used_only_where_it_is_alone(rsa_jwk: dict[str, Any]) -> None:
    nameless = {name: value for name, value in EC_JWK.items() if name != "kid"}
    assert notes(nameless) == ("1 ES256 key(s) without a `kid` among others: no token can say which it means",)
    alone = read_key_set(document(nameless), PUBLIC, WHERE)
    assert isinstance(verify_compact(signed(EC_KEY, "ES256", None), alone), bytes)
    both = [nameless, {name: value for name, value in rsa_jwk.items() if name != "kid"}]
    for order in (both, both[::-1]):
        with pytest.raises(ConfigError, match="no key can be used"):
            read_key_set(document(*order), PUBLIC, WHERE)


def test_the_fingerprint_tells_sets_apart_by_what_they_accept() -> None:
    one = read_key_set(document(EC_JWK, ED_JWK), PUBLIC, WHERE)
    same = read_key_set(document(ED_JWK, {"kid": "x", "kty": "?"}, EC_JWK, more=1), PUBLIC, "elsewhere")
    assert one.fingerprint == same.fingerprint
    for other in ((EC_JWK,), (EC_JWK, {**ED_JWK, "kid": "new"})):
        assert read_key_set(document(*other), PUBLIC, WHERE).fingerprint != one.fingerprint


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"<html>Sign in</html>", "not JSON: Expecting value at character 0; a JWKS document is expected"),
        (b"[]", "not a JSON object; a JWKS document is expected"),
        (b'{"keys":[],"keys":[]}', "an object has the same member twice; a JWKS document is expected"),
        (b"{}", "a JWKS document has a list `keys` of 1 to 100 keys"),
        (b'{"keys":{}}', "a JWKS document has a list `keys` of 1 to 100 keys"),
        (b'{"keys":[]}', "a JWKS document has a list `keys` of 1 to 100 keys"),
        (document(*[EC_JWK] * 101), "a JWKS document has a list `keys` of 1 to 100 keys"),
        (document({**EC_JWK, "use": "enc"}), "no key can be used: key 1 ('ec'): `use` is not `sig`"),
    ],
)
def test_a_document_without_a_usable_key_is_refused_whole(text: bytes, why: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_key_set(text, PUBLIC, WHERE)
    assert str(caught.value) == f"{WHERE}: {why}"


@pytest.mark.parametrize(
    ("algorithms", "told"),
    [
        ((), "the list is empty; there are RS256, "),
        (("RS255",), "`RS255` cannot be used: did you mean `RS256`?"),
        (("rs256",), "`rs256` cannot be used: did you mean `RS256`?"),
        (("none",), "`none` cannot be used; there are RS256, "),
        (("ES256K",), "`ES256K` cannot be used: did you mean `ES256`?"),
        (("RS256", "HS256"), "HS256 (shared secret) and RS256 (public key) never together; keep one kind"),
        (("HS512", "EdDSA", "HS256"), "HS256, HS512 (shared secret) and EdDSA (public key) never together"),
    ],
)
def test_an_algorithm_list_that_cannot_work_stops_the_start(algorithms: tuple[str, ...], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_algorithms(algorithms)
    assert str(caught.value).startswith(f"[identity] algorithms: {told}")


@pytest.mark.parametrize("algorithms", [("RS256", "ES256", "EdDSA"), ("HS256", "HS256"), ("HS256", "HS512")])
def test_algorithms_of_one_kind_go_together(algorithms: tuple[str, ...]) -> None:
    assert check_algorithms(list(algorithms)) == algorithms
