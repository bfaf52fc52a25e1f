"""The credential that a request presents, as it came: nothing here is believed or checked."""

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from gateway.core.errors import ConfigError

_TOKEN: Final = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BEARER: Final = re.compile(rb"(?i:bearer) +([A-Za-z0-9\-._~+/]+=*)")
"""RFC 6750 §2.1 with the token68 of RFC 9110 §11.2; the scheme in any case (RFC 9110 §11.1)."""
_BLANKS: Final = b" \t"


class Presented(NamedTuple):
    """A credential as it came, not yet believed."""

    kind: str
    """`session` or `api_key`."""
    secret: bytes


class Conflicting(NamedTuple):
    """What was presented cannot be read as one credential: it proves nothing, and is not the same as nothing."""

    why: str
    """For the record; never a part of a secret."""


class CredentialRule:
    """Reads the credential: a bearer token, the named cookie, or an API key. It fails when built, never when asked."""

    __slots__ = ("_cookie", "_sighting")

    def __init__(self, *, cookie: str | None, api_key_header: str | None) -> None:
        """Raise ConfigError for a cookie or header that no client could send."""
        if cookie is not None and not _TOKEN.fullmatch(cookie):
            raise ConfigError(f"identity.cookie: `{cookie}` is not the name of a cookie, such as `session`")
        if api_key_header is not None:
            if not re.fullmatch(r"[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*", api_key_header):
                raise ConfigError(
                    f"identity.api_key_header: `{api_key_header}` is not the name of a header: write letters, "
                    "digits and hyphens, such as `X-API-Key`"
                )
            if api_key_header.lower() in {"authorization", "cookie"}:
                raise ConfigError(
                    f"identity.api_key_header: `{api_key_header}` is read for sessions already: an API key needs a "
                    "header of its own, such as `X-API-Key`"
                )
        self._cookie = None if cookie is None else cookie.encode("ascii")
        self._sighting = re.compile(rb"(?!)" if self._cookie is None else _any_spelling(self._cookie))

    @property
    def uses_cookie(self) -> bool:
        """Whether cookies matter at all."""
        return self._cookie is not None

    def read(
        self, authorization: bytes | None, cookies: Sequence[bytes], api_key: bytes | None
    ) -> Presented | Conflicting | None:
        """Return what was presented, None for nothing.

        `cookies` are the values of the Cookie lines. Empty values are nothing: they prove nobody to any reader.
        """
        token: bytes | None = None
        if authorization:
            bearer = _BEARER.fullmatch(authorization)
            if bearer is None:
                return Conflicting("Authorization is not one bearer token")
            token = bearer[1]
        session = self._session(cookies)
        if isinstance(session, Conflicting):
            return session
        if token and session and token != session:
            return Conflicting(f"a bearer token and another one in the cookie `{self._name}`")
        token = token or session
        if token and api_key:
            return Conflicting("a session and an API key")
        if api_key:
            return Presented("api_key", api_key)
        return Presented("session", token) if token else None

    @property
    def _name(self) -> str:
        return "" if self._cookie is None else self._cookie.decode("ascii")

    def _session(self, cookies: Sequence[bytes]) -> bytes | Conflicting | None:
        """Return the value of the cookie.

        Readers differ in what separates cookies (a comma, a blank), in the quotes, blanks, case and escapes of names.
        Whoever might see ours in a second place, or in another spelling, must not see another one than we do.
        """
        if self._cookie is None:
            return None
        values: list[bytes] = []
        sightings = 0
        for line in cookies:
            found = len(self._sighting.findall(line))
            if found:
                sightings += found
                pairs = (pair.strip(_BLANKS).partition(b"=") for pair in line.split(b";"))
                values += [value.lstrip(_BLANKS) for name, _, value in pairs if name == self._cookie]
        if not sightings:
            return None
        if sightings > 1:
            return Conflicting(f"the cookie `{self._name}` more than once")
        if not values:
            return Conflicting(f"the cookie `{self._name}` in another spelling")
        return values[0]


def _any_spelling(name: bytes) -> bytes:
    """Return a pattern of the cookie as some reader might see it: in any case, escaped, quoted, behind a blank."""
    letters = [
        b"(?:%b|%%%02x|%%%02x)" % (re.escape(letter), *letter.lower(), *letter.upper())
        for letter in (name[index : index + 1] for index in range(len(name)))
    ]
    return rb"(?i)(?:^|[\x00-\x20;,\"'])" + b"".join(letters) + rb"[\x00-\x20\"']*="
