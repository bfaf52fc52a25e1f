"""The description of the API for programs (OpenAPI 3.1), made from the table of routes."""

from collections.abc import Sequence
from http import HTTPStatus

from gateway.api.problems import MEDIA_TYPE
from gateway.api.routes import Parameter, Route
from gateway.api.schemas import SCHEMAS, Schema, named
from gateway.core.service_token import Scope


def openapi(routes: Sequence[Route], version: str) -> Schema:
    """Return the document."""
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Gateway admin API",
            "version": version,
            "description": "Recorded decisions and alarms; addresses and documents masked without a reason.",
        },
        "paths": {route.path: {route.method.lower(): _operation(route)} for route in routes},
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "gwt_ID_SECRET",
                    "description": f"A service token; its scopes are among {', '.join(Scope)}.",
                }
            },
        },
    }


def _operation(route: Route) -> Schema:
    content = {"schema": named(route.answer)} if route.answer is not None else {}
    sent = {} if route.body is None else {"requestBody": _sent(route.body)}
    return {
        **sent,
        "operationId": route.name,
        "summary": route.says,
        "parameters": [_parameter(one) for one in route.parameters],
        "security": [] if route.scope is None else [{"token": [str(route.scope)]}],
        "responses": {
            "200": {"description": "The answer.", "content": {route.media_type: content}},
            **{
                str(status): {
                    "description": HTTPStatus(status).phrase,
                    "content": {MEDIA_TYPE: {"schema": named("Problem")}},
                }
                for status in route.statuses()
            },
        },
    }


def _sent(body: str) -> Schema:
    return {"required": True, "content": {"application/json": {"schema": named(body)}}}


def _parameter(parameter: Parameter) -> Schema:
    document: Schema = {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.place == "path",
        "description": parameter.says,
        "schema": parameter.schema,
    }
    if parameter.schema.get("type") == "array":
        document |= {"style": "form", "explode": False}
    return document
