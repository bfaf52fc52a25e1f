"""What a route is: what it takes, needs and answers."""

from enum import StrEnum, unique
from typing import NamedTuple

from gateway.api.shapes import Schema
from gateway.core.permissions import Permission


class Parameter(NamedTuple):
    """One query parameter, path parameter or header."""

    name: str
    says: str
    schema: Schema
    place: str = "query"
    needed: bool = False
    """Whether it must be there; a path parameter always is."""


@unique
class Proof(StrEnum):
    """How whoever asks proves who they are, where they hold no token."""

    NONE = "none"
    SIGNATURE = "signature"
    """What is sent is signed itself."""


class Route(NamedTuple):
    """One path with one method."""

    name: str
    """The endpoint's name, and OpenAPI's operationId."""
    path: str
    says: str
    scope: Permission | None
    """What the token must open; None: no token is asked for."""
    parameters: tuple[Parameter, ...]
    answer: str | None
    """The schema of the answer; None where it is not JSON, or is the OpenAPI document itself."""
    media_type: str = "application/json"
    problems: tuple[int, ...] = ()
    """Statuses other than the one of the answer, besides those that follow from the scope."""
    method: str = "GET"
    body: str | None = None
    """The schema of what is sent; None where nothing is, or no JSON."""
    body_types: tuple[str, ...] = ("application/json",)
    proof: Proof = Proof.NONE
    status: int = 200

    def statuses(self) -> tuple[int, ...]:
        """Return every other status that the route may answer with."""
        of_who = (401, 403, 429, 503) if self.scope is not None else ()
        return tuple(sorted({*self.problems, *of_who} - {self.status}))
