"""Where decisions go besides the archive. A sink takes batches; a Fan feeds it from the journal and asks again."""

from collections.abc import Sequence
from typing import Protocol

from gateway.core.decision import Document
from gateway.core.errors import GatewayError


class Sink(Protocol):
    """Takes batches of decision documents, at least once each: the `id` of a decision tells a repeat."""

    async def send(self, batch: Sequence[Document]) -> None:
        """Return once the sink has the whole batch, in order, and would keep it through a loss of power on our side.

        Raise SinkUnavailable within a bounded time; the batch, of which a part may have arrived, is then sent again.
        """

    async def close(self) -> None:
        """Let go of everything."""


class SinkUnavailable(GatewayError):
    """A sink did not take a batch. Nothing is lost by it: the journal has the decisions."""

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s
        """How long the other side asked to be left alone, in seconds; None where it said nothing."""
