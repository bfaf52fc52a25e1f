"""The words of the gateway: operations, levels of access, statuses, outcomes, reasons.

Start here. Everything else is said in these terms; a code in this file is never renamed, only retired.
"""

from collections.abc import Iterable
from enum import StrEnum, unique
from typing import Final


@unique
class Operation(StrEnum):
    """What a request attempts."""

    VIEW = "view"
    LOGIN = "login"
    DEPOSIT = "deposit"
    TRADE_SPOT = "trade.spot"
    TRADE_FUTURES = "trade.futures"
    TRADE_COPY = "trade.copy"
    TRADE_REDUCE = "trade.reduce"
    """Orders that can only make a position smaller: what `reduce_only` leaves open."""
    TRANSFER = "transfer"
    WITHDRAW = "withdraw"
    SECURITY = "security"
    """Credentials, withdrawal addresses, API keys."""
    SUPPORT = "support"
    UNCLASSIFIED = "unclassified"
    """Something that writes and that no route names; only `full` access opens it."""


Operations = frozenset[Operation]

EVERYTHING: Final[Operations] = frozenset(Operation)
MONEY_MOVING: Final[Operations] = frozenset({Operation.WITHDRAW, Operation.TRANSFER})
"""Operations whose decision is on the disk before the upstream hears of them."""


@unique
class Access(StrEnum):
    """A named level of access, from the widest to none. Each level contains the next."""

    FULL = "full"
    REDUCE_ONLY = "reduce_only"
    WITHDRAW_ONLY = "withdraw_only"
    READ_ONLY = "read_only"
    SUPPORT_ONLY = "support_only"
    NONE = "none"


LEVELS: Final[dict[Access, Operations]] = {
    Access.FULL: EVERYTHING,
    Access.REDUCE_ONLY: frozenset(
        {
            Operation.VIEW,
            Operation.LOGIN,
            Operation.TRADE_REDUCE,
            Operation.TRANSFER,
            Operation.WITHDRAW,
            Operation.SUPPORT,
        }
    ),
    Access.WITHDRAW_ONLY: frozenset({Operation.VIEW, Operation.LOGIN, Operation.WITHDRAW, Operation.SUPPORT}),
    Access.READ_ONLY: frozenset({Operation.VIEW, Operation.LOGIN, Operation.SUPPORT}),
    Access.SUPPORT_ONLY: frozenset({Operation.SUPPORT}),
    Access.NONE: frozenset(),
}


def level_of(open_operations: Iterable[Operation]) -> Access:
    """Return the widest named level that `open_operations` covers completely; never one that promises more."""
    covered = frozenset(open_operations)
    return next(level for level, operations in LEVELS.items() if operations <= covered)


@unique
class Status(StrEnum):
    """Where an account stands. `NONE` is knowledge: nobody is signed in."""

    NONE = "none"
    OPEN = "open"
    EXIT_ONLY = "exit_only"
    FLAGGED = "flagged"
    RESTRICTED = "restricted"
    ARCHIVED = "archived"


@unique
class Verification(StrEnum):
    """How far the customer's identity has been verified."""

    NONE = "none"
    BASIC = "basic"
    FULL = "full"
    INSTITUTIONAL = "institutional"


@unique
class Credential(StrEnum):
    """What kind of credential came with the request."""

    NONE = "none"
    SESSION = "session"
    API_KEY = "api_key"


@unique
class TokenState(StrEnum):
    """What became of the credential when it was checked."""

    ABSENT = "absent"
    VALID = "valid"
    EXPIRED = "expired"
    INVALID = "invalid"


@unique
class Outcome(StrEnum):
    """The answer of a verdict."""

    ALLOW = "allow"
    CHALLENGE = "challenge"
    DENY = "deny"


@unique
class Effect(StrEnum):
    """What a rule does when its condition holds."""

    GRANT = "grant"
    LIMIT = "limit"
    REQUIRE = "require"


@unique
class Proof(StrEnum):
    """What a `require` rule may ask of the subject; each is an `assurance` of at least so much."""

    SIGN_IN = "sign_in"
    MFA = "mfa"
    PHISHING_RESISTANT = "phishing_resistant"

    @property
    def assurance(self) -> int:
        """The least `assurance` fact that satisfies this proof, 1 to 3."""
        return (Proof.SIGN_IN, Proof.MFA, Proof.PHISHING_RESISTANT).index(self) + 1


