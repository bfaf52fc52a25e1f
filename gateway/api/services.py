"""What the API needs of the rest of the house: built by the app, plain to replace in a test."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from gateway.adapters.desk_store import DeskStore
from gateway.adapters.evidence_files import EvidenceStore
from gateway.adapters.identity_results import IdentityResults
from gateway.adapters.once import OnceStore
from gateway.adapters.outbox_store import OutboxStore
from gateway.adapters.revisions import RevisionStore
from gateway.adapters.security_event_tokens import SetReceiver
from gateway.adapters.service_tokens import Unmasked
from gateway.adapters.sql import AccountStore
from gateway.core.account import Refused
from gateway.core.alarms import KeptAlarm
from gateway.core.decision import Document
from gateway.core.masking import Reader, Unmasking
from gateway.core.search import Page, Search
from gateway.core.service_token import ServiceToken
from gateway.ports import Clock, Count, Erasing, Events, Step
from gateway.service.health import Check
from gateway.service.publishing import Publishing


class TokenBook(Protocol):
    """Who may ask, and who saw what."""

    async def check(self, text: str, at: int) -> ServiceToken | None:
        """Return the token that this text is and that holds at `at`; None otherwise. Raise StoreUnavailable."""

    async def note_unmasked(self, who: str, why: str, seen: Sequence[Unmasked]) -> Refused | None:
        """Write down that `who` saw these decisions unmasked, and why; None where that is done."""

    async def note_seen(self, action: str, account: str, who: str, why: str, **what: object) -> Refused | None:
        """Write down that `who` sees what is not shown without a reason; None where that is done."""


class Recorded(Protocol):
    """The decisions that may be searched: an archive, with or without what it has not taken yet."""

    async def taken(self) -> Mapping[str, tuple[int, int]]:
        """Return how far each worker's journal was taken. Raise StoreUnavailable."""

    async def find(self, decision_id: str) -> Document | None:
        """Return the decision document, or None. Raise StoreUnavailable."""

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        """Return a page of decisions, the newest first. Raise SearchError, StoreUnavailable."""

    async def counts(self, since: int, until: int, *, step: Step = Step.HOUR) -> Sequence[Count]:
        """Return how many decisions of each kind there were. Raise StoreUnavailable."""


class OnRecord(Protocol):
    """The alarms on record."""

    @property
    def alarms(self) -> Sequence[KeptAlarm]:
        """The newest last."""


class AlarmBook(Protocol):
    """The alarms of one gateway. It may wait for a disk, so it is asked in a thread."""

    def read(self) -> OnRecord:
        """Return what is on record. Raise StoreUnavailable."""

    def acknowledge(self, name: str, who: str, why: str, at: int) -> KeptAlarm | Refused:
        """Return the alarm with this id, acknowledged; a refusal about `alarm` where there is none, else about `why`.

        Raise StoreUnavailable.
        """


class PolicyDesk(NamedTuple):
    """Revisions of the policies: what publishes them, and where they are kept."""

    publishing: Publishing
    revisions: RevisionStore


class Desk(NamedTuple):
    """Accounts, tickets and messages, and what takes in what others tell. None: not configured."""

    accounts: AccountStore
    tickets: DeskStore
    outbox: OutboxStore
    once: OnceStore
    events: Events | None = None
    security_events: SetReceiver | None = None
    evidence: EvidenceStore | None = None
    identity_results: IdentityResults | None = None
    policies: PolicyDesk | None = None


class Wanted(NamedTuple):
    """How a decision is to be explained."""

    role: Reader
    language: str
    leave: Unmasking | None
    now: bool = False
    """Whether to say too if it would be the same now."""


class Services(NamedTuple):
    """Everything that the API asks."""

    clock: Clock
    tokens: TokenBook
    archive: Recorded
    find: Callable[[str], Awaitable[Document | None]]
    """A decision by its id, from the archive or else from the journal; None where neither has it."""
    explain: Callable[[Document, Wanted], Document]
    """The explanation as JSON; it takes a while, and is called in a thread."""
    languages: Sequence[str]
    metrics: Callable[[], bytes]
    """The metrics of this process in the text format of Prometheus."""
    address_of: Callable[[str | None, Mapping[str, Sequence[bytes]]], str | None]
    """The address held responsible for a request: the peer, or whom a trusted proxy speaks for."""
    alarms: AlarmBook
    erase: Callable[[Erasing, str, str], Awaitable[Document | Refused]]
    """Erase personal data, who and why being noted first; what came of it as JSON. Raise StoreUnavailable."""
    desk: Desk | None = None
    """None: this process serves decisions alone."""
    checks: Callable[[], Sequence[Check]] = tuple
    """What is looked at to say whether this process is ready."""
