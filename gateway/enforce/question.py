"""What a proxy asks about: the request that its client sent, read from the question by the proxy's own dialect.

Each dialect reads only the headers that its own snippet in `deploy/` sets: a proxy copies what its client sent, so that
whoever guessed the proxy by its headers would let the client choose.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, NamedTuple

from gateway.core.request import AccessRequest
from gateway.service.memo import Memo

Lines = list[tuple[bytes, bytes]]

OF_THE_QUESTION: Final = frozenset({
    b"connection", b"content-length", b"expect", b"keep-alive", b"proxy-connection", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
})  # fmt: skip
"""What speaks of the connection between the proxy and us: the proxy has read the request's own."""
_PLANS: Final = 256
_PLANNED_BYTES: Final = 2048
"""Bytes of header names beyond which a sequence of them is worked out anew each time."""


class Dialect(NamedTuple):
    """How one proxy asks, and what it makes of the answer."""

    method: bytes | None = None
    """The header with the method that the client sent; None where the question is sent by that method."""
    target: bytes | None = None
    """The header with path and query as the client sent them; None where they follow the endpoint's own path."""
    host: bytes | None = None
    """The header with the host that the client sent; None where it stands in `Host`."""
    passes: frozenset[int] | None = None
    """The statuses that it hands on; None where it hands on every one. Another is answered as 403."""


_FORWARDED: Final = Dialect(b"x-forwarded-method", b"x-forwarded-uri", b"x-forwarded-host")

DIALECTS: Final[Mapping[str, Dialect]] = MappingProxyType(
    {
        "nginx": Dialect(b"x-original-method", b"x-original-uri", passes=frozenset({401, 403})),
        "caddy": _FORWARDED,
        "traefik": _FORWARDED,
        "haproxy": Dialect(b"x-original-method", b"x-original-uri"),
        "envoy": Dialect(),
    }
)
"""By the name that stands in the endpoint."""


class NotAsked(Exception):
    """A question that no snippet of ours asks. Answered 500: whoever set it up must mend it, and nothing is allowed."""


class Plan(NamedTuple):
    """Where in the header lines of a question stands what it says."""

    lines: int
    """How many lines there are."""
    method: int | None
    target: int | None
    host: int | None
    kept: tuple[int, ...]
    """The lines that the client sent."""
    upgrade: tuple[int, ...]
    bare: bool
    """Whether no line speaks of the connection, or of a body."""


class Questions:
    """The questions of one proxy. What depends on the names of the headers alone is worked out once."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._plans: Memo[bytes, Plan] = Memo(_PLANS)

    def plan(self, headers: Lines) -> Plan:
        """Return where stands what. Raise NotAsked."""
        names = [name for name, _ in headers]
        together = b"\n".join(names)
        known = self._plans.get(together)
        if known is not None and known.lines == len(names):
            return known
        plan = self._planned(names)
        return self._plans.keep(together, plan) if len(together) <= _PLANNED_BYTES else plan

    def request(  # noqa: PLR0917 - on the path of every question, where keywords cost
        self, plan: Plan, at: int, peer: str, method: str, rest: bytes, query: bytes, headers: Lines, websocket: bool
    ) -> AccessRequest:
        """Return the request that is asked about. `rest` is what follows the endpoint's path. Raise NotAsked."""
        dialect = self.dialect
        kept = [headers[index] for index in plan.kept]
        if dialect.method is not None:
            method = _said(dialect.method, plan.method, headers).decode("latin-1")
        if dialect.target is None:
            target = rest
        elif rest:
            raise NotAsked("something follows the endpoint's path")
        else:
            target, _, query = _said(dialect.target, plan.target, headers).partition(b"?")
        if dialect.host is not None:
            kept.insert(0, (b"host", _said(dialect.host, plan.host, headers)))
        if not websocket and plan.upgrade:
            upgrade = next((value for index in plan.upgrade if (value := headers[index][1])), b"")
            websocket = b"websocket" in upgrade.lower()
        return AccessRequest(at, peer, method, target, kept, query, websocket)

    def _planned(self, names: list[bytes]) -> Plan:
        dialect = self.dialect
        asked = {dialect.method, dialect.target, dialect.host}
        without = OF_THE_QUESTION if dialect.host is None else OF_THE_QUESTION | {b"host"}
        return Plan(
            len(names),
            _only(names, dialect.method),
            _only(names, dialect.target),
            _only(names, dialect.host),
            tuple([index for index, name in enumerate(names) if name not in asked and name not in without]),
            tuple([index for index, name in enumerate(names) if name == b"upgrade"]),
            OF_THE_QUESTION.isdisjoint(names),
        )


def _only(names: list[bytes], name: bytes | None) -> int | None:
    """Return where the header stands that the snippet sets, exactly once. Raise NotAsked."""
    if name is None:
        return None
    count = names.count(name)
    if count != 1:
        raise NotAsked(f"`{name.decode()}` came {count} times: the snippet in `deploy/` sets it once")
    return names.index(name)


def _said(name: bytes, index: int | None, headers: Lines) -> bytes:
    """Return the value of a header that the snippet sets. Raise NotAsked."""
    assert index is not None
    value = headers[index][1]
    if not value:
        raise NotAsked(f"`{name.decode()}` came empty: the snippet in `deploy/` sets it")
    return value
