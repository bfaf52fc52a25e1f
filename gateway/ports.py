"""What the line needs of the world, as protocols. Adapters implement them; tests have plain in-memory ones."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique
from hashlib import blake2b
from typing import NamedTuple, Protocol

from gateway.core.account import Account as Account  # noqa: PLC0414 - a word of these ports, defined in core
from gateway.core.alike import Alike, Each
from gateway.core.credential import Presented as Presented  # noqa: PLC0414 - exported from here too
from gateway.core.decision import Document
from gateway.core.events import Event
from gateway.core.everyone import Global
from gateway.core.facts import Fact
from gateway.core.keeping import Keep as Keep  # noqa: PLC0414 - exported from here too
from gateway.core.login import Place
from gateway.core.obligations import Errands
from gateway.core.profile import Profile
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import Page, Search, packed
from gateway.core.stuffing import Networks
from gateway.core.taking import Taken as Taken  # noqa: PLC0414 - exported from here too
from gateway.core.taking import Taking as Taking  # noqa: PLC0414 - exported from here too
from gateway.desk.carried import Carried as Carried  # noqa: PLC0414 - exported from here too
from gateway.desk.carried import Outcome as Outcome  # noqa: PLC0414 - exported from here too
from gateway.desk.record import Ticket

MICROSECONDS = 1_000_000


class Clock(Protocol):
    """The only source of time."""

    def now(self) -> int:
        """Return microseconds since the epoch, UTC."""


class Connection(NamedTuple):
    """What the databases say of one address."""

    country: Fact[str]
    subdivision: Fact[str]
    continent: Fact[str]
    asn: Fact[int]
    network: Fact[frozenset[str]]
    place: Place | None = None
    """Where on earth, for journeys alone: no rule names it."""


class Geo(Protocol):
    """The GeoIP editions in use."""

    @property
    def generation(self) -> int:
        """A number that changes whenever any edition, list or override is swapped: a cached answer dies with it."""

    @property
    def editions(self) -> tuple[str, ...]:
        """Name, build date and short digest of each edition in use, for the decision."""

    def look_up(self, geo_key: str | None, at: int) -> Connection:
        """Return the connection facts of a canonical address (None: not resolved). Never raises."""


class Identity(NamedTuple):
    """What a credential proves."""

    credential: Fact[str]
    token: Fact[str]
    account: Fact[str | None]
    assurance: Fact[int]
    auth_time: Fact[int | None]
    """When the subject last proved who it is, microseconds since the epoch."""
    valid_until: int | None
    """The instant after which this answer may not be used again (expiry, or how long it may be remembered)."""
    session: str | None = None
    """The name of the session: the token's `sid`, or else its `jti`. None where it has neither."""
    token_id: str | None = None
    """The token's `jti`, by which it may be revoked as well."""
    issued_at: int | None = None
    """When the token was issued, microseconds since the epoch."""


class Tokens(Protocol):
    """Checks credentials."""

    @property
    def generation(self) -> int:
        """A number that changes whenever the key set or a revocation changes: a remembered answer dies with it."""

    async def check(self, presented: Presented | None, at: int) -> Identity:
        """Return what the credential proves at `at`. Never raises: a failure is a fact."""


class Accounts(Protocol):
    """The exchange's customers."""

    @property
    def generation(self) -> int:
        """A number that changes whenever any account changed, as far as this process has heard."""

    def changed_at(self, uid: str | None) -> int:
        """Return what `generation` became by the latest change that may have been of this account.

        What was read of it at that generation or later still holds. None: of no account in particular.
        """

    def fresh(self, at: int) -> bool:
        """Return whether this process has heard from the store recently enough to rely on `generation`."""

    async def read(self, uid: str) -> Account | None:
        """Return the account as it is now, or None. Raise StoreUnavailable within a bounded time."""

    async def key_owner(self, digest: bytes) -> str | None:
        """Return the uid that owns the API key with this SHA-256 digest, or None. Raise StoreUnavailable."""


class Ruling:
    """What a decision shares with others like it; its document is journaled once per segment."""

    __slots__ = ("document", "number", "segment")

    def __init__(self, document: bytes) -> None:
        self.document = document
        """JSON of `core.decision.ruling_document`."""
        self.segment: object = None
        self.number = 0


