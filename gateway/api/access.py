"""Who asks, and whether they may: bearer tokens (RFC 6750), checked at every request, failures bounded by address."""

from typing import Any, Final

import structlog
from starlette.requests import Request

from gateway.api.attempts import Attempts
from gateway.api.problems import ApiProblem, unavailable
from gateway.api.services import Services
from gateway.core.errors import StoreUnavailable
from gateway.core.permissions import PEOPLE_ONLY, Permission, may, roles_with
from gateway.core.service_token import ServiceToken, read_token

log: Any = structlog.get_logger("gateway")

_REALM: Final = 'Bearer realm="gateway-admin"'
_LONGEST: Final = 256


class Gate:
    """Lets in who holds a token that opens what is asked for."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._attempts = Attempts()

    async def admit(self, request: Request, permission: Permission) -> ServiceToken:
        """Return the caller's token. Raise ApiProblem: 401, 403, 429, or 503 where the store does not answer."""
        self.listen(request)
        text = _bearer(request)
        if text is None:
            raise ApiProblem(
                401,
                "token-required",
                "send a token as `Authorization: Bearer gwt_…`; `gateway token create` makes one",
                headers={"WWW-Authenticate": _REALM},
            )
        now = self._services.clock.now()
        try:
            token = await self._services.tokens.check(text, now) if len(text) <= _LONGEST else None
        except StoreUnavailable as fault:
            log.error("admin:store_unavailable", why=str(fault))  # noqa: TRY400 - the fault is the message
            raise unavailable("the store that knows the tokens does not answer") from fault
        if token is None:
            presented = read_token(text)
            self.failed(request, token_id=None if presented is None else presented.token_id)
            raise ApiProblem(
                401,
                "token-invalid",
                "this token is none, has expired, or was revoked; `gateway token list` shows which there are",
                headers={"WWW-Authenticate": f'{_REALM}, error="invalid_token"'},
            )
        self.require(token, permission)
        return token

    def listen(self, request: Request) -> None:
        """Raise ApiProblem, 429, where the address failed too often to prove who it is."""
        wait = self._attempts.wait(self._address_of(request), self._services.clock.now())
        if wait:
            raise ApiProblem(
                429,
                "too-many-failures",
                "too many tokens or signatures from this address were not believed; ask again later",
                headers={"Retry-After": str(wait)},
            )

    def failed(self, request: Request, **what: str | None) -> None:
        """Count that the address failed to prove who it is, and log it with what is known of who it said it was."""
        address = self._address_of(request)
        self._attempts.failed(address, self._services.clock.now())
        log.warning("admin:refused", address=address, **what)

    def require(self, token: ServiceToken, permission: Permission) -> None:
        """Raise ApiProblem, 403, where the token does not open this."""
        if may(token.identity, permission):
            return
        if token.person is not None:
            roles = " or ".join(roles_with(permission)) or "no role: it is for programs"
            raise ApiProblem(403, "role-missing", f"`{permission}` takes the role {roles}", headers=_lacks(permission))
        how = f"`gateway token create --scope {permission}` makes one"
        if permission in PEOPLE_ONLY:
            how = "no service token opens it: it is for people, by a personal token"
        raise ApiProblem(
            403,
            "scope-missing",
            f"the token {token.token_id} lacks the scope {permission}; {how}",
            headers=_lacks(permission),
        )

    def _address_of(self, request: Request) -> str | None:
        headers: dict[str, list[bytes]] = {}
        for name, value in request.scope["headers"]:
            headers.setdefault(name.decode("latin-1"), []).append(value)
        return self._services.address_of(None if request.client is None else request.client.host, headers)


def _lacks(permission: Permission) -> dict[str, str]:
    return {"WWW-Authenticate": f'{_REALM}, error="insufficient_scope", scope="{permission}"'}


def _bearer(request: Request) -> str | None:
    """Return what the one Authorization header holds behind `Bearer`; None where there is none."""
    lines = request.headers.getlist("authorization")
    if len(lines) != 1:
        return None
    kind, _, text = lines[0].partition(" ")
    return text.strip() if kind.lower() == "bearer" and text.strip() else None
