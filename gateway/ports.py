"""What the line needs of the world, as protocols. Adapters implement them; tests have plain in-memory ones."""

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from gateway.core.account import Account as Account  # noqa: PLC0414 - a word of these ports, defined in core
from gateway.core.credential import Presented as Presented  # noqa: PLC0414 - exported from here too
from gateway.core.facts import Fact

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
        path, host and user agent, joined by NUL. Raise JournalUnavailable where it could not be written.
        """

    async def durable(self, position: int) -> None:
        """Return once everything up to `position` is on the disk. Raise JournalUnavailable after a bounded wait."""


class Decisions(Protocol):
    """Finds recorded decisions."""

    def find(self, decision_id: str) -> Mapping[str, object] | None:
        """Return the decision document, or None."""