class Journal(Protocol):
    """The append-only record of decisions."""

    def append(  # noqa: PLR0917 - on the path of every request, where keywords cost
        self, ruling: Ruling, decision_id: bytes, at: int, auth_age: int | None, took_us: int, request: bytes
    ) -> int:
        """Return the position of the record, which now survives the death of this process.

        `decision_id` is the 16 bytes of the UUID, `at` microseconds since the epoch, `request` the method, canonical
        path, host and user agent, and the trace where there is one, joined by NUL. Raise JournalUnavailable where it
        could not be written.
        """

    async def durable(self, position: int) -> None:
        """Return once everything up to `position` is on the disk. Raise JournalUnavailable after a bounded wait."""


class RecordedDecision(NamedTuple):
    """One decision as the journal has it."""

    id: bytes
    """16 bytes: a UUIDv7."""
    at: int
    """Microseconds since the epoch."""
    took_us: int
    auth_age: int | None
    request: bytes
    """Method, canonical path, host and user agent, and the trace where there is one, joined by NUL."""
    ruling: bytes
    """`ruling_digest` of what it shares with others."""


class Stretch(NamedTuple):
    """A piece of one worker's journal, as it is taken into the archive."""

    worker: str
    segment: int
    start: int
    """The offset where the stretch before it ended; 0 begins a segment."""
    end: int
    rulings: Mapping[bytes, bytes]
    """`ruling_digest` to the JSON, of at least every ruling that a decision of this stretch names."""
    decisions: Sequence[RecordedDecision]


def ruling_digest(document: bytes) -> bytes:
    """Return the 16 bytes that name a ruling in the archive."""
    return blake2b(document, digest_size=16).digest()


@unique
class Step(StrEnum):
    """The time that one count is of."""

    HOUR = "hour"
    DAY = "day"
    """From midnight to midnight, UTC."""
    ALL = "all"
    """All the time that was asked for."""


class Count(NamedTuple):
    """How many decisions of one hour, one day or all of a time had these in common."""

    start: int
    """When the hour or the day began, microseconds since the epoch; of `Step.ALL`, since when it was asked."""
    operation: str
    outcome: str
    reason: str | None
    country: str | None
    """None where it was not certain."""
    bundle: str
    decisions: int


class RuleCount(NamedTuple):
    """How many refusals of one hour a rule determined, alone or with others."""

    start: int
    """When the hour began, microseconds since the epoch."""
    rule: str
    """`policy/rule`."""
    bundle: str
    decisions: int


@dataclass(frozen=True, slots=True)
class Erasing:
    """Whose personal data is replaced by digests: exactly one of these says it."""

    account: str | None = None
    address: str | None = None
    """One address; decisions that it was held responsible for."""
    before: int | None = None
    """Of all decisions made before this instant, microseconds since the epoch."""

    def __post_init__(self) -> None:
        """Raise ValueError where it names nothing, several, or an address that is none."""
        if sum(one is not None for one in (self.account, self.address, self.before)) != 1:
            raise ValueError("an erasing names exactly one of account, address and before")
        if self.address is not None:
            packed(self.address)


