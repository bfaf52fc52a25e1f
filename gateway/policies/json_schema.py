"""JSON Schemas of policies, lists and exceptions, for editors. What they cannot say, `gateway policy check` does."""

from typing import Any, Final

from gateway.core.evidence import LONGEST_WITHIN
from gateway.core.terms import Access, Effect, Operation, Outcome, Proof, Reason, Status, WhyUnknown
from gateway.policies.duties import AFTER, KINDS, ON_EVIDENCE
from gateway.policies.exceptions import (
    ENTRY_FIELDS,
    EXCEPTIONS_FIELDS,
    LONGEST_ACCOUNT,
    LONGEST_DAYS,
    MOST_ACCOUNTS,
    MOST_LIFTED,
    MOST_OPERATIONS,
)
from gateway.policies.fields import NAME
from gateway.policies.lists import LIST_FIELDS, LIST_KINDS
from gateway.policies.schema import FACTS, FactSchema, Kind
from gateway.policies.syntax import LONGEST_MESSAGE, OWN_REASONS, POLICY_FIELDS, REFUSAL_STATUSES, RULE_FIELDS

Schema = dict[str, Any]

_DRAFT: Final = "http://json-schema.org/draft-07/schema#"
_INSTANT: Final[Schema] = {
    "type": "string",
    "pattern": r"^\d{4}-\d{2}-\d{2}([T ].+(Z|[+-]\d{2}:?\d{2}))?$",
    "description": "A date (midnight, UTC) or a time with its offset from UTC.",
}
_DURATION: Final[Schema] = {
    "type": "string",
    "pattern": "^[0-9]{1,6}[smhd]$",
    "description": "Such as 45s, 5m, 72h or 30d.",
}
_NAME: Final[Schema] = {"type": "string", "pattern": f"^{NAME.pattern}$"}

_PATTERNS: Final = {Kind.COUNTRY: "^[A-Z]{2}$", Kind.SUBDIVISION: "^[A-Z]{2}-[A-Z0-9]{1,3}$"}
_DUTIES: Final = {
    "flag": "A mark to set on the account.",
    "status": "The status that the account takes.",
    "hold": "Operations to close for the account until people lift that, or it ends.",
    "ticket": "A ticket to open, by its category.",
    "notify": "An event to tell other systems of.",
}


def policy_schema() -> Schema:
    """Return the schema of a policy file."""
    fields: Schema = {
        "policy": {**_NAME, "description": "The policy's name, unique in the bundle."},
        "title": _text("What the policy is, in a few words."),
        "owner": _text("Who answers for it."),
        "description": _text("What a reader should know."),
        "rules": _said("Access is the union of the matching grants, inside every matching limit.", _items(_rule())),
        "tests": _said("Each limit and requirement has at least one that it determines.", _items(_test())),
    }
    return {
        "$schema": _DRAFT,
        "$id": "urn:gateway:schema:policy:v1",
        "title": "Gateway policy",
        **_table(fields, POLICY_FIELDS, ("policy", "title", "owner", "rules")),
        "definitions": {**_definitions(), "operations": _operations()},
    }


def list_schema() -> Schema:
    """Return the schema of a list file."""
    code: Schema = {"type": ["string", "integer"], "description": "A code of the list's kind."}
    entry = {"oneOf": [code, _table({"code": code, "note": _text("Why it is here.")}, ("code", "note"), ("code",))]}
    fields: Schema = {
        "list": {**_NAME, "description": "The list's name; conditions write `_` for each `-`."},
        "kind": _said("What its entries are.", {"enum": list(LIST_KINDS)}),
        "title": _text("What the list is."),
        "source": _text("Where the entries come from."),
        "date": {**_INSTANT, "description": "When it was last compared with its source."},
        "stale_after": {
            **_DURATION,
            "description": "How long after that it holds, such as 180d; then a warning says so.",
        },
        "entries": _said("Its codes, each with a note where that helps.", {**_items(entry), "minItems": 1}),
    }
    return {
        "$schema": _DRAFT,
        "$id": "urn:gateway:schema:list:v1",
        "title": "Gateway list",
        **_table(fields, LIST_FIELDS, tuple(name for name in LIST_FIELDS if name != "stale_after")),
    }


