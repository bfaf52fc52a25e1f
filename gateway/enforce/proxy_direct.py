"""One HTTP request passed on without a task: it is whole, and its answer comes whole, as most do.

What turns out otherwise goes on as an `Exchange` does, in a task, from where it stands.
"""

from typing import Any, Final, Protocol

from gateway.enforce.http_answer import Cycle, Start
from gateway.enforce.proxy_connection import ClientGone, Connection, Unanswered, UpstreamBroken
from gateway.enforce.proxy_headers import Asked, Lines, answered
from gateway.enforce.proxy_pool import Pool

_BODYLESS: Final = frozenset({204, 304})


class Otherwise(Protocol):
    """What becomes of an exchange that does not go as most do."""

    def go_on(self, exchange: "DirectExchange", connection: Connection) -> object:
        """Pass on an answer that has begun and is not whole. The connection is the callee's from now on."""
        ...

    def ask_anew(self, exchange: "DirectExchange") -> object:
        """Send the request once more, on a new connection."""
        ...

    def fail(self, exchange: "DirectExchange", fault: Unanswered) -> object:
        """Answer that there is no answer."""
        ...


class DirectExchange:
    """One request. Who makes it calls `begin`."""

    __slots__ = ("_connection", "_cycle", "_lines", "_otherwise", "asked", "pool", "scope", "start")

    def __init__(  # noqa: PLR0917 - on the path of every request, where keywords cost
        self,
        asked: Asked,
        cycle: Cycle,
        lines: Lines,
        pool: Pool,
        scope: Any,  # noqa: ANN401 - as ASGI has it
        start: Start,
        otherwise: Otherwise,
    ) -> None:
        """Build.

        Args:
            asked: the request.
            cycle: where it is answered.
            lines: what the answer says besides.
            pool: the connections to its upstream.
            scope: the request, as an app would be given it.
            start: has an app answer.
            otherwise: sees to what goes otherwise.
        """
        self.asked = asked
        self.pool = pool
        self.scope = scope
        self.start = start
        self._cycle = cycle
        self._lines = lines
        self._otherwise = otherwise
        self._connection: Connection | None = None

    def begin(self) -> bool:
        """Send the request; False where there is no kept connection for it."""
        asked, pool = self.asked, self.pool
        connection = pool.kept(idle_s=pool.limits.idle_for(repeatable=asked.repeatable))
        if connection is None:
            return False
        body = self._cycle.body
        if asked.length is None:
            body = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
        self._connection = connection
        self._cycle.lost = self._lost
        limits = pool.limits
        connection.begin(asked.method, asked.head + body, whole_s=limits.response_s, idle_s=limits.idle_s)
        connection.heard_by = self._heard
        return True

    def _heard(self) -> None:
        connection = self._connection
        assert connection is not None
        if connection.fault is not None:
            self._end()
            self.pool.give_back(connection)
            self._failed(connection, connection.fault)
        elif connection.complete:
            self._end()
            status, headers, body = connection.status_code, told(connection), connection.taken()
            self.pool.give_back(connection)
            headers += self._lines
            self._cycle.answer(status, headers, body)
        elif connection.answering:
            self._end()
            self._otherwise.go_on(self, connection)

    def _failed(self, connection: Connection, fault: Unanswered) -> None:
        if isinstance(fault, ClientGone):
            return
        if isinstance(fault, UpstreamBroken) and may_repeat(self.asked, connection):
            self._otherwise.ask_anew(self)
        else:
            self._otherwise.fail(self, fault)

    def _lost(self) -> None:
        if self._connection is not None:
            self._connection.fail(ClientGone("closed the connection"))

    def _end(self) -> None:
        if self._connection is not None:
            self._connection.heard_by = None
            self._connection = None
        self._cycle.lost = None


def may_repeat(asked: Asked, connection: Connection) -> bool:
    """Return whether a request that broke off may be sent once more: on a kept connection, before a byte came back.

    The upstream closed it, then, while the request was on its way.
    """
    return asked.repeatable and connection.exchanges > 1 and not connection.heard


def told(connection: Connection) -> Lines:
    """Return what the client is told of the head of an answer."""
    headers = answered(connection.headers)
    if connection.status_code in _BODYLESS:
        return [line for line in headers if line[0] != b"content-length"]
    return headers
