"""What the API answers where it does not do what was asked: problem details (RFC 9457), naming the parameter."""

from collections.abc import Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.core.account import Refused
from gateway.core.errors import GatewayError

MEDIA_TYPE: Final = "application/problem+json"
COMMON_HEADERS: Final[Mapping[str, str]] = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
"""On every answer: decisions are personal data, and stay out of caches."""


class ApiProblem(GatewayError):
    """An answer other than the one that was asked for. `code` is stable; programs may compare it."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        parameter: str | None = None,
        allowed: Sequence[str] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.parameter = parameter
        self.allowed = list(allowed)
        """What could be asked for instead, where that is a short list."""
        self.headers = dict(headers or {})

    def document(self) -> dict[str, Any]:
        """Return the problem as a JSON object."""
        document: dict[str, Any] = {
            "type": f"urn:gateway:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
        }
        if self.parameter is not None:
            document["parameter"] = self.parameter
        if self.allowed:
            document["allowed"] = self.allowed
        return document

    def response(self) -> Response:
        """Return the problem as an answer."""
        return Response(
            orjson.dumps(self.document()), self.status, {**COMMON_HEADERS, **self.headers}, media_type=MEDIA_TYPE
        )


def bad_parameter(name: str, detail: str) -> ApiProblem:
    """Return the problem of a query parameter or header that cannot be what it is."""
    return ApiProblem(400, "bad-parameter", detail, parameter=name)


_OF_A_STEP: Final[Mapping[str, tuple[int, str]]] = {
    "id": (404, "no-such-thing"),
    "uid": (404, "no-such-account"),
    "version": (412, "changed-meanwhile"),
    "permission": (403, "role-missing"),
    "proposal": (403, "another-person-needed"),
    "evidence": (409, "evidence-missing"),
    "hold": (409, "not-expeditable"),
    "ticket": (409, "not-possible"),
    "state": (409, "not-possible"),
    "revision": (409, "not-possible"),
    "digest": (409, "not-possible"),
    "base": (409, "base-changed"),
    "source": (409, "read-only"),
    "widening": (409, "widens"),
    "lock-out": (409, "locks-out"),
    "flips": (409, "flips-too-many"),
    "policies": (422, "policies-refused"),
    "status": (409, "not-possible"),
}


def of_refusal(refused: Refused) -> ApiProblem:
    """Return the problem of a change that is not made."""
    status, code = _OF_A_STEP.get(refused.what, (400, "bad-parameter"))
    name = "why" if refused.what == "reason" else refused.what
    return ApiProblem(status, code, refused.message, parameter=name if status == 400 else None, allowed=refused.allowed)


def page_of(asked: Mapping[str, str], most: int) -> tuple[int, str | None]:
    """Return how many are asked for, and behind which cursor. Raise ApiProblem."""
    limit = asked.get("limit", "50")
    if not (limit.isascii() and limit.isdigit() and 1 <= int(limit[:6]) <= most):
        raise bad_parameter("limit", f"limit: `{limit[:20]}` is not a number from 1 to {most}")
    return int(limit), asked.get("cursor")


def choice(asked: Mapping[str, str], name: str, choices: Iterable[str]) -> str | None:
    """Return a parameter that is one of these; None where it is not there. Raise ApiProblem."""
    value, names = asked.get(name), [*map(str, choices)]
    if value is not None and value not in names:
        raise bad_parameter(name, f"{name}: `{value[:40]}` is none of {', '.join(names)}")
    return value


def parameters(request: Request, known: Iterable[str]) -> dict[str, str]:
    """Return the query, each parameter once. Raise ApiProblem for one that is not known, or is there twice."""
    names = tuple(known)
    found: dict[str, str] = {}
    for name, text in request.query_params.multi_items():
        if name not in names:
            raise bad_parameter(name[:64], f"`{name[:64]}` is no parameter here; these are: {', '.join(names)}")
        if name in found:
            raise bad_parameter(name, f"{name}: it is there twice; send it once")
        found[name] = text
    return found


def unavailable(detail: str) -> ApiProblem:
    """Return the problem of a part that does not answer now and may soon."""
    return ApiProblem(503, "unavailable", detail, headers={"Retry-After": "5"})


def json_response(document: object, status: int = 200, *, etag: str | None = None) -> Response:
    """Return a document as an answer."""
    headers = COMMON_HEADERS if etag is None else {**COMMON_HEADERS, "ETag": etag}
    return Response(orjson.dumps(document), status, headers, media_type="application/json")
