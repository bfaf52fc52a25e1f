"""What the API answers where it does not do what was asked: problem details (RFC 9457), naming the parameter."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

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
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.parameter = parameter
        self.headers = dict(headers or {})

    def response(self) -> Response:
        """Return the problem as an answer."""
        document: dict[str, Any] = {
            "type": f"urn:gateway:problem:{self.code}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": str(self),
        }
        if self.parameter is not None:
            document["parameter"] = self.parameter
        return Response(orjson.dumps(document), self.status, {**COMMON_HEADERS, **self.headers}, media_type=MEDIA_TYPE)


def bad_parameter(name: str, detail: str) -> ApiProblem:
    """Return the problem of a query parameter or header that cannot be what it is."""
    return ApiProblem(400, "bad-parameter", detail, parameter=name)


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


def json_response(document: object) -> Response:
    """Return a document as an answer."""
    return Response(orjson.dumps(document), 200, COMMON_HEADERS, media_type="application/json")
