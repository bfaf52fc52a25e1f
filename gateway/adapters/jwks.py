"""Key sets (RFC 7517) and secrets, read into keys that check one algorithm each.

A key that is weak, of another use, or not clearly said is left out, with a note; the others serve.
"""

import difflib
import hashlib
import json
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt.algorithms import get_default_algorithms
from jwt.exceptions import PyJWTError

from gateway.adapters.jws import MAX_NAME, Key, KeySet, read_object
from gateway.core.errors import ConfigError

MAX_KEYS: Final = 100
MIN_SECRET_BYTES: Final = 32
_MAX_MEMBER: Final = 2048
"""Characters of one number in a JWK: the modulus of an RSA key of 8192 bits has 1366."""


class _Form(NamedTuple):
    """What a JWK must be for an algorithm."""

    kty: str
    crv: str | None
    members: tuple[str, ...]


_FORMS: Final[dict[str, _Form]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), _Form("RSA", None, ("n", "e"))),
    "ES256": _Form("EC", "P-256", ("x", "y")),
    "ES384": _Form("EC", "P-384", ("x", "y")),
    "ES512": _Form("EC", "P-521", ("x", "y")),
    # The same signature under its old name and the fully specified one (RFC 9864). A key has one of them.
    **dict.fromkeys(("EdDSA", "Ed25519"), _Form("OKP", "Ed25519", ("x",))),
    **dict.fromkeys(("HS256", "HS384", "HS512"), _Form("oct", None, ("k",))),
}
"""The algorithms that may be configured."""

_IMPLEMENTATIONS: Final = get_default_algorithms()
_IMPLEMENTATIONS["Ed25519"] = _IMPLEMENTATIONS["EdDSA"]


def check_algorithms(algorithms: Sequence[str]) -> tuple[str, ...]:
    """Return the algorithms, or raise ConfigError where the list cannot work."""
    for name in algorithms:
        if name not in _FORMS:
            near = difflib.get_close_matches(name.upper(), _FORMS, n=1)
            meant = f": did you mean `{near[0]}`?" if near else f"; there are {', '.join(_FORMS)}"
            raise ConfigError(f"[identity] algorithms: `{name}` cannot be used{meant}")
    if not algorithms:
        raise ConfigError(f"[identity] algorithms: the list is empty; there are {', '.join(_FORMS)}")
    secret = {name for name in algorithms if _FORMS[name].kty == "oct"}
    if secret and len(secret) < len(set(algorithms)):
        # With both kinds allowed, a public key could be taken for a shared secret (CVE-2022-29217, CVE-2026-48526).
        others = ", ".join(name for name in algorithms if name not in secret)
        raise ConfigError(
            f"[identity] algorithms: {', '.join(sorted(secret))} (shared secret) and {others} (public key) "
            "never together; keep one kind"
        )
    return tuple(algorithms)


def read_key_set(document: bytes, algorithms: Sequence[str], where: str) -> KeySet:
    """Return the keys of a JWKS document (RFC 7517) that can be used; `notes` say why the others cannot.

    Raise ConfigError where the document is no key set, or none of its keys can be used.
    """
    try:
        published = read_object(document).get("keys")
    except ValueError as error:
        raise ConfigError(f"{where}: {error}; a JWKS document is expected") from None
    if not isinstance(published, list) or not 0 < len(published) <= MAX_KEYS:
        raise ConfigError(f"{where}: a JWKS document has a list `keys` of 1 to {MAX_KEYS} keys")
    usable: dict[tuple[str | None, str], dict[str, Key]] = {}
    notes: list[str] = []
    for number, jwk in enumerate(published, 1):
        name = f"key {number}"
        if isinstance(jwk, dict) and isinstance(jwk.get("kid"), str):
            name += f" ({jwk['kid'][:40]!a})"
        try:
            key, print_of_key = _read_key(jwk, algorithms)
        except _NotUsed as why:
            notes.append(f"{name}: {why}")
            continue
        if isinstance(jwk, dict) and "alg" not in jwk:
            notes.append(f"{name}: names no `alg`, read as {key.algorithm}")
        usable.setdefault((key.kid, key.algorithm), {})[print_of_key] = key
    crowd = sum(map(len, usable.values())) > 1
    for (kid, algorithm), same in list(usable.items()):
        if len(same) > 1 or (kid is None and crowd):
            named = "without a `kid` among others" if kid is None else f"of the one `kid` {kid[:40]!a}"
            notes.append(f"{len(same)} {algorithm} key(s) {named}: no token can say which it means")
            del usable[kid, algorithm]
    if not usable:
        raise ConfigError(f"{where}: no key can be used: {'; '.join(notes)}")
    keys = {mark: key for same in usable.values() for mark, key in same.items()}
    return KeySet(keys.values(), notes, _digest(sorted(keys)))


