"""The description is true: real answers are held against it, those of every route and every kind of problem."""

import json
import re
from typing import Any

import pytest

from gateway.api.openapi import openapi
from gateway.api.routes import ROUTES
from gateway.core.alarms import RuleShare
from gateway.core.permissions import Permission as Scope
from tests.api.conftest import ANALYST, METER, READER, WHY
from tests.core.test_alarms import ALARM, AT

DOCUMENT = openapi(ROUTES, "1")


def faults(schema: dict[str, Any], value: Any, where: str = "$") -> list[str]:
    """Return where a value is not what a schema says: as much of JSON Schema as the description uses."""
    known = {"type", "properties", "required", "additionalProperties", "items", "enum", "format", "description", "$ref"}
    assert set(schema) <= known | {"default", "minimum", "maximum", "minLength", "maxLength"}, schema
    if "$ref" in schema:
        return faults(DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]], value, where)
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    found = [] if kind_of(value) in kinds else [f"{where}: {value!r} is not {kinds}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of the enum")
    if schema.get("format") == "date-time" and not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", value):
        found.append(f"{where}: {value!r} is no instant")
    if isinstance(value, list):
        found += [one for n, item in enumerate(value) for one in faults(schema["items"], item, f"{where}[{n}]")]
    if isinstance(value, dict):
        found += [f"{where}: no {name}" for name in schema.get("required", ()) if name not in value]
        others = schema.get("additionalProperties", True)
        for name, item in value.items():
            if name in schema.get("properties", {}):
                found += faults(schema["properties"][name], item, f"{where}.{name}")
            elif others is False:
                found.append(f"{where}: {name} is not described")
            elif isinstance(others, dict):
                found += faults(others, item, f"{where}.{name}")
    return found


def kind_of(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return "null" if value is None else kinds[type(value)]


ASKED = [
    ("/api/v1/decisions", READER, {}),
    ("/api/v1/decisions", ANALYST, {"gateway_reason": WHY}),
    ("/api/v1/decisions?limit=2", READER, {}),
    ("/api/v1/decisions?limit=none", READER, {}),
    ("/api/v1/decisions", None, {}),
    ("/api/v1/decisions", METER, {}),
    ("/api/v1/decisions/stats", READER, {}),
    ("/api/v1/decisions/stats?by=x", READER, {}),
    ("/api/v1/decisions/{id}", READER, {}),
    ("/api/v1/decisions/{id}?explain=1", READER, {}),
    ("/api/v1/decisions/{id}", ANALYST, {"gateway_reason": WHY}),
    ("/api/v1/decisions/{id}?role=auditor", ANALYST, {}),
    ("/api/v1/decisions/nonsense", READER, {}),
    ("/api/v1/alarms", READER, {}),
    ("/api/v1/alarms?open=maybe", READER, {}),
    ("/api/v1/alarms", METER, {}),
    ("/api/v1/health", None, {}),
    ("/livez", None, {}),
    ("/readyz", None, {}),
    ("/readyz?verbose", None, {}),
    ("/api/v1/openapi.json", None, {}),
    ("/metrics", METER, {}),
    ("/metrics", None, {}),
]


@pytest.mark.parametrize(("path", "token", "headers"), ASKED)
async def test_an_answer_is_as_it_is_described(world, path, token, headers) -> None:
    answer = await world.get(path.format(id=world.ids[4]), token, **headers)
    plain = path.partition("?")[0].replace("nonsense", "{id}")
    responses = DOCUMENT["paths"][plain]["get"]["responses"]
    described = responses[str(answer.status_code)]["content"]
    media_type = answer.headers["content-type"].partition(";")[0]
    assert media_type in described
    if "schema" in described[media_type]:
        assert faults(described[media_type]["schema"], answer.json()) == []


SENT = [
    (ALARM.id, ANALYST, b'{"why": "the list of November"}', {}),
    (ALARM.id, ANALYST, b'{"why": "seen"}', {}),
    (ALARM.id, READER, b'{"why": "the list of November"}', {}),
    (ALARM.id, None, b'{"why": "the list of November"}', {}),
    (ALARM.id, ANALYST, b"x" * 9000, {}),
    (ALARM.id, ANALYST, b"{}", {"content_type": "text/plain"}),
    ("unknown", ANALYST, b'{"why": "the list of November"}', {}),
]


@pytest.mark.parametrize(("name", "token", "body", "headers"), SENT)
async def test_an_answer_to_what_was_sent_is_as_it_is_described(world, name, token, body, headers) -> None:
    share = RuleShare("us-exit/us-closed", 9, 9, 0, 4)
    world.alarms.note(AT, [ALARM._replace(rules=(share,)), ALARM._replace(value=None)], {ALARM.id: AT}, AT)
    answer = await world.post(f"/api/v1/alarms/{name}/acknowledge", body, token, **headers)
    operation = DOCUMENT["paths"]["/api/v1/alarms/{id}/acknowledge"]["post"]
    described = operation["responses"][str(answer.status_code)]["content"]
    assert faults(described[answer.headers["content-type"]]["schema"], answer.json()) == []
    if answer.status_code == 200:
        assert faults(operation["requestBody"]["content"]["application/json"]["schema"], json.loads(body)) == []
        listed = (await world.get("/api/v1/alarms")).json()
        assert faults({"$ref": "#/components/schemas/Alarms"}, listed) == []
        assert len(listed["alarms"]) == 2


async def test_too_many_failures_and_an_outage_are_described(world) -> None:
    for _ in range(11):
        answer = await world.get("/api/v1/decisions", "wrong")
    assert answer.status_code == 429
    world.clock.at += 10**9
    world.book.away = True
    assert (await world.get("/api/v1/decisions")).status_code == 503
    for status in ("429", "503"):
        assert status in DOCUMENT["paths"]["/api/v1/decisions"]["get"]["responses"]


async def test_the_description_is_served_as_it_is_made(world) -> None:
    served = (await world.get("/api/v1/openapi.json", None)).json()
    assert {**served, "info": None} == {**DOCUMENT, "info": None}


def test_every_path_is_described_with_its_parameters_and_its_scope() -> None:
    assert set(DOCUMENT["paths"]) == {route.path for route in ROUTES}
    for route in ROUTES:
        operation = DOCUMENT["paths"][route.path][route.method.lower()]
        assert {one["name"] for one in operation["parameters"] if one["in"] == "path"} == set(
            re.findall(r"{(\w+)}", route.path)
        )
        assert operation["security"] == ([] if route.scope is None else [{"token": [route.scope]}])
        assert all(one["description"] for one in operation["parameters"])
    others = {Scope.DECISIONS_UNMASK, Scope.ACCOUNTS_WRITE}  # asked for besides, by what is wanted
    commands = {Scope.TOKENS_READ, Scope.TOKENS_WRITE}  # tokens are made on the machine
    assert {route.scope for route in ROUTES} | others | commands == {*Scope, None}


def test_the_checker_of_these_tests_finds_what_is_wrong() -> None:
    schema = {"$ref": "#/components/schemas/Health"}
    assert faults(schema, {"status": "ok"}) == []
    for wrong in ({"status": "bad"}, {}, {"status": "ok", "more": 1}, [], None):
        assert faults(schema, wrong), wrong
