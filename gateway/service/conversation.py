"""What is said on one open stream: each message is decided as a request of the operation that it names would be."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import orjson

from gateway.core.decision import ambiguous_document
from gateway.core.reply import reply_to_ambiguous
from gateway.core.request import AccessRequest
from gateway.core.said import Attempt, MessageRule, Said, message_document
from gateway.core.target import Ambiguous
from gateway.core.terms import Operation, Reason
from gateway.policies.bundle import Bundle
from gateway.service.pipeline import Line, Passage, Settled
from gateway.service.reading import Reading

_ALLOWED = 200
_PRECEDENCE = {reason: number for number, reason in enumerate(Reason)}
_REMEMBERED = 256
"""Answers that a stream keeps, one for each name of the table that was said on it."""


class Refused(NamedTuple):
    """A message that must not be passed on."""

    passage: Passage
    said: Said | None
    """None where the message could not be read."""


class Conversation:
    """Decides what a client says on one stream."""

    __slots__ = ("_answers", "_bundle", "_line", "_now", "_reading", "_request", "_rule", "_stream")

    def __init__(
        self, line: Line, now: Callable[[], int], rule: MessageRule, request: AccessRequest, stream: Passage
    ) -> None:
        """Build. `request` is the handshake, and `stream` the answer that let it through."""
        self._line = line
        self._now = now
        self._rule = rule
        self._request = request
        self._stream = stream
        self._bundle: Bundle | None = None
        self._reading: Reading | Ambiguous | None = None
        self._answers: dict[tuple[str | None, Operation], Settled] = {}

    async def refusal(self, text: str | None, data: bytes | None) -> Refused | None:
        """Return the refusal of a message, recorded; None where all of it is allowed, and on record.

        Of a batch every message is decided, and the refusal is the one that comes first in the order of reasons.
        """
        read = self._rule.read(text, data)
        if isinstance(read, Ambiguous):
            return Refused(await self._unread(read), None)
        refused = [Refused(passage, said) for said in read if (passage := await self._decided(said)) is not None]
        return min(refused, key=_rank) if refused else None

    async def _decided(self, said: Said) -> Passage | None:
        """Return the refusal of one message; None where it is allowed."""
        request = replace(self._request, at=self._now())
        reading = self._read(request)
        if isinstance(reading, Ambiguous):
            return await self._line.decide(request)
        settled = self._answers.get((said.name, said.operation))
        if settled is not None and self._line.stands(settled, request.at):
            passage = self._line.record(request, settled, reading, reading.record)
        else:
            message = message_document(said, self._stream.decision_id)
            passage = await self._line.answer(request, reading, Attempt(said.operation, said.asked, message))
            self._keep(said, passage.settled)
        return None if passage.reply.status == _ALLOWED else passage

    def _read(self, request: AccessRequest) -> Reading | Ambiguous:
        """Return the handshake as it would be read now: how requests are read changes only with the bundle's object."""
        if self._reading is None or self._bundle is not self._line.bundle:
            self._bundle = self._line.bundle
            self._answers.clear()
            self._reading = self._line.reader.read(request)
        return self._reading

    def _keep(self, said: Said, settled: Settled) -> None:
        if settled.once or self._bundle is not self._line.bundle:
            return
        if len(self._answers) >= _REMEMBERED:
            self._answers.clear()
        self._answers[said.name, said.operation] = settled

    async def _unread(self, ambiguous: Ambiguous) -> Passage:
        request = replace(self._request, at=self._now())
        reading = self._read(request)
        if isinstance(reading, Ambiguous):
            return await self._line.decide(request)
        client_ip = self._line.reader.client_ip(request, reading.plan)
        reply = reply_to_ambiguous(ambiguous.why)
        document = ambiguous_document(client_ip, self._line.bundle.digest, str(ambiguous.why), ambiguous.detail, reply)
        document["message"] = message_document(None, self._stream.decision_id)
        settled = Settled(orjson.dumps(document), client_ip, reply)
        return self._line.record(request, settled, reading, reading.record)


def _rank(refused: Refused) -> int:
    reason = refused.passage.reply.reason
    return len(_PRECEDENCE) if reason is None else _PRECEDENCE[reason]
