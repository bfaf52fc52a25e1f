"""The table of routes: what each takes, needs and answers. The app and the OpenAPI document are made of it."""

from collections.abc import Mapping
from typing import Final

from gateway.api.desk_routes import DESK_ROUTES
from gateway.api.desk_routes import REASON_HEADER as REASON_HEADER  # noqa: PLC0414 - every route's
from gateway.api.policy_routes import POLICY_ROUTES
from gateway.api.route import Parameter, Route
from gateway.api.shapes import Schema, listed
from gateway.api.shapes import text as _text
from gateway.core.masking import Reader
from gateway.core.permissions import Permission
from gateway.core.search import AMBIGUOUS, MOST, Search
from gateway.core.terms import Operation, Outcome, Reason
from gateway.service.overview import GROUPS

_FILTERS: Final[Mapping[str, tuple[str, Schema]]] = {
    "account": ("Of this account.", _text(maxLength=256)),
    "address": ("From this address, or from a network such as 203.0.113.0/24.", _text()),
    "country": ("From this country (ISO 3166-1), or where it may have been this one.", _text()),
    "asn": ("From this autonomous system, such as AS64500.", _text()),
    "operation": (
        "Of this operation; `ambiguous`: what could not be read.",
        _text(enum=[*map(str, Operation), AMBIGUOUS]),
    ),
    "outcome": ("With this outcome.", _text(enum=[*map(str, Outcome)])),
    "reason": ("With this reason.", _text(enum=[*map(str, Reason)])),
    "rule": ("Determined by this rule, as policy/rule.", _text()),
    "bundle": ("Decided by the bundle whose digest begins so: 6 to 64 hexadecimal digits.", _text()),
    "ticket": ("Of which the visitor was told this ticket.", _text(maxLength=256)),
    "trace": (
        "Of which the request said that it was a part of this trace: its id, or the whole traceparent.",
        _text(maxLength=256),
    ),
    "since": ("Since this instant (RFC 3339), or since 90m, 24h, 7d; inclusive.", _text()),
    "until": ("Until this instant, or until so long ago; exclusive.", _text()),
}
assert tuple(_FILTERS) == Search._fields
_SPAN: Final = {"since": "24h", "until": "0s"}
"""What statistics are of where nobody says."""

_REASON: Final = Parameter(
    REASON_HEADER,
    "Why addresses and documents are to be shown as they are: 10 to 500 characters, written into the audit with the "
    f"token and each decision. Needs the scope {Permission.DECISIONS_UNMASK}.",
    _text(minLength=10, maxLength=500),
    "header",
)

MOST_ALARMS: Final = 1000
ACKNOWLEDGE: Final = Permission.ALARMS_ACKNOWLEDGE
"""Reading alone must not mark an alarm as seen: whoever did that would keep others from looking at it."""

ROUTES: Final = (
    Route(
        "searchDecisions",
        "/api/v1/decisions",
        "Decisions that all these conditions hold for, the newest first, a page at a time.",
        Permission.DECISIONS_READ,
        (
            *(Parameter(name, says, schema) for name, (says, schema) in _FILTERS.items()),
            Parameter("limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": MOST, "default": 50}),
            Parameter("cursor", "What the page before ended with.", _text()),
            _REASON,
        ),
        "Decisions",
        problems=(400,),
    ),
    Route(
        "countDecisions",
        "/api/v1/decisions/stats",
        "How many decisions there were, by outcome, reason, country, operation, bundle, hour or day.",
        Permission.DECISIONS_READ,
        (
            *(
                Parameter(name, f"{_FILTERS[name][0]} Whole hours count.", {**_FILTERS[name][1], "default": default})
                for name, default in _SPAN.items()
            ),
            Parameter("by", "Groups, joined by commas; all where nobody says.", listed(_text(enum=[*GROUPS]))),
        ),
        "Overview",
        problems=(400,),
    ),
    Route(
        "readDecision",
        "/api/v1/decisions/{id}",
        "One decision, and in sentences what happened, why, and what would change the answer.",
        Permission.DECISIONS_READ,
        (
            Parameter("id", "The decision's id, as the header Gateway-Decision told it.", _text(format="uuid"), "path"),
            Parameter("explain", "`1` adds the explanation.", _text(enum=["0", "1"], default="0")),
            Parameter("now", "`1` adds whether it would be the same now.", _text(enum=["0", "1"], default="0")),
            Parameter(
                "role",
                "For whom it is explained. Any but `support` sees more, and so needs a reason and the scope "
                f"{Permission.DECISIONS_UNMASK}.",
                _text(enum=[*map(str, Reader)], default=str(Reader.SUPPORT)),
            ),
            Parameter("language", "In which language the customer's words are given.", _text(default="en")),
            _REASON,
        ),
        "Explained",
        problems=(400, 404),
    ),
    Route(
        "eraseDecisions",
        "/api/v1/decisions/erase",
        "Erase the personal data in all decisions of one account or address that the archive has, for good.",
        Permission.DECISIONS_ERASE,
        (),
        "Erased",
        problems=(400, 413, 415),
        method="POST",
        body="Erasing",
    ),
    Route(
        "listAlarms",
        "/api/v1/alarms",
        "What was refused unusually often or seldom, the newest first.",
        Permission.DECISIONS_READ,
        (
            Parameter("open", "`1`: only what lasts.", _text(enum=["0", "1"], default="0")),
            Parameter(
                "limit", "At most so many.", {"type": "integer", "minimum": 1, "maximum": MOST_ALARMS, "default": 100}
            ),
        ),
        "Alarms",
        problems=(400,),
    ),
    Route(
        "acknowledgeAlarm",
        "/api/v1/alarms/{id}/acknowledge",
        "Say that somebody has seen an alarm, and why that is enough. The first to say so stays on record.",
        ACKNOWLEDGE,
        (Parameter("id", "The alarm's id.", _text(), "path"),),
        "Alarm",
        problems=(400, 404, 408, 413, 415),
        method="POST",
        body="Acknowledgement",
    ),
    Route(
        "readHealth",
        "/api/v1/health",
        "Whether the archive answers.",
        None,
        (),
        "Health",
        problems=(503,),
    ),
    Route("readLive", "/livez", "Whether this process answers at all.", None, (), "Health"),
    Route(
        "readReady",
        "/readyz",
        "Whether requests may be sent to this process: 503 where a part that it needs is not well.",
        None,
        (Parameter("verbose", "Every part that was looked at.", _text()),),
        "Readiness",
        problems=(503,),
    ),
    Route("readOpenapi", "/api/v1/openapi.json", "This description.", None, (), None),
    Route(
        "readMetrics",
        "/metrics",
        "The metrics of this process, for Prometheus.",
        Permission.METRICS_READ,
        (),
        None,
        media_type="text/plain",
    ),
    *DESK_ROUTES,
    *POLICY_ROUTES,
)
