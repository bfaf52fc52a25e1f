"""What of an answered request is told outside the record, to the log and to traces, as personal as configured."""

from typing import Any, Final, Literal, NamedTuple

from gateway.core.decision import request_line
from gateway.core.masking import HIDDEN, masked_address, masked_text
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import AMBIGUOUS
from gateway.core.terms import Outcome
from gateway.service.pipeline import Passage

Shown = Literal["masked", "digest", "clear"]
"""`masked`: addresses as networks, and nobody's name. `digest`: accounts as digests besides. `clear`: all of it."""
_METHODS: Final = frozenset({"CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE"})
OTHER_METHOD: Final = "_OTHER"
"""In place of a method that its sender made up."""


class Told(NamedTuple):
    """One request and its decision, as others may know of it. None: there was none, it is not certain, or not shown."""

    decision_id: str
    method: str | None
    path: str | None
    """The canonical path; None where the request could not be read."""
    operation: str
    outcome: str
    reason: str | None
    access: str
    rules: tuple[str, ...]
    """Those that determined a refusal, as `policy/rule`."""
    status: int
    """What the gateway answered; 200 stands for let through."""
    address: str | None
    country: str | None
    account: str | None
    user_agent: str | None
    trace_id: str | None
    parent_id: str | None


def known_method(method: str) -> str:
    """Return the method, or what stands for all that somebody made up."""
    return method if method in _METHODS else OTHER_METHOD


class Teller:
    """Says what may be told, by what the configuration shows."""

    def __init__(self, shown: Shown, pseudonyms: Pseudonyms | None = None) -> None:
        """Build. `digest` needs the pseudonyms: without them no account is told."""
        self._shown = shown
        self._pseudonyms = pseudonyms if shown == "digest" else None

    def tell(self, passage: Passage) -> Told:
        """Return what may be told of a request that was answered so."""
        settled, reply, verdict = passage.settled, passage.reply, passage.settled.verdict
        facts: Any = settled.facts
        clear = self._shown == "clear"
        line = None if passage.reading is None else request_line(passage.reading.record)
        country, account = (None, None) if facts is None else (facts.country, facts.account)
        address = settled.client_ip.address
        agent = None if line is None or not clear else line.user_agent
        return Told(
            decision_id=passage.decision_id.decode("ascii"),
            method=None if line is None else known_method(line.method),
            path=None if line is None else line.path if clear else masked_text(line.path),
            operation=AMBIGUOUS if facts is None else str(facts.operation),
            outcome=str(Outcome.DENY if verdict is None else verdict.outcome),
            reason=None if reply.reason is None else str(reply.reason),
            access=str(reply.access),
            rules=() if verdict is None else tuple(f"{one.policy}/{one.rule}" for one in verdict.by),
            status=reply.status,
            address=address if clear or address is None else masked_address(address) or HIDDEN,
            country=country if isinstance(country, str) else None,
            account=self._named(account) if isinstance(account, str) else None,
            user_agent=agent or None,
            trace_id=None if line is None else line.trace_id,
            parent_id=None if line is None else line.parent_id,
        )

    def _named(self, account: str) -> str | None:
        if self._shown == "clear":
            return account
        return None if self._pseudonyms is None else self._pseudonyms.account(account)