def exceptions_schema() -> Schema:
    """Return the schema of a file of exceptions."""
    account: Schema = {"type": ["string", "number"], "maxLength": LONGEST_ACCOUNT}
    operations = [name for name in _codes(Operation) if name != Operation.UNCLASSIFIED]
    rule: Schema = {"type": "string", "pattern": f"^{NAME.pattern}/{NAME.pattern}$"}
    entry: Schema = {
        "id": {**_NAME, "description": "The exception's name, unique in the file."},
        "operations": _some({"enum": operations}, MOST_OPERATIONS, "The operations for which the rules do not apply."),
        "account": {**account, "description": "The account that it is for."},
        "accounts": _some(account, MOST_ACCOUNTS, "The accounts that it is for."),
        "network": _text("The operator's network list that it is for."),
        "lifts": _some(rule, MOST_LIFTED, "The rules that do not apply, as POLICY/RULE. None of them is absolute."),
        "reason": _text("Why, in words."),
        "basis": _text("The ticket, ruling or agreement that it rests on."),
        "approved_by": _text("Who agreed: somebody else than the owner."),
        "from": {**_defined("instant"), "description": "From when it is in force."},
        "until": {**_defined("instant"), "description": f"When it ends: at most {LONGEST_DAYS} days after `from`."},
        "tests": _said("What it opens, and what it does not.", _items(_test())),
    }
    needed = ("id", "operations", "lifts", "reason", "basis", "from", "until")
    one = _table(entry, ENTRY_FIELDS, needed)
    one["oneOf"] = [{"required": [whom]} for whom in ("account", "accounts", "network")]
    fields: Schema = {
        "exceptions": {**_NAME, "description": "The name of these exceptions, unique in the bundle."},
        "owner": _text("Who answers for them."),
        "description": _text("What a reader should know."),
        "entries": _said("The exceptions, each narrow, reasoned and ending.", _items(one)),
    }
    return {
        "$schema": _DRAFT,
        "$id": "urn:gateway:schema:exceptions:v1",
        "title": "Gateway exceptions",
        **_table(fields, EXCEPTIONS_FIELDS, ("exceptions", "owner", "entries")),
        "definitions": _definitions(),
    }


def _definitions() -> Schema:
    """Return what rules and tests refer to."""
    return {
        "duties": _said("What must happen besides the answer, once for each cause.", _items(_duty())),
        "instant": _INSTANT,
        "listed": _listed(),
        "reason": _said("The stable code of why.", {"enum": _codes(Reason)}),
        "why": _said("Why a fact is uncertain.", {"enum": _codes(WhyUnknown)}),
    }


def _rule() -> Schema:
    operations = _defined("operations")
    proof: Schema = {
        "for": _said("The operations that it guards.", operations),
        "proof": _said("What is asked, each stronger than the one before.", {"enum": _codes(Proof)}),
        "max_age": _said("How fresh it must be, such as 5m; any age where this is left out.", _DURATION),
    }
    dates: Schema = {
        "from": _said("The first instant in force.", _defined("instant")),
        "until": _said("The first instant no longer in force.", _defined("instant")),
    }
    reasons = [reason for reason in _codes(Reason) if reason not in OWN_REASONS]
    fields: Schema = {
        "id": {**_NAME, "description": "The rule's name, unique in the policy."},
        "grant": {**operations, "description": "Operations that this rule opens."},
        "limit": {**operations, "description": "Operations that this rule leaves open at most."},
        "require": _said("The proof that this rule asks for.", _table(proof, tuple(proof), ("for", "proof"))),
        "when": {
            "type": ["string", "boolean"],
            "description": f"A condition over: {', '.join(FACTS)}; or true. Texts stand in quotes.",
            "examples": ['country == "US" or "US" in documents', "country in embargoed_countries", True],
        },
        "reason": {"enum": reasons, "description": "Why, as a stable code."},
        "basis": {
            **_text("The law, order or internal decision that it rests on."),
            "examples": ["23 NYCRR 200.3(a)", "Legal memo 2026-14"],
        },
        "in_force": _said("When it applies; always, where this is left out.", _table(dates, ("from", "until"), ())),
        "on_match": _said("What must happen wherever the condition is certainly true.", _defined("duties")),
        "on_refusal": _said("What must happen where this rule determined a refusal.", _defined("duties")),
        "status": _said("How a limit is answered: 451 is for legal reasons.", {"enum": list(REFUSAL_STATUSES)}),
        "message": {"type": "string", "maxLength": LONGEST_MESSAGE, "description": "What the visitor may read."},
        "justification": _text("Why it is safe that `known(...)` lets ignorance decide."),
        "absolute": {"type": "boolean", "description": "True where no exception may lift the rule."},
    }
    table = _table(fields, RULE_FIELDS, ("id", "when"))
    table["oneOf"] = [
        {"required": [effect.value, *(() if effect is Effect.GRANT else ("reason", "basis"))]} for effect in Effect
    ]
    return table


