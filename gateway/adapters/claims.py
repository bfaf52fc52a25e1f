"""What a token claims (RFC 7519), read with types: who, from whom, for whom, from when until when, how proved.

Reading needs no clock and no key: it says when the claims hold, and nothing about whether they are true.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple, NoReturn

from gateway.adapters.jws import MAX_NAME, Fault, Rejected, read_object
from gateway.core.errors import ConfigError
from gateway.core.facts import Fact, Unknown
from gateway.core.terms import WhyUnknown
from gateway.ports import MICROSECONDS

_LAST_SECOND: Final = 253_402_300_799
"""The end of the year 9999: what lies beyond is a mistake in the unit, and no calendar can show it."""
_MAX_ACCOUNT: Final = 255
"""OpenID Connect Core §2: a `sub` has at most 255 ASCII characters."""

_KIND_OF_FACTOR: Final[dict[str, str]] = {
    **dict.fromkeys(("pwd", "pin", "kba"), "knowledge"),
    **dict.fromkeys(("otp", "sms", "tel", "swk", "hwk", "pop", "sc"), "possession"),
    **dict.fromkeys(("face", "fpt", "iris", "retina", "vbm"), "inherence"),
}
"""Authentication methods of RFC 8176 §2 by what they prove. Two kinds are two factors; two of one kind are one."""
_USUAL_LEVELS: Final[dict[str, int]] = {"mfa": 2, "hwk": 3, "phr": 3, "phrh": 3}
"""Levels of values that the configuration does not name (RFC 8176; OpenID EAP for `phr` and `phrh`)."""


class Claims(NamedTuple):
    """What a token says. Instants are microseconds since the epoch."""

    account: str
    jti: str | None
    assurance: int
    auth_time: Fact[int | None]
    begins: int
    """The first instant at which the token holds, leeway included."""
    ends: int
    """The last one."""
    issued: int = 0
    sid: str | None = None
    """The session's name (OpenID Connect Front-Channel Logout, section 3)."""


class ClaimRules(NamedTuple):
    """What a token must say to be one of ours."""

    issuer: str
    audience: str
    account_claim: str
    leeway_s: int
    max_lifetime_s: int
    assurance: Mapping[str, int]

    @classmethod
    def checked(
        cls,
        *,
        issuer: str,
        audience: str,
        account_claim: str,
        leeway_s: int,
        max_lifetime_s: int,
        assurance: Mapping[str, int],
    ) -> "ClaimRules":
        """Return the rules. Raise ConfigError where they cannot work."""
        for name, text in (("issuer", issuer), ("audience", audience), ("account_claim", account_claim)):
            if not text:
                raise ConfigError(f"[identity] {name}: must not be empty")
        if not 0 <= leeway_s <= 600:
            raise ConfigError(
                f"[identity] leeway_s: {leeway_s} is not within 0 and 600; it bridges clocks, not time zones"
            )
        if max_lifetime_s < 1:
            raise ConfigError(f"[identity] max_lifetime_s: {max_lifetime_s} would refuse every token")
        for value, level in assurance.items():
            if level not in {1, 2, 3}:
                raise ConfigError(f"[identity] assurance: `{value}` = {level}, expected 1, 2 or 3")
        return cls(issuer, audience, account_claim, leeway_s, max_lifetime_s, dict(assurance))


def read_claims(payload: bytes, rules: ClaimRules) -> Claims | Rejected:
    """Return what the payload claims, or the first thing in it that is missing, ill-typed or not ours."""
    try:
        claims = read_object(payload)
        _check_parties(claims, rules)
        account = _text(claims, rules.account_claim, _MAX_ACCOUNT)
        if not (account.isascii() and account.isprintable() and account == account.strip()):
            # It becomes a header of the upstream request and a column of the record.
            _reject(Fault.CLAIM, f"`{rules.account_claim}` must be printable ASCII without blanks around it")
        jti = _text(claims, "jti", MAX_NAME) if "jti" in claims else None
        sid = _text(claims, "sid", MAX_NAME) if "sid" in claims else None
        begins, ends = _lifetime(claims, rules)
        issued = _instant(claims, "iat")
        proved = _instant(claims, "auth_time") if "auth_time" in claims else None
        assurance = _assurance(claims, rules.assurance)
    except _Refusal as refusal:
        return refusal.rejected
    except ValueError as error:
        return Rejected(Fault.JSON, f"payload: {error}")
    auth_time: Fact[int | None] = Unknown(WhyUnknown.TOKEN_LACKS_CLAIM) if proved is None else proved
    if proved is not None:
        # Nobody has proved anything in the future: such a token begins when its proof was made.
        begins = max(begins, proved - rules.leeway_s * MICROSECONDS)
    return Claims(account, jti, assurance, auth_time, begins, ends, issued, sid)


