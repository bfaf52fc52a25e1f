"""Reply: what the visitor sees. It never says more than it should.

No rule, list, fact or database is named here: the visitor reads the reason's own words, or the message of a rule that
was written to be read. Rendering is in `core.problem`.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.core.terms import Access, Ambiguity, Effect, Operation, Operations, Outcome, Reason
from gateway.core.verdict import Challenge, Verdict


class TicketTold(NamedTuple):
    """What the customer may know of the ticket that holds an operation."""

    id: str
    until: int | None = None
    """When the hold ends by itself, microseconds since the epoch; None where people must end it."""
    evidence: tuple[str, ...] = ()
    """What is still needed of the customer, by the codes of `desk.evidence`."""


class Reply(NamedTuple):
    """The answer to the visitor in English, before it is rendered for one decision (`core.customer.words_of`)."""

    status: int
    """200 stands for "let through": the upstream gives the real status."""
    reason: Reason | None
    title: str
    detail: str
    operation: Operation | None
    """None where the request could not be read."""
    access: Access
    allowed_operations: tuple[Operation, ...]
    challenge: Challenge | None = None
    retry_after_s: int | None = None
    message: str | None = None
    """What of `detail` is a rule's own message: written by people, in their language."""
    ambiguity: Ambiguity | None = None
    """Where the request could not be read, what `detail` is about."""
    ticket: TicketTold | None = None
    """The ticket that the refused operation waits for."""


RETRY_AFTER_S: Final = 5
"""How long a client waits for an outage to pass. Short: the refusal ends with its cause, not with this."""

WORDS: Final[Mapping[Reason, tuple[str, str]]] = MappingProxyType(
    {
        Reason.SANCTIONED_REGION: (
            "Not available in your location",
            "The law does not allow us to offer this service where you are.",
        ),
        Reason.SANCTIONED_PERSON: ("Not available to you", "The law does not allow us to offer this service to you."),
        Reason.REGION_UNCERTAIN: (
            "We could not tell which region you are in",
            "This is not available in every region, and we could not tell precisely enough where you are.",
        ),
        Reason.JURISDICTION_BLOCKED: (
            "Not available in your location",
            "We do not offer this service in your jurisdiction.",
        ),
        Reason.JURISDICTION_EXIT: (
            "The service is ending in your location",
            "We are leaving your jurisdiction. Only what is needed to withdraw your assets stays open.",
        ),
        Reason.JURISDICTION_PRODUCT: (
            "This product is not available in your location",
            "We do not offer this product in your jurisdiction. Other parts of the service stay open.",
        ),
        Reason.ACCOUNT_ARCHIVED: ("This account is closed", "This account has been closed."),
        Reason.ACCOUNT_RESTRICTED: (
            "This account is restricted",
            "This account can only be used to reach support.",
        ),
        Reason.ACCOUNT_FLAGGED: (
            "This account is under review",
            "While this account is under review you can look at it, but not trade or move assets.",
        ),
        Reason.ACCOUNT_EXIT_ONLY: (
            "This account is being closed",
            "This account can only be used to withdraw what it holds.",
        ),
        Reason.ACCOUNT_UNKNOWN: (
            "We could not read your account",
            "This depends on your account, and we could not read all that it takes to open this.",
        ),
        Reason.HOLD: ("On hold", "This has been put on hold for your account."),
        Reason.ANONYMOUS_NETWORK: (
            "Not available over this network",
            "This is not available over a VPN, a proxy, Tor or a data centre. Use your own connection and try again.",
        ),
        Reason.UNFAMILIAR_LOGIN: (
            "We did not recognise this sign-in",
            "This sign-in is unlike your earlier ones, so this is closed for now.",
        ),
        Reason.VERIFICATION_CHANGED: (
            "Your security settings changed recently",
            "After a change of security settings this stays closed for some time, to protect you.",
        ),
        Reason.IDENTITY_UNVERIFIED: ("Verify your identity", "This is open once your identity is verified."),
        Reason.LOCATION_UNCERTAIN: (
            "We could not tell where you are",
            "This is not available everywhere, and we could not tell where you are connecting from.",
        ),
        Reason.CREDENTIAL_INVALID: ("Sign in again", "The credential that came with this request is not valid."),
        Reason.CREDENTIAL_EXPIRED: ("Sign in again", "Your session has ended."),
        Reason.CREDENTIAL_REQUIRED: ("Sign in", "This is open once you are signed in."),
        Reason.STEP_UP_REQUIRED: ("Confirm that it is you", "This needs a fresh proof of who you are."),
        Reason.NOT_GRANTED: ("Not available", "This is not open to your account."),
        Reason.OVERLOADED: ("Temporarily overloaded", "Too much is asked of us right now. Try again in a moment."),
        Reason.RECORD_UNAVAILABLE: ("Temporarily unavailable", "This cannot be done right now. Try again in a moment."),
        Reason.AMBIGUOUS_REQUEST: ("The request is ambiguous", "The request can be read in more than one way."),
    }
)
"""Title and detail of every reason, for the visitor."""

