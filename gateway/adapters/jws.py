"""JSON Web Signatures in compact form (RFC 7515), read strictly.

A token has one spelling here, and no say in the key that checks it: `kid` chooses among keys that we hold, the key
names its algorithm, and a header that says anything else is refused. Reading decides nothing about claims.
"""

import json
from binascii import Error as EncodingError
from binascii import a2b_base64, b2a_base64
from collections.abc import Callable, Iterable
from enum import StrEnum, unique
from typing import Any, Final, NamedTuple, NoReturn

MAX_TOKEN_BYTES: Final = 8192
MAX_NAME: Final = 256
"""Characters of a `kid`, a `jti` or an account: they are kept, compared and recorded."""
MAX_DEPTH: Final = 16

_HEADER_MEMBERS = frozenset({"alg", "kid", "typ"})
_TYPES = frozenset({"jwt", "at+jwt", "application/at+jwt"})
"""RFC 7519 §5.1 and RFC 9068 §2.1, compared without case. Other kinds (logout, security event) are not sessions."""


@unique
class Fault(StrEnum):
    """Why a credential proves nothing: its form, its key, its signature, what it claims."""

    SIZE = "size"
    SHAPE = "shape"
    ENCODING = "encoding"
    JSON = "json"
    HEADER = "header"
    ALGORITHM = "algorithm"
    KEY_NOT_NAMED = "key-not-named"
    KEY_UNKNOWN = "key-unknown"
    SIGNATURE = "signature"
    CLAIM = "claim"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    LIFETIME = "lifetime"
    NOT_YET = "not-yet"
    EXPIRED = "expired"
    REVOKED = "revoked"
    API_KEY = "api-key"
    INTERNAL = "internal"
    """The check itself failed. It is logged, and the token counts as invalid."""


class Rejected(NamedTuple):
    """A token, or a part of one, that is not believed."""

    fault: Fault
    detail: str
    """What was wrong, for whoever sets the gateway up. Never a value of the token."""


BAD_SIGNATURE: Final = Rejected(Fault.SIGNATURE, "the signature is not of the key that the token names")


class Compact(NamedTuple):
    """One token, taken apart and not yet believed."""

    algorithm: str
    kid: str | None
    payload: bytes
    signing_input: bytes
    signature: bytes


class Key(NamedTuple):
    """One key that checks signatures of one algorithm. Its material is out of reach: `repr` shows no secret."""

    kid: str | None
    algorithm: str
    verify: Callable[[bytes, bytes], bool]
    """(signing input, signature) → whether this key made it."""


class KeySet:
    """The keys of one issuer at one time. Immutable: a new set replaces it whole."""

    __slots__ = ("_by_kid", "fingerprint", "keys", "notes")

    def __init__(self, keys: Iterable[Key] = (), notes: Iterable[str] = (), fingerprint: str = "") -> None:
        self.keys: Final = tuple(keys)
        self.notes: Final = tuple(notes)
        """What was published and is not used, and why: one sentence a key."""
        self.fingerprint: Final = fingerprint
        """Equal for sets that accept the same tokens."""
        self._by_kid: Final[dict[str | None, tuple[Key, ...]]] = {}
        for key in self.keys:
            self._by_kid[key.kid] = (*self._by_kid.get(key.kid, ()), key)

    def choose(self, kid: str | None, algorithm: str) -> Key | Rejected:
        """Return the key that must have signed a token with this header, or why there is none.

        A token may leave `kid` out only where the set has a single key; a single key without a `kid` takes any.
        """
        if kid is None and len(self.keys) > 1:
            return Rejected(Fault.KEY_NOT_NAMED, f"the token has no `kid`, and {len(self.keys)} keys are published")
        alone = len(self.keys) == 1 and (kid is None or self.keys[0].kid is None)
        candidates = self.keys if alone else self._by_kid.get(kid, ())
        if not candidates:
            return Rejected(Fault.KEY_UNKNOWN, "no published key has the `kid` of the token")
        for key in candidates:
            if key.algorithm == algorithm:
                return key
        named = ", ".join(sorted(key.algorithm for key in candidates))
        return Rejected(Fault.ALGORITHM, f"the key that the token names is for {named}")


