"""What the API needs of the rest of the house: built by the app, plain to replace in a test."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

from gateway.adapters.service_tokens import Unmasked
from gateway.core.account import Refused
from gateway.core.decision import Document
from gateway.core.masking import Reader, Unmasking
from gateway.core.service_token import ServiceToken
from gateway.ports import Archive, Clock


class TokenBook(Protocol):
    """Who may ask, and who saw what."""

    async def check(self, text: str, at: int) -> ServiceToken | None:
        """Return the token that this text is and that holds at `at`; None otherwise. Raise StoreUnavailable."""

    async def note_unmasked(self, who: str, why: str, seen: Sequence[Unmasked]) -> Refused | None:
        """Write down that `who` saw these decisions unmasked, and why; None where that is done."""


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
    archive: Archive
    find: Callable[[str], Awaitable[Document | None]]
    """A decision by its id, from the archive or else from the journal; None where neither has it."""
    explain: Callable[[Document, Wanted], Document]
    """The explanation as JSON; it takes a while, and is called in a thread."""
    languages: Sequence[str]
    metrics: Callable[[], bytes]
    """The metrics of this process in the text format of Prometheus."""
    address_of: Callable[[str | None, Mapping[str, Sequence[bytes]]], str | None]
    """The address held responsible for a request: the peer, or whom a trusted proxy speaks for."""
