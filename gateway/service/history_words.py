"""What other systems call the things that a history says: the words that are taken for ours, each told once."""

from collections.abc import Mapping
from typing import Any, Final

KEYS: Final = {
    **dict.fromkeys(("event", "event_type"), "type"),
    **dict.fromkeys(("event_id",), "id"),
    **dict.fromkeys(("account_id", "user", "user_id", "uid", "customer", "customer_id"), "account"),
    **dict.fromkeys(("timestamp", "time", "ts", "created_at", "occurred_at"), "at"),
    **dict.fromkeys(("ip_address", "client_ip", "remote_ip"), "ip"),
    **dict.fromkeys(("ua", "useragent"), "user_agent"),
    **dict.fromkeys(("device_id", "device_key"), "device"),
    **dict.fromkeys(("session_id",), "session"),
    **dict.fromkeys(("result",), "outcome"),
    **dict.fromkeys(("destination_address", "to_address"), "destination"),
    **dict.fromkeys(("mfa", "mfa_method", "second_factor"), "proved_with"),
    **dict.fromkeys(("attacker",), "label"),
}
GEO_KEYS: Final = {
    **dict.fromkeys(("country_code", "country_iso"), "country"),
    **dict.fromkeys(("as_number", "autonomous_system_number"), "asn"),
    **dict.fromkeys(("latitude",), "lat"),
    **dict.fromkeys(("lng", "long", "longitude"), "lon"),
    **dict.fromkeys(("accuracy_radius", "accuracy_km", "radius"), "radius_km"),
    **dict.fromkeys(("networks", "network_type"), "network"),
}
TYPES: Final = {
    **dict.fromkeys(("signin", "sign_in", "logon", "login_attempt"), "login"),
    **dict.fromkeys(("login_succeeded", "login_success", "login.success"), "login.succeeded"),
    **dict.fromkeys(("login_failed", "login_failure", "login.failure"), "login.failed"),
    **dict.fromkeys(("withdraw", "payout", "withdrawal_requested", "withdrawal.requested"), "withdrawal"),
    **dict.fromkeys(("withdrawal_completed",), "withdrawal.completed"),
    **dict.fromkeys(("verification_changed", "verification_change"), "verification.changed"),
}
METHODS: Final = {
    **dict.fromkeys(("authenticator", "authenticator_app", "google_authenticator"), "totp"),
    **dict.fromkeys(("fido", "fido2", "u2f"), "security_key"),
    **dict.fromkeys(("text", "text_message"), "sms"),
}
SUCCEEDED: Final = frozenset(
    {"succeeded", "success", "successful", "completed", "confirmed", "ok", "passed", "allowed", "approved"}
)
FAILED: Final = frozenset(
    {"failed", "failure", "fail", "denied", "rejected", "declined", "blocked", "cancelled", "canceled", "held", "error"}
)
LEGITIMATE: Final = frozenset(
    {"legitimate", "legit", "benign", "genuine", "honest", "normal", "customer", "owner", "none", "null", "false", "0"}
)
NOWHERE: Final = frozenset({"XX", "ZZ", "EU", "AP", "UN", "--"})
"""What databases write for a country that they do not know, or that is none."""
UNNAMED: Final = "attack"
"""An attacker of whom no more is told than that he was one."""


class Taken:
    """What was taken for what, with the line where each stood first. Bounded."""

    __slots__ = ("first",)

    _MOST: Final = 100
    _LONGEST: Final = 40

    def __init__(self) -> None:
        self.first: dict[str, int] = {}

    def note(self, number: int, what: str, said: object, meant: str) -> None:
        """Keep that something was said in another word."""
        if len(self.first) < self._MOST:
            self.first.setdefault(f"`{what}` {said!r:.{self._LONGEST}} for {meant}", number)

    def keys(self, number: int, found: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
        """Return an object under our names; a name of ours that stands there already counts."""
        renamed = dict(found)
        for key in found:
            name = names.get(key.lower())
            if name is not None and name not in renamed:
                renamed[name] = renamed.pop(key)
                self.note(number, "key", key, f"`{name}`")
        return renamed


def outcome(said: object) -> bool | None:
    """Return whether something succeeded; None where the word is none of these."""
    if said is True or said is False:
        return said
    word = said.strip().lower() if isinstance(said, str) else ""
    return True if word in SUCCEEDED else False if word in FAILED else None


def method(said: str) -> str:
    """Return our name of a method of verification, or what was said: what is not known proves nothing."""
    word = said.strip().lower().replace("-", "_").replace(" ", "_")
    return METHODS.get(word, word)


def label(said: object) -> str | None:
    """Return the attacker's name, None for a customer. Raise ValueError for what is neither."""
    if said is None or said == 0 or said == "":  # noqa: PLR1714 - any JSON, and False is 0
        return None
    if said == 1:
        return UNNAMED
    if not isinstance(said, str):
        raise ValueError(f"`label` is {said!r:.60}; it is an attacker's name, or `legitimate`")  # noqa: TRY004 - a line, not a call
    word = said.strip()
    if word.lower() in LEGITIMATE:
        return None
    return UNNAMED if word.lower() in {"true", "1"} else word or None
