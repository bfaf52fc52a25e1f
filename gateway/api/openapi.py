"""The description of the API for programs (OpenAPI 3.1), made from the table of routes."""

from collections.abc import Sequence
from http import HTTPStatus

from gateway.api.problems import MEDIA_TYPE
from gateway.api.route import Parameter, Proof, Route
from gateway.api.schemas import SCHEMAS
from gateway.api.shapes import Schema, named
from gateway.core.permissions import Role
from gateway.core.service_token import SCOPES


def openapi(routes: Sequence[Route], version: str) -> Schema:
    """Return the document."""
    paths: Schema = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gateway admin API",
            "version": version,
            "description": "Recorded decisions, accounts, tickets and events; personal data masked without a reason.",
        },
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "gwt_ID_SECRET",
                    "description": f"A service token, whose scopes are among {', '.join(SCOPES)}; or a personal one, "
                    f"whose roles are among {', '.join(Role)}.",
                }
            },
        },
    }


def _operation(route: Route) -> Schema:
    signed = " What is sent is signed itself: no token is asked for." if route.proof is Proof.SIGNATURE else ""
    return {
        **({} if route.method == "GET" else {"requestBody": _sent(route)}),
        "operationId": route.name,
        "summary": route.says + signed,
        "parameters": [_parameter(one) for one in route.parameters],
        "security": [] if route.scope is None else [{"token": [str(route.scope)]}],
        "responses": {
            str(route.status): _answered(route),
            **{str(status): _refused(route, status) for status in route.statuses()},
        },
    }


def _answered(route: Route) -> Schema:
    if route.status == 202:
        return {"description": "Taken; there is nothing to say."}
    content = {"schema": named(route.answer)} if route.answer is not None else {}
    answer: Schema = {"description": "The answer.", "content": {route.media_type: content}}
    if any(one.name == "If-Match" for one in route.parameters) or route.answer in {"Ticket", "Account"}:
        answer["headers"] = {"ETag": {"description": "What `If-Match` takes.", "schema": {"type": "string"}}}
    return answer


def _refused(route: Route, status: int) -> Schema:
    # RFC 8935, section 2.3, has a form of its own for what is wrong with a token.
    if route.name == "takeSecurityEvent" and status == 400:
        return {
            "description": HTTPStatus(status).phrase,
            "content": {"application/json": {"schema": named("SetRefused")}},
        }
    return {"description": HTTPStatus(status).phrase, "content": {MEDIA_TYPE: {"schema": named("Problem")}}}


def _sent(route: Route) -> Schema:
    of_file: Schema = {"schema": {"type": "string", "format": "binary"}}
    return {
        "required": True,
        "content": {
            kind: {"schema": named(route.body)} if kind == "application/json" and route.body is not None else of_file
            for kind in route.body_types
        },
    }


def _parameter(parameter: Parameter) -> Schema:
    document: Schema = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.needed or parameter.place == "path",
        "description": parameter.says,
        "schema": parameter.schema,
    }
    if parameter.schema.get("type") == "array":
        document |= {"style": "form", "explode": False}
    return document
