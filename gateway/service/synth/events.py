"""What a history is made of: events, and the line that each becomes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import orjson

from gateway.service.synth.networks import Seen

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
"""Milliseconds, as every instant and length of time here."""

LOGIN: Final = "login"
WITHDRAWAL: Final = "withdrawal"
CHANGE: Final = "verification.changed"


class Event(NamedTuple):
    """One thing that an account did, or that was done in its name."""

    at: int
    """Milliseconds since the history's first midnight."""
    type: str
    account: str
    seen: Seen
    user_agent: str
    device: str
    session: str | None
    session_kind: str | None
    detail: Mapping[str, str | float]
    outcome: str = "succeeded"
    label: str | None = None
    """The attacker's name. The only thing that tells his events from the customer's."""


def line(event: Event, number: int, start: datetime) -> bytes:
    """Return an event as a line of NDJSON, without its end."""
    at = (start + timedelta(milliseconds=event.at)).astimezone(UTC)
    fields: dict[str, Any] = {
        "type": event.type,
        "id": f"e{number:08d}",
        "account": event.account,
        "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ip": event.seen.ip,
        "user_agent": event.user_agent,
        "device": event.device,
    }
    if event.session is not None:
        fields |= {"session": event.session, "session_kind": event.session_kind}
    fields |= event.detail
    fields |= {"outcome": event.outcome, "geo": event.seen.geo}
    if event.label is not None:
        fields["label"] = event.label
    return orjson.dumps(fields)