@unique
class Reason(StrEnum):
    """Why a request was refused or challenged. The order is the order of precedence when several apply."""

    SANCTIONED_REGION = "sanctioned-region"
    SANCTIONED_PERSON = "sanctioned-person"
    REGION_UNCERTAIN = "region-uncertain"
    JURISDICTION_BLOCKED = "jurisdiction-blocked"
    JURISDICTION_EXIT = "jurisdiction-exit"
    JURISDICTION_PRODUCT = "jurisdiction-product"
    ACCOUNT_ARCHIVED = "account-archived"
    ACCOUNT_RESTRICTED = "account-restricted"
    ACCOUNT_FLAGGED = "account-flagged"
    ACCOUNT_EXIT_ONLY = "account-exit-only"
    ACCOUNT_UNKNOWN = "account-unknown"
    HOLD = "hold"
    ANONYMOUS_NETWORK = "anonymous-network"
    UNFAMILIAR_LOGIN = "unfamiliar-login"
    VERIFICATION_CHANGED = "verification-changed"
    IDENTITY_UNVERIFIED = "identity-unverified"
    LOCATION_UNCERTAIN = "location-uncertain"
    CREDENTIAL_INVALID = "credential-invalid"
    CREDENTIAL_EXPIRED = "credential-expired"
    CREDENTIAL_REQUIRED = "credential-required"
    STEP_UP_REQUIRED = "step-up-required"
    NOT_GRANTED = "not-granted"
    """Nothing opened the operation: no rule refused it, none granted it."""
    OVERLOADED = "overloaded"
    """There was more to do than time to do it in, and facts that this depends on were not asked for."""
    RECORD_UNAVAILABLE = "record-unavailable"
    """The decision could not be recorded, and this operation moves money."""
    AMBIGUOUS_REQUEST = "ambiguous-request"
    """The request could not be read unambiguously; see `Ambiguity` for which way."""


@unique
class Ambiguity(StrEnum):
    """Why a request could not be read unambiguously (answered 400, before the line)."""

    TARGET_FORM = "target-form"
    TARGET_LENGTH = "target-length"
    TARGET_BYTES = "target-bytes"
    TARGET_ENCODING = "target-encoding"
    TARGET_SEGMENTS = "target-segments"
    TARGET_AUTHORITY = "target-authority"
    METHOD = "method"
    METHOD_OVERRIDE = "method-override"
    HOST = "host"
    HEADER_ALIAS = "header-alias"
    HEADER_REPEATED = "header-repeated"
    HEADER_NOMINATED = "header-nominated"
    HEADER_SIZE = "header-size"
    HEADER_BYTES = "header-bytes"
    FRAMING = "framing"
    MESSAGE = "message"


@unique
class WhyUnknown(StrEnum):
    """Why a fact is uncertain. The ones in `OUTAGES` pass by themselves."""

    ADDRESS_UNRESOLVED = "address-unresolved"
    """Nobody can say which client this is; `client_ip.reason` says why."""
    NO_RECORD = "no-record"
    """The databases have no record of the address."""
    PSEUDO_CODE = "pseudo-code"
    """The record holds a placeholder such as EU, AP or ZZ."""
    SOURCES_DISAGREE = "sources-disagree"
    SPECIAL_PURPOSE = "special-purpose"
    """A private or reserved address: no database may speak about it."""
    LOOKUP_FAILED = "lookup-failed"
    """The database is damaged where the address lies."""
    EDITION_TOO_OLD = "edition-too-old"
    NOT_CONFIGURED = "not-configured"
    NOT_SUPPLIED = "not-supplied"
    NO_ACCOUNT = "no-account"
    """A valid credential of a customer whom the store does not know."""
    TOKEN_LACKS_CLAIM = "token-lacks-claim"  # noqa: S105 - a code, not a secret
    KEYS_UNAVAILABLE = "keys-unavailable"
    STORE_UNAVAILABLE = "store-unavailable"
    OVERLOADED = "overloaded"
    """Nobody was asked: there was too much to do."""


OUTAGES: Final[frozenset[WhyUnknown]] = frozenset(
    {WhyUnknown.KEYS_UNAVAILABLE, WhyUnknown.STORE_UNAVAILABLE, WhyUnknown.OVERLOADED}
)
"""Causes that pass by themselves: a refusal that comes only from these is answered 503, not 403."""