class Archive(Protocol):
    """The store of decisions: takes what the journal holds, exactly once, and finds it again."""

    async def start(self) -> None:
        """Open, and bring the tables to the schema that this code knows. Raise StoreUnavailable."""

    async def close(self) -> None:
        """Let go of everything."""

    async def taken(self) -> Mapping[str, tuple[int, int]]:
        """Return how far each worker's journal was taken: the segment, and the offset in it. Raise StoreUnavailable."""

    async def take(self, stretch: Stretch) -> int:
        """Take a stretch, whole or not at all; return how many decisions were new.

        How far the worker's journal was taken moves on with it, in one transaction. A stretch that was taken before, in
        whole or in part, adds nothing twice. Raise StoreUnavailable.
        """

    async def find(self, decision_id: str) -> Document | None:
        """Return the decision document, or None. Raise StoreUnavailable within a bounded time."""

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return the decisions that a search finds, the newest id first, at most `limit` of them.

        Raise SearchError for a cursor that is none, StoreUnavailable within a bounded time.
        """

    async def counts(self, since: int, until: int, *, step: Step = Step.HOUR) -> Sequence[Count]:
        """Return how many decisions of each kind the hours that begin in `[since, until)` had, oldest first.

        By day and for all the time the same hours are added up: the first and the last day may be a part of one.
        """

    async def forget(self, before: Mapping[Keep, int]) -> int:
        """Remove decisions of each class that were made before its instant; return how many.

        A class without an instant is kept. Rulings that nothing else names go too. Counts stay.
        """

    async def erase(self, erasing: Erasing, pseudonyms: Pseudonyms) -> int:
        """Replace personal data by digests in the decisions that this is about; return how many it changed.

        Once it returned, nothing of what it replaced is in the store. Done again it changes nothing; where it raises,
        StoreUnavailable, some of it is done, and doing it again does the rest.
        """

    async def forget_workers(self, keep: Collection[str]) -> None:
        """Forget how far workers were taken whose journal is gone: for 30 days nothing was taken, and none named them.

        `keep` names those whose journal is there. Several machines may share an archive, each of which knows its own
        alone: whom one does not name, another may.
        """


class Moment(Protocol):
    """All recorded decisions, or a piece of the journal, as one moment had them: read through, not searched."""

    taken: Mapping[str, tuple[int, int]]
    """How far each worker's journal was taken then."""

    def alike(self, since: int, until: int) -> AsyncIterator[Sequence[Alike]]:
        """Yield the decisions made in `[since, until)`, by rulings, each told of once. Raise StoreUnavailable."""

    async def documents(self, rulings: Sequence[int]) -> Mapping[int, bytes]:
        """Return the JSON of rulings. Raise StoreUnavailable."""

    async def each(self, rulings: Sequence[int], since: int, until: int) -> Sequence[Each]:
        """Return the decisions of rulings that were made in `[since, until)`. Raise StoreUnavailable."""


class Desk(Protocol):
    """Carries out what verdicts ask for, and keeps the tickets."""

    async def carry_out(self, errands: Errands) -> tuple[Carried, ...]:
        """Return what became of each errand of a decision, all of them stored in one transaction.

        Done again, at once or years later, it changes nothing. Raise StoreUnavailable: then nothing was done.
        """

    async def open_ticket_for(self, uid: str, operation: str) -> Ticket | None:
        """Return the open ticket that holds an operation of the account; of several the one that lasts longest."""


class Profiles(Protocol):
    """What is known of accounts' habits."""

    @property
    def generation(self) -> int:
        """A number that changes whenever a profile did that was read here lately, as far as is known."""

    @property
    def everyone(self) -> Global:
        """The counts over all accounts. Only to be read."""

    @property
    def networks(self) -> Networks:
        """What each network tried lately. Only to be read."""

    async def read(self, uid: str) -> Profile | None:
        """Return the account's profile, the caller's own; None where there is none. Raise StoreUnavailable."""


class Events(Protocol):
    """Takes in what happened to accounts."""

    async def take(self, events: Sequence[Event], source: str) -> tuple[Taken, ...]:
        """Return what became of each event. Each is stored and applied whole, or not at all.

        `source` says in the timelines who told. Raise StoreUnavailable: then all may be sent again.
        """


class Revocation(NamedTuple):
    """Sessions that began before an instant and are over, or count for at most a level of assurance."""

    session: str
    """`session_digest` of the session's name; empty: every session of the account."""
    before: int
    level: int | None


class Revocations(Protocol):
    """Which sessions are over."""

    async def of(self, uid: str) -> tuple[Revocation, ...]:
        """Return the account's. Raise StoreUnavailable within a bounded time."""


class OutboxRow(NamedTuple):
    """One message to the exchange, its id the idempotency key. Of one account, a lower number is told first."""

    number: int
    id: str
    account: str
    type: str
    data: Mapping[str, object]
    created_at: int
    state: str
    """`pending`, `delivered` or `parked`."""
    next_try_at: int
    tries: int
    last_error: str | None
    delivered_at: int | None


class Outbox(Protocol):
    """What the exchange is still to be told, in order of each account. Every call may raise StoreUnavailable."""

    async def lease(self, name: str, owner: str, until: int) -> bool:
        """Return whether `owner` has the lease until then: nobody else has it, or theirs is over."""

    async def due(self, at: int, limit: int) -> Sequence[OutboxRow]:
        """Return messages to try now: of each account only its first pending one, the oldest first."""

    async def delivered(self, row_id: str, at: int) -> None:
        """Note that the receiver has it."""

    async def failed(self, row_id: str, error: str, next_try_at: int) -> None:
        """Note a try that failed, and when the next one is due."""

    async def parked(self, row_id: str, error: str) -> None:
        """Give up on it until somebody says otherwise; the account's next one goes on."""
