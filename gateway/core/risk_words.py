"""A term of the score in words, for the reviewer who must decide."""

from typing import Final

from gateway.core.anomaly import Term
from gateway.core.login import ADDRESS, AGENT, ASN, BROWSER, COUNTRY, DEVICE, HOURS, PREFIX, SYSTEM, Login

_WHAT: Final = {
    COUNTRY: "country {}",
    ASN: "AS{}",
    PREFIX: "network",
    ADDRESS: "address",
    SYSTEM: "system {}",
    BROWSER: "browser {}",
    AGENT: "user agent",
    DEVICE: "device key",
    HOURS: "time of day {}",
}
_WITHDRAWALS: Final = {
    ("destination", "new"): "no withdrawal to this destination was ever confirmed",
    ("destination", "recent"): "first confirmed withdrawal to this destination less than 7 days ago",
    ("destination", "old"): "withdrawals to this destination have been confirmed for 7 days or more",
    ("destination", "unknown"): "the destination is not known",
    ("balance share", "below half"): "takes less than half of the balance",
    ("balance share", "most"): "takes half of the balance or more",
    ("balance share", "nearly all"): "takes 95 % of the balance or more",
    ("balance share", "unknown"): "what part of the balance it takes is not known",
    ("dormancy", "no"): "the account has been in use",
    ("dormancy", "return"): "used again after more than 60 days of silence",
    ("session", "stayed"): "the session is where it began",
    ("session", "familiar network"): "the session moved to another network that the account knows",
    ("session", "familiar operator"): "the session moved within its operator, or to one that the account knows",
    ("session", "elsewhere"): "the session moved to an operator that the account has never used",
    ("session", "unknown"): "where the session began is not known",
}
_DEVICES: Final = {
    "": "the device is trusted",
    "today": "the device was first seen less than a day ago, or never",
    "waiting": "the device has been seen for less than 30 days",
    "never at home": "the device has been seen for less than 30 days, and in no network that the account knows",
}
_AGES: Final = {"24 h": "in the last 24 hours", "1-3 d": "1 to 3 days ago", "3-7 d": "3 to 7 days ago"}


def words(term: Term, login: Login) -> str:
    """Return what the term was computed from, as a phrase."""
    if term.levels:
        return ", ".join(_level(level, share, login) for level, share in zip(term.levels, term.shares, strict=True))
    if term.name == "new device":
        return _DEVICES[term.told]
    if term.name == "anonymity":
        return f"the address is one of {term.told}" if term.told else "no anonymous network that would be new"
    if term.name in {"password change", "factor change"}:
        what = "a password" if term.name == "password change" else "another way of verification"
        return f"{what} was changed {_AGES[term.told]}" if term.told in _AGES else f"{what} was not changed for 7 days"
    return _WITHDRAWALS.get((term.name, term.told), f"{term.name} {term.told}")


def _level(level: int, share: float | None, login: Login) -> str:
    value = login.values[level]
    shown = f"{4 * value:02}-{4 * value + 4:02} h UTC" if level == HOURS and isinstance(value, int) else value
    what = _WHAT[level].format(shown)
    if share is None:
        return f"{_WHAT[level].format('').strip()} not known"
    if share == 0:
        return f"{what} never seen"
    percent = 100 * share
    return f"{what} seen in {'less than 1' if percent < 1 else f'{percent:.0f}'} % of logins"