_AMBIGUITIES: Final[Mapping[Ambiguity, str]] = MappingProxyType(
    {
        Ambiguity.TARGET_FORM: "The request target is in a form that is not served here. Send an absolute path.",
        Ambiguity.TARGET_LENGTH: "The path is too long.",
        Ambiguity.TARGET_BYTES: "The path contains bytes that must be percent-encoded.",
        Ambiguity.TARGET_ENCODING: "The path contains a percent-encoding that can be read in more than one way.",
        Ambiguity.TARGET_SEGMENTS: "The path contains empty or dot segments, or parameters. Send it resolved.",
        Ambiguity.TARGET_AUTHORITY: "The request target names another host than the Host header.",
        Ambiguity.METHOD: "The method is not one that is served here.",
        Ambiguity.METHOD_OVERRIDE: "The request asks to be taken for another method. Send the method that is meant.",
        Ambiguity.HOST: "The Host header is missing or cannot be read.",
        Ambiguity.HEADER_ALIAS: "A header name is a different spelling of one that is read here.",
        Ambiguity.HEADER_REPEATED: "A header that may stand once stands more than once.",
        Ambiguity.HEADER_NOMINATED: "The Connection header names a header that must not be removed on the way.",
        Ambiguity.HEADER_SIZE: "The headers are too many or too long.",
        Ambiguity.HEADER_BYTES: "A header contains bytes that it may not contain.",
        Ambiguity.FRAMING: "The length of the body is given in more than one way.",
        Ambiguity.MESSAGE: "The message can be read in more than one way, or is none that is served here.",
    }
)

_OUTAGE: Final = ("Temporarily unavailable", "We cannot check your account right now. Try again in a moment.")

_SIGN_IN: Final = frozenset({Reason.CREDENTIAL_REQUIRED, Reason.CREDENTIAL_EXPIRED, Reason.CREDENTIAL_INVALID})
_CLAIMS: Final[Mapping[Reason, Reason]] = MappingProxyType(
    {
        Reason.SANCTIONED_REGION: Reason.LOCATION_UNCERTAIN,
        Reason.JURISDICTION_BLOCKED: Reason.LOCATION_UNCERTAIN,
        Reason.JURISDICTION_EXIT: Reason.LOCATION_UNCERTAIN,
        Reason.JURISDICTION_PRODUCT: Reason.LOCATION_UNCERTAIN,
        Reason.ANONYMOUS_NETWORK: Reason.LOCATION_UNCERTAIN,
        Reason.SANCTIONED_PERSON: Reason.ACCOUNT_UNKNOWN,
        Reason.ACCOUNT_ARCHIVED: Reason.ACCOUNT_UNKNOWN,
        Reason.ACCOUNT_RESTRICTED: Reason.ACCOUNT_UNKNOWN,
        Reason.ACCOUNT_FLAGGED: Reason.ACCOUNT_UNKNOWN,
        Reason.ACCOUNT_EXIT_ONLY: Reason.ACCOUNT_UNKNOWN,
        Reason.HOLD: Reason.ACCOUNT_UNKNOWN,
        Reason.UNFAMILIAR_LOGIN: Reason.ACCOUNT_UNKNOWN,
        Reason.VERIFICATION_CHANGED: Reason.ACCOUNT_UNKNOWN,
        Reason.IDENTITY_UNVERIFIED: Reason.ACCOUNT_UNKNOWN,
        Reason.CREDENTIAL_INVALID: Reason.CREDENTIAL_REQUIRED,
        Reason.CREDENTIAL_EXPIRED: Reason.CREDENTIAL_REQUIRED,
    }
)
"""Reasons that claim something of the visitor, each with what is told in its place where it only may be so."""