def _test() -> Schema:
    expect: Schema = {
        "outcome": _said("The answer.", {"enum": _codes(Outcome)}),
        "by": {"type": "array", "items": {"type": "string"}, "description": "Exactly the rules that determine."},
        "reason": _defined("reason"),
        "access": _said("The widest level that is left open.", {"enum": _codes(Access)}),
        "obligations": _said("All that must happen besides.", _defined("duties")),
    }
    facts = {name: _fact(fact) for name, fact in FACTS.items() if name != "operation"}
    fields: Schema = {
        "name": _text("A sentence that is true if the test passes."),
        "facts": _said(
            "The facts that matter; the others are those of a quiet request.", _table(facts, tuple(facts), ())
        ),
        "operation": _said("What is attempted.", {"enum": _codes(Operation)}),
        "at": _said("When; left out, after every date of the policy.", _defined("instant")),
        "expect": _said("What must come out.", _table(expect, tuple(expect), ("outcome",))),
    }
    return _table(fields, tuple(fields), ("name", "operation", "expect"))


def _fact(fact: FactSchema) -> Schema:
    one: Schema = {"type": "number" if fact.is_number else "string"}
    if fact.domain is not None:
        one = {"enum": [value if isinstance(value, int) else str(value) for value in fact.domain]}
    elif not fact.is_number:
        one = {"type": ["string", "number"]}  # a code that looks like a number is still a code
        if fact.kind in _PATTERNS:
            one = {"type": "string", "pattern": _PATTERNS[fact.kind]}
    value: Schema = {"type": "array", "items": one} if fact.is_set else one
    why = _defined("why")
    several: Schema = {
        "one_of": _said("It is one of these, and nobody knows which.", _items(value)),
        "prefixes": _said("It is any that begins so.", _items({"type": "string"})),
        "why": why,
    }
    forms: list[Schema] = [
        value,
        _table({"unknown": _said("It may be anything, and why.", why)}, ("unknown",), ("unknown",)),
        _table(several, tuple(several), ()),
    ]
    forms[2]["anyOf"] = [{"required": ["one_of"]}, {"required": ["prefixes"]}]
    if fact.nullable:
        forms.append({"type": "null"})
    return {"description": fact.doc, "oneOf": forms}


def _duty() -> Schema:
    """Return the schema of an obligation: one of the kinds, and with some of them how much evidence it takes."""
    hold: Schema = {
        "operations": _said("What it closes.", _defined("listed")),
        "evidence": _said("What would lift it, by names of the desk.", _items(_NAME)),
        "expires": _said("When it ends by itself, such as 72h; otherwise people must lift it.", _DURATION),
        "expeditable": {"type": "boolean", "description": "False where nobody may lift it before it ends by itself."},
    }
    days: Schema = {
        "type": "integer", "minimum": 2, "maximum": LONGEST_WITHIN, "description": "On how many days it must be so."
    }  # fmt: skip
    after: Schema = {"days": days, "within": {**_DURATION, "description": "Whole days, such as 30d."}}
    values: dict[str, Schema] = {kind: _said(_DUTIES[kind], _NAME) for kind in KINDS}
    values["status"]["enum"] = [status for status in _codes(Status) if status != Status.NONE]
    values["hold"] = _said(_DUTIES["hold"], _table(hold, tuple(hold), ("operations",)))
    values[AFTER] = {
        **_table(after, tuple(after), tuple(after)),
        "description": "Only once it was so on that many days (UTC) of those that end with today.",
    }
    kinds = [(kind, AFTER) if kind in ON_EVIDENCE else (kind,) for kind in KINDS]
    return {"oneOf": [_table(values, fields, fields[:1]) for fields in kinds]}


def _operations() -> Schema:
    """Return the schema of a set of operations: a level, a list, or all but a list."""
    listed = _defined("listed")
    all_but = _table({"all_but": _said("All operations but these.", listed)}, ("all_but",), ("all_but",))
    return {"oneOf": [_said("A named level of access.", {"enum": _codes(Access)}), listed, all_but]}


def _listed() -> Schema:
    """Return the schema of a list of operations."""
    listed = {"type": "array", "minItems": 1, "items": {"enum": [*_codes(Operation), "trade"]}}
    return _said("Operations; `trade` covers all that begin so.", listed)


def _table(fields: dict[str, Schema], order: tuple[str, ...], needed: tuple[str, ...]) -> Schema:
    """Return the schema of a mapping with these fields and no others."""
    properties = {name: fields[name] for name in order}
    table: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**table, "required": list(needed)} if needed else table


def _some(item: Schema, most: int, description: str) -> Schema:
    """Return the schema of a list of at least one, and at most so many."""
    return {"type": "array", "minItems": 1, "maxItems": most, "items": item, "description": description}


def _items(item: Schema) -> Schema:
    return {"type": "array", "items": item}


def _said(description: str, schema: Schema) -> Schema:
    """Return a schema with what editors show beside it."""
    return {**schema, "description": description}


def _defined(name: str) -> Schema:
    return {"$ref": f"#/definitions/{name}"}


def _text(description: str) -> Schema:
    return {"type": "string", "minLength": 1, "description": description}


def _codes(codes: Any) -> list[str]:  # noqa: ANN401 - an enumeration of texts
    return [str(one) for one in codes]
