"""From an AccessRequest to what it attempts and who it claims to be, or to the way in which it is ambiguous."""

from dataclasses import dataclass

from gateway.core.client_ip import ClientIP, ClientIPRule
from gateway.core.credential import Conflicting, CredentialRule, Presented
from gateway.core.errors import ConfigError
from gateway.core.headers import HeaderPlan, HeaderRule, check_query
from gateway.core.operations import OperationTable, check_method
from gateway.core.request import AccessRequest, Headers
from gateway.core.target import Ambiguous, canonical_target
from gateway.core.terms import Ambiguity, Operation
from gateway.core.trace_context import with_trace
from gateway.service.devices import Devices
from gateway.service.memo import Memo
from gateway.service.risk import Came

_REMEMBERED_LINES = 512
"""Bytes of the header that names the client beyond which the address is worked out anew each time."""
_AGENT = 256
"""Bytes of the user agent that are recorded."""
_AGENT_READ = 512
"""Bytes of it that are compared with the account's history: as many as an event may tell."""
_BETWEEN = b"\n"
_REMEMBERED_NAMES = 2048
"""Bytes of header names beyond which a sequence of them is worked out anew each time."""


@dataclass(frozen=True)
class Route:
    """What a method and target come down to."""

    operation: Operation
    path: str
    """The canonical path: ASCII, nothing left to decode."""
    raw_path: bytes
    """The same as bytes."""
    record: bytes
    """Method and canonical path as the journal keeps them."""


Key = tuple[object, ...]


@dataclass(init=False)
class Reading:
    """A request that could be read in one way only."""

    # Made for every request, so not frozen: that would take a call for each field.
    plan: HeaderPlan
    route: Route
    key: Key
    """What of the request a verdict may depend on, time apart: peer, operation, the lines that may name the client, and
    the raw values of whatever may hold a credential."""
    record: bytes
    """Method, canonical path, host and user agent, and the trace where there is one, joined by NUL."""

    def __init__(self, plan: HeaderPlan, route: Route, key: Key, record: bytes) -> None:
        self.plan = plan
        self.route = route
        self.key = key
        self.record = record


