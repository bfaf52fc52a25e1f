"""Decisions in the words of others: as OCSF and as ECS events for a SIEM, and as rows of a table.

OCSF: class 6003, API Activity, with the security control profile, of every operation. A decision is about a call of an
API, logins included: whether the customer then proved who they are is the exchange's event (3002, Authentication) and
not the gateway's, which only let the attempt through or did not.
"""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from gateway.core.decision import Document, parse_instant
from gateway.core.search import AMBIGUOUS
from gateway.core.terms import Outcome

OCSF_VERSION: Final = "1.6.0"
ECS_VERSION: Final = "9.4.0"
PRODUCT: Final = "geofence-gateway"
VENDOR: Final = "gateway"

_CLASS: Final = 6003
_ACTIVITIES: Final[Mapping[str, tuple[int, str]]] = {
    "POST": (1, "Create"),
    "GET": (2, "Read"),
    "HEAD": (2, "Read"),
    "OPTIONS": (2, "Read"),
    "PUT": (3, "Update"),
    "PATCH": (3, "Update"),
    "DELETE": (4, "Delete"),
}


class _Answer(NamedTuple):
    """An outcome as OCSF says it."""

    severity: tuple[int, str]
    status: tuple[int, str]
    action: tuple[int, str]
    disposition: tuple[int, str]


_ANSWERS: Final[Mapping[str, _Answer]] = {
    Outcome.ALLOW: _Answer((1, "Informational"), (1, "Success"), (1, "Allowed"), (1, "Allowed")),
    Outcome.CHALLENGE: _Answer((2, "Low"), (2, "Failure"), (2, "Denied"), (23, "Challenge")),
    Outcome.DENY: _Answer((3, "Medium"), (2, "Failure"), (2, "Denied"), (2, "Blocked")),
}


class _Told(NamedTuple):
    """What every form says of a decision."""

    outcome: str
    reason: str | None
    operation: str
    access: str | None
    rules: tuple[Mapping[str, Any], ...]
    exceptions: tuple[str, ...]
    """The exceptions without which some rule would have excluded it."""
    account: str | None
    address: str | None
    """The address held responsible; None where there is none, or only its network may be seen."""
    network: str | None
    """Its network, where only that may be seen."""
    country: str | None
    subdivision: str | None
    continent: str | None
    asn: int | None


def _told(document: Document) -> _Told:
    verdict = document["verdict"]
    facts: Mapping[str, Any] = document["facts"] or {}
    address = document["client_ip"]["address"]
    whole = address is not None and _is_address(address)
    account = facts.get("account")
    return _Told(
        outcome=str(Outcome.DENY) if verdict is None else verdict["outcome"],
        reason=(None if verdict is None else verdict["reason"]) or document["reply"]["reason"],
        operation=document["operation"] or AMBIGUOUS,
        access=None if verdict is None else verdict["access"],
        rules=() if verdict is None else tuple(verdict["by"]),
        exceptions=() if verdict is None else tuple(sorted({one["exception"] for one in verdict.get("excepted", ())})),
        account=account if isinstance(account, str) else None,
        address=address if whole else None,
        network=None if whole else address,
        country=facts.get("country"),
        subdivision=facts.get("subdivision"),
        continent=facts.get("continent"),
        asn=facts.get("asn"),
    )


def _is_address(text: str) -> bool:
    return "/" not in text and ("." in text or ":" in text)


def ocsf_event(document: Document) -> Document:
    """Return a decision as an OCSF event of class 6003, API Activity."""
    told = _told(document)
    request = document["request"]
    answer = _ANSWERS[told.outcome]
    activity, activity_name = _ACTIVITIES.get(request["method"], (99, "Other"))
    known_user = {"uid": told.account, "type_id": 1, "type": "User"}
    nobody = {"name": "unknown", "type_id": 0, "type": "Unknown"}
    endpoint = {
        "ip": told.address,
        "name": None if told.address else told.network or "unresolved",
        "location": _filled(country=told.country, region=told.subdivision, continent=told.continent),
        "autonomous_system": _filled(number=told.asn),
    }
    url = {"hostname": request["host"], "path": request["path"]}
    return _filled(
        activity_id=activity,
        activity_name=activity_name,
        category_uid=6,
        category_name="Application Activity",
        class_uid=_CLASS,
        class_name="API Activity",
        type_uid=_CLASS * 100 + activity,
        type_name=f"API Activity: {activity_name}",
        time=parse_instant(document["at"]) // 1000,
        duration=document["took_us"] // 1000,
        message=_message(told, request),
        severity_id=answer.severity[0],
        severity=answer.severity[1],
        status_id=answer.status[0],
        status=answer.status[1],
        status_code=str(document["reply"]["status"]),
        status_detail=told.reason,
        action_id=answer.action[0],
        action=answer.action[1],
        disposition_id=answer.disposition[0],
        disposition=answer.disposition[1],
        metadata={
            "version": OCSF_VERSION,
            "product": {"name": PRODUCT, "vendor_name": VENDOR},
            "profiles": ["security_control"],
            "log_name": "decisions",
            "uid": document["id"],
            **_filled(correlation_uid=request.get("trace_id")),
        },
        actor={"user": nobody if told.account is None else known_user},
        api=_filled(operation=told.operation, service=_filled(name=request["host"]), request={"uid": document["id"]}),
        src_endpoint=_filled(**endpoint),
        http_request=_filled(
            http_method=request["method"], url=_filled(**url), user_agent=request["user_agent"], uid=document["id"]
        ),
        http_response={"code": document["reply"]["status"]},
        policy=None
        if not told.rules
        else {"name": told.rules[0]["policy"], "uid": document["bundle"], "is_applied": True},
        firewall_rule=None
        if not told.rules
        else {"uid": _rule(told.rules[0]), "name": told.rules[0]["rule"], "desc": told.rules[0]["basis"]},
        observables=None
        if told.address is None
        else [{"name": "src_endpoint.ip", "type_id": 2, "type": "IP Address", "value": told.address}],
        unmapped=_filled(
            outcome=told.outcome,
            access=told.access,
            rules=[_rule(one) for one in told.rules],
            exceptions=list(told.exceptions),
            bundle=document["bundle"],
            editions=list(document["editions"]),
            took_us=document["took_us"],
        ),
    )


