"""The decision service as Envoy asks it over gRPC: `envoy.service.auth.v3.Authorization`, one answer for each question.

The stubs are an extra, `geofence-gateway[grpc]`, and are imported where a server is built.
"""

import asyncio
from importlib import import_module
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import structlog

from gateway.core.errors import ConfigError
from gateway.core.request import AccessRequest, Headers
from gateway.enforce.forward_auth import Askers, rendered
from gateway.enforce.question import OF_THE_QUESTION, NotAsked
from gateway.enforce.request_log import Saying
from gateway.ports import Clock
from gateway.service.pipeline import Line, Passage

_Message = Any
"""A message, or something else of the extra: it has no types, and may not be there."""

log: Any = structlog.get_logger("gateway")

_SERVICE: Final = "envoy.service.auth.v3.Authorization"
_AT_ONCE: Final = 1024
"""Questions; one more is answered RESOURCE_EXHAUSTED at once, which Envoy takes for a refusal."""
_SECONDS: Final = 10.0
"""The longest that a question is worked on, where Envoy does not say that it waits less."""
_GRACE_SECONDS: Final = 10.0
_BESIDE_THE_HEAD: Final = 64 * 1024
"""Bytes of a question besides the head of the request: addresses, certificates, what else Envoy tells."""
_ALLOWED: Final = 200
_OWN: Final = b"gateway-"