def verify_compact(token: bytes, keyset: KeySet) -> bytes | Rejected:
    """Return the payload of a token that a key of the set has signed, or why it is not believed."""
    compact = read_compact(token)
    if isinstance(compact, Rejected):
        return compact
    key = keyset.choose(compact.kid, compact.algorithm)
    if isinstance(key, Rejected):
        return key
    if not key.verify(compact.signing_input, compact.signature):
        return BAD_SIGNATURE
    return compact.payload


def read_compact(token: bytes) -> Compact | Rejected:
    """Return the parts of a token, or the first thing that is wrong with its form."""
    if not 0 < len(token) <= MAX_TOKEN_BYTES:
        return Rejected(Fault.SIZE, f"a token has 1 to {MAX_TOKEN_BYTES} bytes, this one {len(token)}")
    segments = token.split(b".", 3)
    if len(segments) != 3:
        return Rejected(Fault.SHAPE, "a token is three segments with a dot between them")
    try:
        header_json, payload, signature = map(from_base64url, segments)
    except ValueError as error:
        return Rejected(Fault.ENCODING, str(error))
    header = _read_header(header_json)
    if isinstance(header, Rejected):
        return header
    algorithm, kid = header
    return Compact(algorithm, kid, payload, token.rpartition(b".")[0], signature)


def _read_header(header_json: bytes) -> tuple[str, str | None] | Rejected:
    try:
        header = read_object(header_json)
    except ValueError as error:
        return Rejected(Fault.JSON, f"header: {error}")
    foreign = sorted(header.keys() - _HEADER_MEMBERS)
    if foreign:
        # `crit`, `b64` and `zip` change what is signed; `jku`, `jwk`, `x5u` and `x5c` bring a key along. What is
        # neither of these is not needed, and a member that we pass over is one that another reader may heed.
        return Rejected(Fault.HEADER, f"header member {foreign[0][:20]!a} is not accepted, only alg, kid and typ")
    algorithm, kid, kind = header.get("alg"), header.get("kid"), header.get("typ", "JWT")
    if not isinstance(algorithm, str):
        return Rejected(Fault.HEADER, "`alg` must be a string")
    if "kid" in header and not (isinstance(kid, str) and 0 < len(kid) <= MAX_NAME):
        return Rejected(Fault.HEADER, f"`kid` must be a string of 1 to {MAX_NAME} characters")
    if not (isinstance(kind, str) and kind.lower() in _TYPES):
        return Rejected(Fault.HEADER, "`typ` must be JWT or at+jwt")
    return algorithm, kid


_FROM_URL = bytes.maketrans(b"-_+/=", b"+/***")
"""The two letters in which the alphabets differ; what belongs to the other alphabet becomes something of neither."""


def from_base64url(segment: bytes) -> bytes:
    """Return what a segment encodes. Raise ValueError unless it is the one canonical spelling (RFC 7515 §2).

    Padding, line ends, foreign letters and stray bits after the last byte would let one token have many texts.
    """
    standard = segment.translate(_FROM_URL)
    try:
        decoded = a2b_base64(standard + b"=" * (-len(standard) % 4), strict_mode=True)
    except EncodingError:
        raise ValueError("a segment must be base64url without padding") from None
    if b2a_base64(decoded, newline=False).rstrip(b"=") != standard:
        raise ValueError("a segment must leave no stray bits behind its last byte")
    return decoded


def read_object(document: bytes) -> dict[str, Any]:
    """Return a JSON object. Raise ValueError where it could be read in more ways than one, or is nested too deep.

    UTF-8 only, no member twice (the first or the last? readers differ), no NaN or Infinity, at most `MAX_DEPTH`.
    """
    try:
        value = _DECODER.decode(document.decode())
    except UnicodeDecodeError:
        raise ValueError("not UTF-8") from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at character {error.pos}") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")  # noqa: TRY004 - of the caller's document, not of our argument
    if document.count(b"[") + document.count(b"{") > MAX_DEPTH and _deeper(value, MAX_DEPTH):
        raise ValueError(_TOO_DEEP)
    return value


def _deeper(value: object, limit: int) -> bool:
    children = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    if children is None:
        return False
    return limit == 0 or any(_deeper(child, limit - 1) for child in children)


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("an object has the same member twice")
    return members


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError("a number is too large")
    return number


_TOO_DEEP = f"nested deeper than {MAX_DEPTH} levels"
_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant, parse_float=_finite)
