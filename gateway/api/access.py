"""Who asks, and whether they may: bearer tokens (RFC 6750), checked at every request, failures bounded by address."""

from typing import Any, Final

import structlog
from starlette.requests import Request

from gateway.api.attempts import Attempts
from gateway.api.problems import ApiProblem, unavailable
from gateway.api.services import Services
from gateway.core.errors import StoreUnavailable
from gateway.core.service_token import Scope, ServiceToken, read_token

log: Any = structlog.get_logger("gateway")

_REALM: Final = 'Bearer realm="gateway-admin"'
_LONGEST: Final = 256


class Gate:
    """Lets in who holds a token with the scope that is asked for."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._attempts = Attempts()

    async def admit(self, request: Request, scope: Scope) -> ServiceToken:
        """Return the caller's token. Raise ApiProblem: 401, 403, 429, or 503 where the store does not answer."""
        now = self._services.clock.now()
        address = self._address_of(request)
        wait = self._attempts.wait(address, now)
        if wait:
            raise ApiProblem(
                429,
                "too-many-failures",
                "too many tokens from this address were not believed; ask again later",
                headers={"Retry-After": str(wait)},
            )
        text = _bearer(request)
        if text is None:
            raise ApiProblem(
                401,
                "token-required",
                "send a service token as `Authorization: Bearer gwt_…`; `gateway token create` makes one",
                headers={"WWW-Authenticate": _REALM},
            )
        try:
            token = await self._services.tokens.check(text, now) if len(text) <= _LONGEST else None
        except StoreUnavailable as fault:
            log.error("admin:store_unavailable", why=str(fault))  # noqa: TRY400 - the fault is the message
            raise unavailable("the store that knows the tokens does not answer") from fault
        if token is None:
            self._attempts.failed(address, now)
            presented = read_token(text)
            log.warning("admin:refused", address=address, token_id=None if presented is None else presented.token_id)
            raise ApiProblem(
                401,
                "token-invalid",
                "this token is none, has expired, or was revoked; `gateway token list` shows which there are",
                headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'},
            )
        self.require(token, scope)
        return token

    def require(self, token: ServiceToken, scope: Scope) -> None:
        """Raise ApiProblem, 403, where the token lacks the scope."""
        if scope not in token.scopes:
            raise ApiProblem(
                403,
                "scope-missing",
                f"the token {token.token_id} lacks the scope {scope}; `gateway token create --scope {scope}` makes one",
                headers={"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{scope}"'},
            )

    def _address_of(self, request: Request) -> str | None:
        headers: dict[str, list[bytes]] = {}
        for name, value in request.scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value)
        return self._services.address_of(None if request.client is None else request.client.host, headers)


def _bearer(request: Request) -> str | None:
    """Return what the one Authorization header holds behind `Bearer`; None where there is none."""
    lines = request.headers.getlist("authorization")
    if len(lines) != 1:
        return None
    kind, _, text = lines[0].partition(" ")
    return text.strip() if kind.lower() == "bearer" and text.strip() else None