class _Refusal(Exception):
    """Carries a Rejected out of the depth of reading; never leaves this module."""

    def __init__(self, rejected: Rejected) -> None:
        super().__init__(rejected)
        self.rejected = rejected


def _reject(fault: Fault, detail: str) -> NoReturn:
    raise _Refusal(Rejected(fault, detail))


def _text(claims: dict[str, Any], name: str, most: int) -> str:
    value = claims.get(name)
    if not isinstance(value, str) or not 0 < len(value) <= most:
        _reject(Fault.CLAIM, f"`{name}` must be a string of 1 to {most} characters")
    return value


def _instant(claims: dict[str, Any], name: str) -> int:
    """Return a NumericDate in microseconds. `true` is not 1, and "1700000000" is not a number."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= _LAST_SECOND:
        _reject(Fault.CLAIM, f"`{name}` must be a number of seconds since 1970")
    return int(value * MICROSECONDS)


def _check_parties(claims: dict[str, Any], rules: ClaimRules) -> None:
    if claims.get("iss") != rules.issuer:
        _reject(Fault.ISSUER, f"`iss` is not {rules.issuer}")
    audience = claims.get("aud")
    named = audience if isinstance(audience, list) else [audience]
    if not all(isinstance(one, str) for one in named):
        _reject(Fault.AUDIENCE, "`aud` must be a string or a list of strings")
    if rules.audience not in named:
        _reject(Fault.AUDIENCE, f"`aud` does not name {rules.audience}")


def _lifetime(claims: dict[str, Any], rules: ClaimRules) -> tuple[int, int]:
    """Return the first and the last instant at which the token holds."""
    issued, expires = _instant(claims, "iat"), _instant(claims, "exp")
    if not issued < expires <= issued + rules.max_lifetime_s * MICROSECONDS:
        _reject(Fault.LIFETIME, f"`exp` must be 1 to {rules.max_lifetime_s} s after `iat`")
    begins = max(issued, _instant(claims, "nbf")) if "nbf" in claims else issued
    leeway = rules.leeway_s * MICROSECONDS
    return begins - leeway, expires + leeway - 1


def _assurance(claims: dict[str, Any], configured: Mapping[str, int]) -> int:
    """Return how strongly the subject was authenticated, 1 to 3.

    The `acr` decides where it means something to us, else the `amr`. What is not said is 1: somebody signed in.
    """
    acr, amr = claims.get("acr"), claims.get("amr")
    if "acr" in claims and not isinstance(acr, str):
        _reject(Fault.CLAIM, "`acr` must be a string")
    if "amr" in claims and not (isinstance(amr, list) and all(isinstance(method, str) for method in amr)):
        # Taken for a list, the string "mfa" would be the methods m, f and a.
        _reject(Fault.CLAIM, "`amr` must be a list of strings")
    if isinstance(acr, str):
        level = configured.get(acr, _USUAL_LEVELS.get(acr))
        if level is not None:
            return level
    methods: list[str] = amr or []
    levels = [configured.get(method, _USUAL_LEVELS.get(method, 1)) for method in methods]
    # What the configuration names counts as it says there, and not as a factor besides.
    kinds = {_KIND_OF_FACTOR.get(method) for method in methods if method not in configured} - {None}
    return max(levels, default=1) if len(kinds) < 2 else max(2, *levels)