def ecs_event(document: Document) -> Document:
    """Return a decision as an event of the Elastic Common Schema; what that has no field for stands in `gateway`."""
    told = _told(document)
    request = document["request"]
    allowed = told.outcome == Outcome.ALLOW
    geo = _filled(country_iso_code=told.country, region_iso_code=told.subdivision, continent_code=told.continent)
    first = told.rules[0] if told.rules else None
    return {
        "@timestamp": document["at"],
        **_filled(
            ecs={"version": ECS_VERSION},
            message=_message(told, request),
            event=_filled(
                id=document["id"],
                kind="event",
                category=["api"],
                type=["access", "allowed" if allowed else "denied"],
                action=told.operation,
                outcome="success" if allowed else "failure",
                reason=told.reason,
                module="gateway",
                dataset="gateway.decisions",
                provider=PRODUCT,
                duration=document["took_us"] * 1000,
            ),
            source=_filled(
                address=told.address or told.network,
                ip=told.address,
                geo=geo,
                **{"as": _filled(number=told.asn)},
            ),
            user=_filled(id=told.account),
            http={
                "request": _filled(id=document["id"], method=request["method"]),
                "response": {"status_code": document["reply"]["status"]},
            },
            url=_filled(domain=request["host"], path=request["path"]),
            user_agent=_filled(original=request["user_agent"]),
            trace=_filled(id=request.get("trace_id")),
            rule=None
            if first is None
            else {
                "id": _rule(first),
                "name": first["rule"],
                "ruleset": first["policy"],
                "category": first["reason"],
                "description": first["basis"],
                "version": document["bundle"],
            },
            observer={"type": "gateway", "vendor": VENDOR, "product": PRODUCT},
            related=_filled(
                ip=[one for one in (told.address,) if one],
                user=[one for one in (told.account,) if one],
                hosts=[one for one in (request["host"],) if one],
            ),
            gateway=_filled(
                outcome=told.outcome,
                access=told.access,
                rules=[_rule(one) for one in told.rules],
                exceptions=list(told.exceptions),
                bundle=document["bundle"],
                editions=list(document["editions"]),
            ),
        ),
    }


CSV_COLUMNS: Final = (
    "id",
    "at",
    "method",
    "host",
    "path",
    "operation",
    "account",
    "address",
    "country",
    "subdivision",
    "asn",
    "outcome",
    "access",
    "reason",
    "rules",
    "status",
    "bundle",
    "took_us",
    "user_agent",
    "trace_id",
)


def csv_row(document: Document) -> tuple[str, ...]:
    """Return a decision as the cells of `CSV_COLUMNS`; what is not there or not certain is empty.

    A cell that a spreadsheet would take for a formula gets a `'` before it: path and user agent are anybody's words.
    """
    told = _told(document)
    request = document["request"]
    cells = {
        **{name: request.get(name) for name in ("method", "host", "path", "user_agent", "trace_id")},
        **{name: document[name] for name in ("id", "at", "bundle", "took_us")},
        **told._asdict(),
        "address": told.address or told.network,
        "rules": " ".join(_rule(one) for one in told.rules),
        "status": document["reply"]["status"],
    }
    return tuple(csv_cell(cells[name]) for name in CSV_COLUMNS)


def csv_cell(value: object) -> str:
    """Return a value as a cell that no spreadsheet takes for a formula, and no reader of CSV for two lines."""
    text = "" if value is None else str(value)
    # A line break within a cell is legal CSV, and not what every reader of it can take.
    plain = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return f"'{plain}" if plain[:1] in "=+-@" and plain else plain


def _message(told: _Told, request: Mapping[str, Any]) -> str:
    reason = f", {told.reason}" if told.reason else ""
    return f"{request['method']} {request['path']} ({told.operation}): {told.outcome}{reason}"


def _rule(rule: Mapping[str, Any]) -> str:
    return f"{rule['policy']}/{rule['rule']}"


def _filled(**parts: Any) -> Document:  # noqa: ANN401 - JSON values
    """Return the parts that say something: schemas want no nulls, and no empty objects, texts or lists."""
    return {name: part for name, part in parts.items() if part is not None and part not in ("", {}, [])}
