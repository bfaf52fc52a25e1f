"""The schemas for editors say what `syntax` does, as far as a schema can."""

import json
import re
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from gateway.policies import library
from gateway.policies.json_schema import exceptions_schema, list_schema, policy_schema

SHIPPED = Path(library.__file__).parent


def faults(value, schema, root, where="") -> list[str]:
    """Return where a value breaks a schema, for as much of JSON Schema as ours use."""
    if "$ref" in schema:
        return faults(value, root["definitions"][schema["$ref"].rpartition("/")[2]], root, where)
    known = {
        "type",
        "enum",
        "pattern",
        "minLength",
        "maxLength",
        "minimum",
        "maximum",
        "minItems",
        "maxItems",
        "items",
        "properties",
        "examples",
        "required",
        "oneOf",
    }
    known |= {"additionalProperties", "minProperties", "maxProperties", "anyOf", "description", "title", "definitions"}
    assert schema.keys() <= known | {"$schema", "$id"}, schema.keys() - known
    found = []
    types = schema.get("type", [])
    if types and not any(is_a(value, one) for one in ([types] if isinstance(types, str) else types)):
        return [f"{where}: {value!r} is no {types}"]
    if "enum" in schema and value not in schema["enum"]:
        found.append(f"{where}: {value!r} is none of {schema['enum']}")
    if isinstance(value, str):
        if not re.search(schema.get("pattern", ""), value):
            found.append(f"{where}: {value!r} does not match {schema['pattern']}")
        if not schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 10**9):
            found.append(f"{where}: length")
    if isinstance(value, int) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{where}: {value} is out of bounds")
    if isinstance(value, list):
        found += [fault for item in value for fault in faults(item, schema.get("items", {}), root, f"{where}[]")]
        found += [f"{where}: empty"] if len(value) < schema.get("minItems", 0) else []
        found += [f"{where}: too many"] if len(value) > schema.get("maxItems", 10**9) else []
    if isinstance(value, dict):
        properties = schema.get("properties", {})
        found += [f"{where}: lacks {name}" for name in schema.get("required", ()) if name not in value]
        found += [f"{where}: unknown {name}" for name in value if name not in properties and "properties" in schema]
        found += [
            f for name, one in value.items() for f in faults(one, properties.get(name, {}), root, f"{where}.{name}")
        ]
        if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", 10**9):
            found.append(f"{where}: number of fields")
    for key in ("oneOf", "anyOf"):
        fitting = sum(not faults(value, one, root, where) for one in schema.get(key, ()))
        if key in schema and (fitting != 1 if key == "oneOf" else fitting == 0):
            found.append(f"{where}: fits {fitting} of {key}")
    return found


def is_a(value, name) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    kinds = {"string": str, "integer": int, "number": int | float, "array": list, "object": dict, "null": type(None)}
    return name != "boolean" and isinstance(value, kinds[name])


def read(path):
    """Return a file as an editor reads it: dates are text, as the core schema of YAML has it."""
    yaml = YAML(typ="safe", pure=True)
    yaml.constructor.add_constructor("tag:yaml.org,2002:timestamp", lambda _, node: node.value)
    return yaml.load(path.read_text())


@pytest.mark.parametrize(
    ("name", "schema"),
    [("policy.v1", policy_schema()), ("list.v1", list_schema()), ("exceptions.v1", exceptions_schema())],
)
def test_the_published_schema_is_the_one_we_mean(root, name, schema):
    published = root / "schemas" / f"{name}.json"
    hint = "run `gateway policy schema --json-schema` (and `--lists`, `--exceptions`) again"
    assert json.loads(published.read_text()) == json.loads(json.dumps(schema)), hint


def undescribed(schema, root, where=""):
    """Yield the keys of which an editor would say nothing."""
    if isinstance(schema, dict):
        for name, one in schema.get("properties", {}).items():
            defined = root["definitions"][one["$ref"].rpartition("/")[2]] if "$ref" in one else {}
            if not one.get("description") and not defined.get("description"):
                yield f"{where}.{name}"
        for key, value in schema.items():
            yield from undescribed(value, root, f"{where}.{key}")
    elif isinstance(schema, list):
        for value in schema:
            yield from undescribed(value, root, where)


@pytest.mark.parametrize("schema", [policy_schema(), list_schema(), exceptions_schema()], ids=lambda one: one["title"])
def test_an_editor_says_of_every_key_what_it_is(schema):
    assert list(undescribed(schema, schema)) == []


def test_a_key_of_which_nothing_is_said_would_be_found():
    assert list(undescribed({"properties": {"a": {"type": "string"}}}, {})) == [".a"]


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_policy_keeps_the_schema(path):
    assert faults(read(path), policy_schema(), policy_schema()) == []


@pytest.mark.parametrize("path", sorted(SHIPPED.glob("lists/*.yaml")), ids=lambda path: path.stem)
def test_every_shipped_list_keeps_the_schema(path):
    assert faults(read(path), list_schema(), list_schema()) == []