class ExtAuthz:
    """Answers Envoy's questions on a port of its own."""

    def __init__(
        self,
        line: Line,
        clock: Clock,
        *,
        askers: Askers,
        max_head_bytes: int,
        support_url: str | None = None,
        saying: Saying | None = None,
    ) -> None:
        """Build. `saying` says decisions in the log. Raise ConfigError where the extra is not installed."""
        self._saying = saying
        try:
            self._grpc = import_module("grpc")
            self._aio = import_module("grpc.aio")
            self._messages = import_module("envoy.service.auth.v3.external_auth_pb2")
        except ImportError as fault:
            raise ConfigError(
                f"`[forward_auth] grpc_port`: `{fault.name}` is missing; install the extra: "
                "pip install 'geofence-gateway[grpc]'"
            ) from None
        self._line = line
        self._now = clock.now
        self._askers = askers
        self._support_url = support_url
        # A message holds each header name and value with a few bytes of framing.
        self._max_message = 2 * max_head_bytes + _BESIDE_THE_HEAD
        self._server: _Message = None

    async def start(self, host: str, port: int) -> int:
        """Listen; return the port. Raise ConfigError where that cannot be."""
        grpc = self._grpc
        server = self._aio.server(
            options=(
                ("grpc.max_receive_message_length", self._max_message),
                ("grpc.max_metadata_size", 16 * 1024),
                # Else a second process on the same port would take every other question, silently.
                ("grpc.so_reuseport", 0),
            ),
            maximum_concurrent_rpcs=_AT_ONCE,
        )
        check = grpc.unary_unary_rpc_method_handler(
            self.check,
            request_deserializer=self._messages.CheckRequest.FromString,
            response_serializer=self._messages.CheckResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(_SERVICE, {"Check": check}),))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound = int(server.add_insecure_port(address))
            await server.start()
        except RuntimeError as fault:
            raise ConfigError(
                f"cannot listen for gRPC on {host} port {port}: is something else listening there?"
            ) from fault
        self._server = server
        return bound

    async def close(self) -> None:
        """Stop listening; what is being answered is answered, within 10 seconds."""
        if self._server is not None:
            await self._server.stop(_GRACE_SECONDS)
            self._server = None

    async def check(self, question: _Message, context: _Message) -> _Message:
        """Return the answer to one question. What fails is aborted with a status, which Envoy takes for a refusal."""
        code = self._grpc.StatusCode
        peer = peer_of(context.peer())
        if not self._askers.may_ask(peer):
            await _abort(context, code.PERMISSION_DENIED, "not one of `asked_by`")
        try:
            request = self._read(question.attributes.request.http, peer)
        except NotAsked as fault:
            log.error("forward_auth:not_asked_as_configured", path=_SERVICE, why=str(fault))  # noqa: TRY400 - no trace needed
            await _abort(context, code.INVALID_ARGUMENT, "not asked as configured; the log says why")
        try:
            async with asyncio.timeout(min(context.time_remaining() or _SECONDS, _SECONDS)):
                passage = self._line.recall(request) or await self._line.decide(request)
        except TimeoutError:
            await _abort(context, code.DEADLINE_EXCEEDED, "not decided in time")
        if self._saying is not None:
            self._saying.decided(request.at, passage)
        if passage.reply.status == _ALLOWED:
            return self._allowed(passage, request.headers)
        return self._denied(passage, request.headers)

    def _read(self, http: _Message, peer: str) -> AccessRequest:
        """Return the request that a question is about. Raise NotAsked."""
        # Line by line where Envoy is told to (`encode_raw_headers`). By name alone, lines that came twice are joined by
        # a comma: what may come once has then a value that nobody issues, and is refused for that.
        lines = [(line.key, line.raw_value or line.value.encode()) for line in http.header_map.headers]
        lines = lines or [(name, value.encode()) for name, value in http.headers.items()]
        if not lines or not http.method or not http.path:
            raise NotAsked("it holds no head of a request; `deploy/envoy` shows how Envoy is told to send it")
        headers = [(b"host", http.host.encode())]
        websocket = False
        for key, value in lines:
            name = key.lower().encode()
            websocket = websocket or (name == b"upgrade" and b"websocket" in value.lower())
            if not name.startswith(b":") and name != b"host" and name not in OF_THE_QUESTION:
                headers.append((name, value))
        target, _, query = http.path.encode().partition(b"?")
        return AccessRequest(self._now(), peer, http.method, target, headers, query, websocket)

    def _allowed(self, passage: Passage, asked: Headers) -> _Message:
        decision = (b"gateway-decision", passage.decision_id)
        answer = self._messages.CheckResponse()
        told = [*passage.settled.told, decision]
        self._put(answer.ok_response.headers, told)
        # Of what a client sent under the gateway's names nothing is left that the gateway did not say.
        said = {name for name, _ in told}
        own = {name for name, _ in asked if name.startswith(_OWN)} - said
        answer.ok_response.headers_to_remove.extend(sorted(name.decode() for name in own))
        self._put(answer.ok_response.response_headers_to_add, [decision, passage.settled.level])
        return answer

    def _denied(self, passage: Passage, asked: Headers) -> _Message:
        reply = passage.reply
        headers, body = rendered(reply, passage.decision_id.decode("ascii"), asked, self._support_url)
        code = self._grpc.StatusCode.UNAUTHENTICATED if reply.status == 401 else self._grpc.StatusCode.PERMISSION_DENIED
        answer = self._messages.CheckResponse()
        answer.status.code = code.value[0]
        answer.denied_response.status.code = reply.status
        self._put(answer.denied_response.headers, [*headers, passage.settled.level])
        answer.denied_response.body = body.decode()
        return answer

    @staticmethod
    def _put(field: _Message, lines: list[tuple[bytes, bytes]]) -> None:
        """Add the lines, each in place of whatever stands there under its name."""
        for name, value in lines:
            option = field.add()
            option.header.key = name.decode("ascii")
            option.header.value = value.decode("latin-1")
            option.append_action = option.OVERWRITE_IF_EXISTS_OR_ADD


async def _abort(context: _Message, code: _Message, why: str) -> NoReturn:
    await context.abort(code, why)
    raise AssertionError("abort raises")


def peer_of(peer: str) -> str | None:
    """Return the address of who asks, as gRPC writes it (`ipv4:127.0.0.1:50000`, `ipv6:%5B::1%5D:50000`)."""
    family, _, rest = peer.partition(":")
    if family not in {"ipv4", "ipv6"}:
        return None
    return unquote(rest).rpartition(":")[0].strip("[]")
