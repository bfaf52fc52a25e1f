"""What a history is made of: events, and the line that each becomes."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final, NamedTuple, TypeAlias

import orjson

from gateway.service.synth.agents import APP
from gateway.service.synth.networks import Seen

HOUR: Final = 3_600_000
DAY: Final = 24 * HOUR
"""Milliseconds, as every instant and length of time here."""

LOGIN: Final = "login"
WITHDRAWAL: Final = "withdrawal"
CHANGE: Final = "verification.changed"

Detail: TypeAlias = Mapping[str, str | float]
"""What an event of one type says that those of others do not."""
NOTHING: Final[Detail] = MappingProxyType({})


class Client(NamedTuple):
    """Whoever is at the other end, as the exchange sees them."""

    seen: Seen
    user_agent: str
    device: str
    """The key in the device's cookie."""
    session: str | None = None
    """None before somebody has signed in."""

    @property
    def session_kind(self) -> str:
        """What the session lives in."""
        return "app" if self.user_agent.startswith(APP) else "browser"


class Event(NamedTuple):
    """One thing that an account did, or that was done in its name."""

    at: int
    """Milliseconds since the history's first midnight."""
    type: str
    account: str
    client: Client
    detail: Detail = NOTHING
    outcome: str = "succeeded"
    label: str | None = None
    """The attacker's name. The only thing that tells his events from the customer's."""


def line(event: Event, number: int, start: datetime) -> bytes:
    """Return an event as a line of NDJSON, without its end."""
    client = event.client
    at = (start + timedelta(milliseconds=event.at)).astimezone(UTC)
    fields: dict[str, Any] = {
        "type": event.type,
        "id": f"e{number:08d}",
        "account": event.account,
        "at": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "ip": client.seen.ip,
        "user_agent": client.user_agent,
        "device": client.device,
    }
    if client.session is not None:
        fields |= {"session": client.session, "session_kind": client.session_kind}
    fields |= event.detail
    fields |= {"outcome": event.outcome, "geo": orjson.Fragment(client.seen.geo)}
    if event.label is not None:
        fields["label"] = event.label
    return orjson.dumps(fields)