POLICY = {"policy": "p", "title": "t", "owner": "o", "rules": [], "tests": []}
LIMIT = {"id": "r", "limit": "none", "when": "a", "reason": "hold", "basis": "b"}
TEST = {"name": "n", "operation": "view", "expect": {"outcome": "deny"}}


@pytest.mark.parametrize(
    ("rule", "right"),
    [
        (LIMIT, True),
        ({"id": "r", "grant": ["view", "trade"], "when": True}, True),
        ({**LIMIT, "limit": {"all_but": ["withdraw"]}}, True),
        ({**LIMIT, "on_match": [{"hold": {"operations": ["withdraw"], "expires": "72h"}}]}, True),
        ({**LIMIT, "in_force": {"from": "2023-02-15", "until": "2023-04-01T00:00:00Z"}}, True),
        ({**LIMIT, "absolute": True}, True),
        ({**LIMIT, "absolute": "yes"}, False),
        ({**LIMIT, "grant": "full"}, False),
        ({**LIMIT, "limit": "nothing"}, False),
        ({**LIMIT, "limit": []}, False),
        ({**LIMIT, "resaon": "hold"}, False),
        ({**LIMIT, "reason": "not-granted"}, False),
        ({**LIMIT, "status": 404}, False),
        ({**LIMIT, "message": "x" * 301}, False),
        ({**LIMIT, "on_match": [{"flag": "a", "ticket": "b"}]}, False),
        ({**LIMIT, "on_match": [{"status": "none"}]}, False),
        ({**LIMIT, "on_match": [{"flag": "a", "after": {"days": 3, "within": "30d"}}]}, True),
        ({**LIMIT, "on_refusal": [{"after": {"days": 3, "within": "30d"}, "status": "flagged"}]}, True),
        ({**LIMIT, "on_match": [{"ticket": "a", "after": {"days": 3, "within": "30d"}}]}, False),
        ({**LIMIT, "on_match": [{"after": {"days": 3, "within": "30d"}}]}, False),
        ({**LIMIT, "on_match": [{"flag": "a", "after": {"days": 3}}]}, False),
        ({**LIMIT, "on_match": [{"flag": "a", "after": {"days": 1, "within": "30d"}}]}, False),
        ({**LIMIT, "on_match": [{"hold": {"operations": ["view"], "expires": "1h", "expeditable": False}}]}, True),
        ({**LIMIT, "on_match": [{"hold": {"operations": ["view"], "expeditable": "no"}}]}, False),
        ({**LIMIT, "in_force": {"from": "2023-02-15T00:00:00"}}, False),
        ({"id": "r", "limit": "none", "when": "a"}, False),
        ({"id": "r", "require": {"for": "full", "proof": "mfa", "max_age": "5 m"}, "when": "a"}, False),
    ],
)
def test_an_editor_marks_what_the_language_refuses(rule, right):
    assert (faults({**POLICY, "rules": [rule]}, policy_schema(), policy_schema()) == []) is right


EXCEPTION = {
    "id": "e",
    "operations": ["withdraw"],
    "account": "c-1",
    "lifts": ["p/r"],
    "reason": "because",
    "basis": "b",
    "from": "2026-01-01",
    "until": "2026-02-01",
}


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({}, True),
        ({"account": None, "accounts": ["c-1", 4711]}, True),
        ({"account": None, "network": "office", "tests": [TEST], "approved_by": "somebody"}, True),
        ({"account": None}, False),
        ({"network": "office"}, False),
        ({"until": None}, False),
        ({"operations": ["unclassified"]}, False),
        ({"operations": "full"}, False),
        ({"lifts": ["p/*"]}, False),
        ({"account": None, "accounts": [f"c-{number}" for number in range(21)]}, False),
    ],
)
def test_an_editor_marks_exceptions_that_the_language_refuses(changes, right):
    entry = {key: value for key, value in {**EXCEPTION, **changes}.items() if value is not None}
    document = {"exceptions": "some", "owner": "o", "entries": [entry]}
    assert (faults(document, exceptions_schema(), exceptions_schema()) == []) is right


@pytest.mark.parametrize(
    ("facts", "right"),
    [
        ({"country": "US", "documents": [], "auth_age": 60, "residence": None, "status": "open"}, True),
        ({"country": {"unknown": "no-record"}, "subdivision": {"prefixes": ["US-"]}}, True),
        ({"country": {"one_of": ["US"]}}, True),
        ({"country": {}}, False),
        ({"country": {"unknown": "perhaps"}}, False),
        ({"status": "opne"}, False),
        ({"contry": "US"}, False),
        ({"documents": "US"}, False),
        ({"assurance": 4}, False),
    ],
)
def test_an_editor_marks_facts_that_cannot_be(facts, right):
    assert (faults({**POLICY, "tests": [{**TEST, "facts": facts}]}, policy_schema(), policy_schema()) == []) is right
