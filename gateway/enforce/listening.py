"""A WebSocket whose messages are decided one by one, before the app hears them."""

import asyncio
import json
from contextlib import suppress
from typing import Final

from typing_extensions import override

from gateway.core.customer import LANGUAGES
from gateway.core.preference import lines_of, preferred
from gateway.core.problem import problem_document
from gateway.core.request import AccessRequest
from gateway.core.said import MessageRule
from gateway.enforce.asgi import Message, Receive, Send
from gateway.enforce.streams import OpenSocket, Streams
from gateway.service.conversation import Conversation, Refused
from gateway.service.pipeline import Line, Passage

_WITHIN_S: Final = 10.0
"""How long a client may take to take a refusal. Who takes none is given up."""


class ListeningSocket(OpenSocket):
    """A WebSocket of which the app hears what is allowed, and nothing else."""

    __slots__ = ("_answers", "_conversation", "_support_url", "_undecided")

    def __init__(
        self,
        request: AccessRequest,
        passage: Passage,
        streams: Streams,
        receive: Receive,
        send: Send,
        *,
        line: Line,
        rule: MessageRule,
        support_url: str | None = None,
    ) -> None:
        """Build. `request` is the handshake, `passage` the answer that let it through."""
        super().__init__(request, passage, streams, receive, send)
        self._conversation = Conversation(line, streams.now, rule, request, passage)
        self._answers = rule.answers
        self._support_url = support_url
        self._undecided: Message | None = None
        """What the client said last, while it is decided: an app that waits no longer for it may ask again."""

    @override
    async def receive(self) -> Message:
        """Return the next message that is allowed; that the client went, where a refusal closed the WebSocket."""
        while True:
            message = self._undecided or await super().receive()
            if message["type"] != "websocket.receive":
                return message
            self._undecided = message
            refused = await self._conversation.refusal(message.get("text"), message.get("bytes"))
            self._undecided = None
            if self._refused is not None:
                # While it was decided, the stream itself was refused.
                return self._gone(self._refused)
            if refused is None:
                return message
            if not (self._answers and await self._told(refused)):
                self._streams.refused(self._passage.decision_id, refused.passage)
                self._end(refused.passage)
                await self._closed()
                return self._gone(refused.passage)

    async def _closed(self) -> None:
        """Return when the client was told: an app that hears first that it went ends the connection at once."""
        assert self._closing is not None
        with suppress(OSError):  # a timeout is one, too
            async with asyncio.timeout(_WITHIN_S):
                await self._closing

    async def _told(self, refused: Refused) -> bool:
        """Return whether the client took the refusal."""
        text = self._words(refused)
        try:
            async with asyncio.timeout(_WITHIN_S):
                await self._send({"type": "websocket.send", "text": text})
        except TimeoutError:
            return False
        except OSError:
            pass  # it went, as the next message says
        return True

    def _words(self, refused: Refused) -> str:
        """Return the refusal as JSON: the problem document of a refused request, and which message it is about."""
        passage, said = refused
        language = preferred(lines_of(self._request.headers, b"accept-language"), LANGUAGES)
        document = problem_document(
            passage.reply, passage.decision_id.decode("ascii"), language=language, support_url=self._support_url
        )
        document["message"] = {"name": None, "id": None} if said is None else {"name": said.name, "id": said.id}
        return json.dumps(document, separators=(",", ":"))