def reply_to(verdict: Verdict, *, overloaded: bool = False) -> Reply:
    """Return what the visitor may learn of the verdict. `overloaded`: the outage is that nobody had time to ask."""
    if verdict.outcome is Outcome.ALLOW:
        return _reply(verdict, 200, None, ("", ""))
    if verdict.outage and overloaded:
        reason = Reason.OVERLOADED
        return _reply(verdict, 503, reason, WORDS[reason])._replace(retry_after_s=RETRY_AFTER_S)
    if verdict.outage:
        # The reasons of the verdict are those of rules that only may apply: none of them is the visitor's to read.
        return _reply(verdict, 503, Reason.ACCOUNT_UNKNOWN, _OUTAGE)._replace(retry_after_s=RETRY_AFTER_S)
    reason = _reason(verdict)
    title, detail = WORDS[reason]
    message = _message(verdict, reason)
    reply = _reply(verdict, _status(verdict, reason), reason, (title, message or detail))
    return reply._replace(challenge=verdict.challenge, message=message)


def record_unavailable(verdict: Verdict) -> Reply:
    """Return the refusal of an operation whose decision could not be recorded, whatever the verdict said."""
    reason = Reason.RECORD_UNAVAILABLE
    return _reply(verdict, 503, reason, WORDS[reason])._replace(retry_after_s=RETRY_AFTER_S)


def reply_to_ambiguous(ambiguity: Ambiguity) -> Reply:
    """Return the refusal of a request that could not be read in one way only."""
    reason = Reason.AMBIGUOUS_REQUEST
    detail = _AMBIGUITIES[ambiguity]
    return Reply(400, reason, WORDS[reason][0], detail, None, Access.NONE, (), ambiguity=ambiguity)


def _reply(verdict: Verdict, status: int, reason: Reason | None, words: tuple[str, str]) -> Reply:
    # A challenge keeps the operation in the access, and so may what was not recorded: it is refused all the same.
    left = verdict.access if status == 200 else verdict.access - {verdict.operation}
    return Reply(status, reason, *words, verdict.operation, verdict.level, _in_order(left))


def _in_order(operations: Operations) -> tuple[Operation, ...]:
    return tuple(operation for operation in Operation if operation in operations)


def _reason(verdict: Verdict) -> Reason:
    """Return the reason told: the first that applies for certain, else the verdict's, less what it claims.

    Requirements do not explain a denial: it comes from a limit, or from what was not granted.
    """
    challenge = verdict.outcome is Outcome.CHALLENGE
    rules = [rule for rule in verdict.by if challenge or rule.effect is Effect.LIMIT]
    certain = next((rule.reason for rule in rules if not rule.uncertain), None)
    if certain is not None:
        return certain
    reason = verdict.reason or Reason.NOT_GRANTED
    return _CLAIMS.get(reason, reason) if rules else reason


def _status(verdict: Verdict, reason: Reason) -> int:
    """Return the status of a refusal. Never 429: a block must not look like a rate limit."""
    if verdict.outcome is Outcome.CHALLENGE:
        return 401
    if any(rule.status == 451 and not rule.uncertain for rule in verdict.by):
        return 451
    return 401 if reason in _SIGN_IN else 403


def _message(verdict: Verdict, reason: Reason) -> str | None:
    """Return the message of the first certain rule with this reason that has one, None where none has."""
    certain = (rule for rule in verdict.by if rule.reason is reason and not rule.uncertain)
    return next((rule.message for rule in certain if rule.message), None)
