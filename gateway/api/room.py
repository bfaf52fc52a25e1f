"""What the endpoints on accounts, tickets and messages share: the gate, leave to look, and work that is done once."""

from typing import TypeVar

from starlette.requests import Request

from gateway.api.access import Gate
from gateway.api.once import Once
from gateway.api.problems import ApiProblem
from gateway.api.reasons import Looks
from gateway.api.services import Desk, Services
from gateway.core.permissions import Permission
from gateway.core.service_token import ServiceToken

T = TypeVar("T")


class Room:
    """One for all of them. What is not configured answers 501, to whoever may ask."""

    def __init__(self, services: Services, gate: Gate) -> None:
        self.services = services
        self.gate = gate
        self.looks = Looks(services, gate)
        self.once = None if services.desk is None else Once(services.desk.once)

    async def admit(self, request: Request, permission: Permission) -> tuple[ServiceToken, Desk]:
        """Return the caller's token, and the desk. Raise ApiProblem."""
        token = await self.gate.admit(request, permission)
        return token, self.desk()

    def desk(self) -> Desk:
        """Return the desk. Raise ApiProblem, 501, where this process has none."""
        return there(self.services.desk, "accounts and tickets", "[store]")

    def now(self) -> int:
        """Return the time, microseconds since the epoch."""
        return self.services.clock.now()


def there(part: T | None, what: str, table: str) -> T:
    """Return a part that is configured. Raise ApiProblem, 501, where it is not."""
    if part is None:
        raise ApiProblem(501, "not-configured", f"{what}: not configured here; `{table}` says where")
    return part


def seen_version(request: Request) -> int:
    """Return the version of a ticket that the caller saw. Raise ApiProblem: 428 where it is not said."""
    tag = seen_tag(request)
    number = tag.strip('"')
    if not (tag == f'"{number}"' and number.isascii() and number.isdecimal() and len(number) < 10):
        raise ApiProblem(412, "changed-meanwhile", "If-Match: no version of this ticket had that ETag")
    return int(number)


def seen_tag(request: Request) -> str:
    """Return the ETag of what the caller saw. Raise ApiProblem: 428 where it is not said."""
    lines = request.headers.getlist("if-match")
    if len(lines) != 1 or lines[0].strip() == "*":
        raise ApiProblem(
            428, "if-match-needed", "send `If-Match` with the ETag of what you saw, so that nothing unseen is changed"
        )
    return lines[0].strip()
