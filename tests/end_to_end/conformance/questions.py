"""The requests that every mounting has to answer alike, as bytes on the wire, with what is expected of each."""

from collections.abc import Iterator
from typing import NamedTuple

TEHRAN = "2.176.0.1"
_CHUNKS = b"4\r\nabcd\r\n6\r\nefghij\r\n0\r\n\r\n"
_TRAILERS = b"4\r\nabcd\r\n0\r\nGateway-Account: mallory\r\n\r\n"
_TRAILED_CREDENTIAL = b"4\r\nabcd\r\n0\r\nAuthorization: Bearer a.b.c\r\n\r\n"
_HANDSHAKE = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
)


class Question(NamedTuple):
    """One request, and what is expected of it."""

    name: str
    method: str
    target: str
    headers: tuple[str, ...] = ()
    body: bytes = b""
    who: str | None = "alice"
    status: tuple[int, ...] = (200,)
    """What the client may get: the gateway's own word, and others where a proxy refuses the request before."""
    reason: str | None = None
    length: int | None = None
    """How long the body is that reaches the exchange."""

    @property
    def allowed(self) -> bool | None:
        """Whether it reaches the exchange; None where it may, whole, and may be refused."""
        return None if self.status == (200, 400) else self.status in {(200,), (101,)}

    def wire(self, token: str | None) -> bytes:
        """Return the bytes."""
        lines = [f"{self.method} {self.target} HTTP/1.1", "Host: exchange.example"]
        if not any(line.startswith("Connection") for line in self.headers):
            lines.append("Connection: close")
        if token is not None:
            lines.append(f"Authorization: Bearer {token}")
        lines += self.headers
        if self.body and "Transfer-Encoding: chunked" not in self.headers:
            lines.append(f"Content-Length: {len(self.body)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + self.body


def look(name: str, *headers: str, target: str = "/api/v1/markets", who: str | None = "alice") -> Question:
    """Return a request that is allowed and changes nothing."""
    return Question(name, "GET", target, headers, who=who)


def order(name: str, *headers: str, target: str = "/api/v1/orders", body: bytes = b"{}") -> Question:
    """Return an order by somebody who may not: it must not reach the exchange by any trick."""
    return Question(name, "POST", target, headers, body, "carol", (403,), "account-flagged")


def ambiguous(name: str, *headers: str, target: str = "/api/v1/markets") -> Question:
    """Return a request that can be read in two ways."""
    return Question(name, "GET", target, headers, status=(400,), reason="ambiguous-request")


VERDICTS = (
    look("a customer looks"),
    look("a customer looks, with a query", target="/api/v1/markets?pair=BTC-EUR&n=10&empty=&%20"),
    Question("a customer asks for the head", "HEAD", "/api/v1/markets"),
    Question("a customer asks what is possible", "OPTIONS", "/api/v1/markets"),
    Question("a customer orders", "POST", "/api/v1/orders", body=b'{"pair": "BTC-EUR"}', length=19),
    Question("a customer orders much", "POST", "/api/v1/orders", body=b"x" * 900_000, length=900_000),
    Question(
        "a customer orders by and by", "POST", "/api/v1/orders", ("Transfer-Encoding: chunked",), _CHUNKS, length=10
    ),
    Question(
        "a customer orders when told to go on", "POST", "/api/v1/orders", ("Expect: 100-continue",), b"{}", length=2
    ),
    Question("a customer orders nothing", "POST", "/api/v1/orders", ("Content-Length: 0",), length=0),
    Question("a customer withdraws", "POST", "/api/v1/withdrawals", body=b"{}", length=2),
    Question("a customer deletes", "DELETE", "/api/v1/elsewhere"),
    Question("a customer listens", "GET", "/api/v1/stream", _HANDSHAKE, status=(101,)),
    look("nobody looks", who=None),
    Question("nobody orders", "POST", "/api/v1/orders", who=None, status=(401,), reason="credential-required"),
    Question(
        "an odd token",
        "GET",
        "/api/v1/markets",
        ("Authorization: Bearer a.b.c",),
        b"",
        None,
        (401,),
        "credential-invalid",
    ),
    Question(
        "a closed residence looks", "GET", "/api/v1/markets", who="bob", status=(403,), reason="jurisdiction-blocked"
    ),
    Question(
        "a closed residence listens", "GET", "/api/v1/stream", _HANDSHAKE, b"", "bob", (403,), "jurisdiction-blocked"
    ),
    Question("a closed residence asks for the head", "HEAD", "/api/v1/markets", who="bob", status=(403,)),
    look("a closed residence asks for help", target="/api/v1/support/tickets", who="bob"),
    order("a flagged customer orders"),
    look("a flagged customer looks", who="carol"),
    Question("an archived customer", "GET", "/api/v1/support/x", who="dan", status=(403,), reason="account-archived"),
    Question("by law", "GET", "/api/v1/markets", who="erin", status=(451,), reason="sanctioned-region"),
    Question(
        "a stale proof",
        "POST",
        "/api/v1/withdrawals",
        body=b"{}",
        who="frank",
        status=(401,),
        reason="step-up-required",
    ),
    Question("what no route names", "POST", "/api/v1/elsewhere", body=b"{}", length=2),
)

SPOOFED = (
    look("who it is", "Gateway-Account: mallory"),
    look("who it is, twice", "Gateway-Account: mallory", "gateway-account: mallet"),
    order("what is open", "Gateway-Access: full"),
    look("a decision", "Gateway-Decision: 0197", "Gateway-Country: XX", "Gateway-Device: d"),
    look("a refusal to show", "Gateway-Refusal: e30="),
    look("an address", f"X-Forwarded-For: {TEHRAN}"),
    look("an address, twice", f"X-Forwarded-For: {TEHRAN}", f"X-Forwarded-For: {TEHRAN}, {TEHRAN}"),
    look(
        "an address by other names", f"X-Real-IP: {TEHRAN}", f"Forwarded: for={TEHRAN}", f"CF-Connecting-IP: {TEHRAN}"
    ),
    order("another method", "X-Original-Method: GET", "X-Forwarded-Method: GET"),
    order("another target", "X-Original-URI: /api/v1/markets", "X-Forwarded-Uri: /api/v1/markets"),
    order("another target by Envoy's name", "X-Envoy-Original-Path: /api/v1/markets"),
    order("the question itself", "X-Original-URI: /authz/nginx", target="/authz/nginx"),
    look("another host", "X-Forwarded-Host: elsewhere.example"),
    ambiguous("another method by override", "X-HTTP-Method-Override: POST"),
    ambiguous("another target by override", "X-Original-URL: /api/v1/withdrawals"),
    ambiguous("another target by rewriting", "X-Rewrite-URL: /api/v1/withdrawals"),
    Question("two credentials", "GET", "/api/v1/markets", ("Authorization: Bearer a.b.c",), status=(400, 401)),
    Question("two hosts", "GET", "/api/v1/markets", ("Host: elsewhere.example",), status=(400,)),
    Question(
        "two lengths", "POST", "/api/v1/orders", ("Content-Length: 2", "Content-Length: 3"), status=(400,), who=None
    ),
    Question(
        "length and chunks",
        "POST",
        "/api/v1/orders",
        ("Content-Length: 2", "Transfer-Encoding: chunked"),
        _CHUNKS,
        "carol",
        (400, 403),
    ),
    Question(
        "chunks in capitals, twice",
        "POST",
        "/api/v1/orders",
        ("Transfer-Encoding: xchunked",),
        b"{}",
        "carol",
        (400, 403, 501),
    ),
    Question(
        "trailers",
        "POST",
        "/api/v1/orders",
        ("Transfer-Encoding: chunked", "Trailer: Gateway-Account"),
        _TRAILERS,
        length=4,
    ),
    Question(
        "a credential in the trailers",
        "POST",
        "/api/v1/orders",
        ("Transfer-Encoding: chunked", "Trailer: Authorization"),
        _TRAILED_CREDENTIAL,
        None,
        (401,),
        "credential-required",
    ),
    look("other codings and trailers", "TE: gzip, trailers"),
    order(
        "another protocol", "Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQAAP__"
    )._replace(status=(400, 403), reason=None),
    order("a credential nominated away", "Connection: close, authorization")._replace(
        status=(400, 401, 403), reason=None
    ),
    look("what the exchange is told nominated away", "Connection: close, Gateway-Account")._replace(status=(200, 400)),
)

_SPELT = (
    "/api/v1//orders",
    "//api/v1/orders",
    "/api/v1/./orders",
    "/api/v1/x/../orders",
    "/api/v1/%2e%2e/v1/orders",
    "/api/v1/..%2fv1/orders",
    "/api/v1%2forders",
    "/api/v1%5corders",
    "/api/v1/orders;x=1",
    "/api/v1/orders/",
    "/API/v1/Orders",
    "/api/v1/%6frders",
    "/api/v1/%256frders",
    "/api/v1/orders%00",
    "/api/v1/orders%0d%0aX: y",
    "/api/v1/orders%20",
    "/api/v1/orders%252f",
    "/api/v1/orders.",
    "/api/v1\\orders",
    "/api/v1/orders?_method=GET",
    "/api/v1/orders?",
    "/api/v1/orders#x",
    "/api/v1/%c0%afrders",
    "/api/v1/orders/../markets",
    "/api/v1/markets/..;/orders",
    "http://exchange.example/api/v1/orders",
    "http://elsewhere.example/api/v1/orders",
    "*",
)


def spellings() -> Iterator[Question]:
    """Yield an order by somebody who may not, under every other spelling of its path and method."""
    for target in _SPELT:
        yield order(f"spelt {target}", target=target)._replace(status=(400, 403, 404), reason=None)
    for method in ("post", "Post", "PROPFIND", "TRACE", "CONNECT", "GET POST", "X" * 40):
        yield order(f"by {method}")._replace(method=method, status=(400, 403, 404, 405, 501, 503), reason=None)
    for line in ("X_HTTP_Method_Override: GET", "X.Original.URL: /", "Gateway_Access: full", "GATEWAY-ACCESS: full"):
        yield order(f"with {line}", line)._replace(status=(400, 403), reason=None)