def secret_key_set(secret: bytes, algorithms: Sequence[str], where: str) -> KeySet:
    """Return the key set of one shared secret. Raise ConfigError where it is too short or not for these algorithms.

    A line end behind a secret that is otherwise text belongs to the editor, not to the secret.
    """
    text = secret.rstrip(b"\r\n")
    if all(0x20 <= byte < 0x7F for byte in text):
        secret = text
    if len(algorithms) != 1 or _FORMS[algorithms[0]].kty != "oct":
        raise ConfigError(f"{where}: a secret needs one algorithm, HS256, HS384 or HS512, not {', '.join(algorithms)}")
    try:
        key = _make_key(None, algorithms[0], secret)
    except _NotUsed as why:
        raise ConfigError(f"{where}: {why}") from None
    return KeySet((key,), (), _digest(["secret", hashlib.sha256(secret).hexdigest()]))


class _NotUsed(Exception):
    """Why a published key is not used."""


def _read_key(jwk: object, algorithms: Sequence[str]) -> tuple[Key, str]:
    """Return the key and a digest of it. Raise _NotUsed with the reason."""
    if not isinstance(jwk, dict):
        raise _NotUsed("not a JSON object")
    kid, operations = jwk.get("kid"), jwk.get("key_ops", ["verify"])
    if "kid" in jwk and not (isinstance(kid, str) and 0 < len(kid) <= MAX_NAME):
        raise _NotUsed(f"`kid` must be a string of 1 to {MAX_NAME} characters")
    if jwk.get("use", "sig") != "sig":
        raise _NotUsed("`use` is not `sig`")
    if not isinstance(operations, list) or "verify" not in operations:
        raise _NotUsed("`key_ops` does not list `verify`")
    algorithm = _algorithm_of(jwk, algorithms)
    form = _FORMS[algorithm]
    if form.kty != "oct" and "d" in jwk:
        raise _NotUsed("holds the private key: publish only the public half, and replace this one")
    members = [jwk.get(name) for name in form.members]
    if not all(isinstance(member, str) and 0 < len(member) <= _MAX_MEMBER for member in members):
        raise _NotUsed(f"{form.kty} keys have {' and '.join(f'`{name}`' for name in form.members)}")
    try:
        material = _IMPLEMENTATIONS[algorithm].from_jwk(jwk)
    except (PyJWTError, ValueError, UnsupportedAlgorithm) as error:
        raise _NotUsed(f"not a valid {form.kty} key ({error})") from None
    return _make_key(kid, algorithm, material), _digest([kid, algorithm, members])


def _algorithm_of(jwk: dict[str, Any], algorithms: Sequence[str]) -> str:
    """Return the one algorithm of a key: the one it names, else the first configured one that fits its type."""
    kind = (jwk.get("kty"), jwk.get("crv"))
    fitting = [name for name in algorithms if kind == (_FORMS[name].kty, _FORMS[name].crv)]
    named = jwk.get("alg")
    if "alg" not in jwk and fitting:
        return fitting[0]
    if isinstance(named, str) and named in fitting:
        return named
    of = " ".join(f"{part[:20]!a}" for part in (*kind, named) if isinstance(part, str))
    raise _NotUsed(f"{of or 'its type'} fits none of the algorithms {', '.join(algorithms)}")


def _make_key(kid: str | None, algorithm: str, material: Any) -> Key:  # noqa: ANN401 - PyJWT's key types
    implementation = _IMPLEMENTATIONS[algorithm]
    if isinstance(material, bytes):
        least = max(MIN_SECRET_BYTES, int(algorithm[2:]) // 8)
        if len(material) < least:
            # RFC 7518 §3.2: at least as long as the hash.
            raise _NotUsed(f"a secret of {len(material)} bytes; {algorithm} needs {least} or more")
    if isinstance(material, RSAPublicKey) and not (
        2048 <= material.key_size <= 8192 and material.public_numbers().e < 1 << 32
    ):
        raise _NotUsed(f"an RSA key of {material.key_size} bits; 2048 to 8192 with a small exponent are used")
    try:
        prepared = implementation.prepare_key(material)
    except PyJWTError as error:
        raise _NotUsed(str(error)) from None
    return Key(
        kid, algorithm, lambda signing_input, signature: implementation.verify(signing_input, prepared, signature)
    )


def _digest(parts: list[Any]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