class RequestReader:
    """Reads requests by the rules of the configuration; whatever depends on names or targets alone is remembered."""

    def __init__(
        self,
        *,
        headers: HeaderRule,
        client_ip: ClientIPRule,
        credentials: CredentialRule,
        operations: OperationTable,
        allowed_hosts: tuple[str, ...] = (),
        devices: Devices | None = None,
        measured: bool = False,
        singles: frozenset[bytes] = frozenset(),
        limit: int = 16_384,
    ) -> None:
        """Build. Raise ConfigError for a header that two settings read.

        `measured`: a verdict may depend on user agent and device. `singles` are headers, besides, that are believed.
        """
        own = frozenset(() if devices is None or devices.header is None else (devices.header,))
        self._singles = singles | own
        taken = {client_ip.header_name, b"authorization", b"cookie", b"host", b"user-agent"}
        for name in sorted(self._singles):
            if name in taken or (name in own and name in singles):
                text = name.decode("ascii")
                raise ConfigError(f"device.header, [withdrawals]: `{text}` has a meaning already; use one of its own")
        self._devices = devices
        # A device is told to the app, so that an answer is of one device alone even where nothing is measured.
        self._measured = measured or devices is not None
        self._headers = headers
        self._client_ip = client_ip
        self._credentials = credentials
        self._uses_cookie = credentials.uses_cookie
        self._operations = operations
        self._hosts = frozenset(host.lower().encode() for host in allowed_hosts)
        self._plans: Memo[bytes, HeaderPlan] = Memo(1024)
        self._handshakes: Memo[bytes, HeaderPlan] = Memo(256)
        self._routes: Memo[tuple[str, bytes], Route] = Memo(limit)
        self._addresses: Memo[tuple[str | None, tuple[bytes, ...]], ClientIP] = Memo(limit)

    def read(self, request: AccessRequest) -> Reading | Ambiguous:
        """Return what the request attempts and claims, or why it cannot be read unambiguously."""
        return self._read(request, glance=False)

    def glance(self, request: AccessRequest) -> Reading | Ambiguous:
        """Return the same, but for bytes that may not stand in what the key holds: nobody looks for them.

        Good for nothing but to find what was settled under an equal key, which was read before. Whoever finds nothing
        has to `read`.
        """
        return self._read(request, glance=True)

    def _read(self, request: AccessRequest, *, glance: bool) -> Reading | Ambiguous:
        # All that is asked of every request; what depends on less than the whole of it is remembered.
        headers = request.headers
        lines: list[tuple[bytes, bytes]] = headers if isinstance(headers, list) else list(headers)
        # One string hashes faster than many. Names with a line break in them are refused, so none is remembered, and
        # a list of names is told from every other by its text and length.
        names = _BETWEEN.join([name for name, _ in lines])
        plan = (self._handshakes if request.websocket else self._plans).get(names)
        if plan is None or plan.count != len(lines):
            found = self._plan(tuple([name for name, _ in headers]), websocket=request.websocket)
            if isinstance(found, Ambiguous):
                return found
            plan = found
        values = [value for _, value in lines]
        host = values[plan.host]
        client = plan.client
        credential = None if plan.authorization is None else values[plan.authorization]
        api_key = None if plan.api_key is None else values[plan.api_key]
        chain = values[client[0]] if len(client) == 1 else tuple([values[index] for index in client])
        cookies = tuple([values[index] for index in plan.cookie]) if self._uses_cookie else ()
        agent = b"" if plan.user_agent is None else values[plan.user_agent]
        vouched = _without_keyed(plan, values) if glance else 0
        refused = self._headers.check(plan, headers, values, vouched)
        if refused is None and self._devices is not None:
            refused = self._devices.check(headers)
        if refused is not None:
            return refused
        if self._hosts and host not in self._hosts and _name_of(host) not in self._hosts:
            return Ambiguous(Ambiguity.HOST, f"{host[:80]!r} is not one of the hosts that this gateway serves")
        if request.query:
            refused = check_query(request.query)
            if refused is not None:
                return refused
        route = self._routes.get((request.method, request.target))
        if route is None:
            classified = self._route(request, host)
            if isinstance(classified, Ambiguous):
                return classified
            route = classified
        key: Key = (request.peer, route.operation, chain, credential, api_key, cookies)
        if self._measured:
            key = (*key, *self._of_browser(plan, headers, values))
        record = b"\0".join((route.record, host, agent[:_AGENT]))
        if plan.traceparent is not None:
            record = with_trace(record, values[plan.traceparent])
        return Reading(plan, route, key, record)

    def _of_browser(self, plan: HeaderPlan, headers: Headers, values: list[bytes]) -> tuple[bytes | None, bytes | None]:
        """Return what a measured verdict depends on besides: user agent and device, as they were sent."""
        agent = None if plan.user_agent is None else values[plan.user_agent][:_AGENT_READ]
        if self._devices is None:
            return agent, None
        return agent, self._devices.raw(headers, [values[index] for index in plan.cookie])

    def client_ip(self, request: AccessRequest, plan: HeaderPlan) -> ClientIP:
        """Return the address held responsible, or the reason why there is none."""
        lines = tuple([request.headers[index][1] for index in plan.client])
        key = (request.peer, lines)
        known = self._addresses.get(key)
        if known is None:
            known = self._client_ip.resolve(request.peer, lines)
            if sum(map(len, lines)) <= _REMEMBERED_LINES:
                self._addresses.keep(key, known)
        return known

    def client_ip_of_unread(self, request: AccessRequest) -> ClientIP:
        """Return the address of a request that is refused unread: its header is looked for by its exact name."""
        name = self._client_ip.header_name
        return self._client_ip.resolve(request.peer, tuple(value for key, value in request.headers if key == name))

    def came(self, request: AccessRequest, plan: HeaderPlan) -> Came:
        """Return what the request shows of the browser or program that sent it."""
        agent = None if plan.user_agent is None else request.headers[plan.user_agent][1][:_AGENT_READ]
        device = None
        if self._devices is not None:
            device = self._devices.read(
                request.headers, [request.headers[index][1] for index in plan.cookie], request.at
            )
        return Came(agent.decode("latin-1") if agent else None, device)

    def presented(self, request: AccessRequest, plan: HeaderPlan) -> Presented | Conflicting | None:
        """Return the credential that came with the request, None where there is none."""
        headers = request.headers
        return self._credentials.read(
            None if plan.authorization is None else headers[plan.authorization][1],
            [headers[index][1] for index in plan.cookie],
            None if plan.api_key is None else headers[plan.api_key][1],
        )

    def _plan(self, names: tuple[bytes, ...], *, websocket: bool) -> HeaderPlan | Ambiguous:
        plan = self._headers.plan(names, websocket)
        if isinstance(plan, HeaderPlan) and self._singles:
            for name in names:
                folded = name.replace(b"_", b"-")
                if folded in self._singles and folded != name:
                    return Ambiguous(Ambiguity.HEADER_ALIAS, f"{name!r} may be read as {folded!r}")
                if name in self._singles and names.count(name) > 1:
                    return Ambiguous(Ambiguity.HEADER_REPEATED, f"{name!r} {names.count(name)} times")
        # What is refused, or longer than clients send, takes no place in memory: its sender could fill it.
        together = _BETWEEN.join(names)
        if isinstance(plan, HeaderPlan) and len(together) <= _REMEMBERED_NAMES:
            (self._handshakes if websocket else self._plans).keep(together, plan)
        return plan

    def _route(self, request: AccessRequest, host: bytes) -> Route | Ambiguous:
        refused = check_method(request.method)
        if refused is not None:
            return refused
        path = canonical_target(request.target, host)
        if isinstance(path, Ambiguous):
            return path
        operation = self._operations.classify(request.method, path)
        raw_path = path.encode("ascii")
        route = Route(operation, path, raw_path, b"%b\0%b" % (request.method.encode("ascii"), raw_path))
        if not request.target.startswith(b"/"):
            return route  # absolute-form: its answer depends on Host as well
        return self._routes.keep((request.method, request.target), route)


def _without_keyed(plan: HeaderPlan, values: list[bytes]) -> int:
    """Return how many bytes stand in the key, having taken them out of the values."""
    size = 0
    for index in plan.keyed:
        size += len(values[index])
        values[index] = b""
    return size


def _name_of(host: bytes) -> bytes:
    name = host.lower()
    if name.startswith(b"["):
        return name.partition(b"]")[0] + b"]"
    return name.partition(b":")[0]
