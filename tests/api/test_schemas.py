from typing import Any

from gateway.api.schemas import SCHEMAS


def references(schema: Any) -> set[str]:
    if isinstance(schema, dict):
        found = {schema["$ref"].rpartition("/")[2]} if "$ref" in schema else set()
        return found.union(*map(references, schema.values()))
    return set().union(*map(references, schema)) if isinstance(schema, list) else set()


def test_every_reference_leads_to_a_schema() -> None:
    assert references(SCHEMAS) >= {"Alarm", "Decision", "Ticket", "Problem"}
    assert references(SCHEMAS) <= set(SCHEMAS)


def test_what_only_some_decisions_have_is_not_required_of_all() -> None:
    decision = SCHEMAS["Decision"]
    assert set(decision["properties"]) - set(decision["required"]) == {
        "about",
        "account_remembered",
        "ambiguous",
        "erased",
        "masked",
        "message",
        "signals_detail",
    }
