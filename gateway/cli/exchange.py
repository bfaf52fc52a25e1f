"""A pretend exchange: what stands behind the gateway in the demo and in end-to-end tests.

It believes everyone, as an application behind the gateway may: who is asking stands in the headers that the gateway
sets. What it carried out it remembers in `app.state.executed`, so that one can see that a refused request never came.
"""

import asyncio
import json
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import Any, Final, NamedTuple

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

HEADERS: Final = ("Gateway-Account", "Gateway-Access", "Gateway-Country")
"""What the gateway says of a request that it let through; echoed in every answer under `seen`."""

_ACCOUNT: Final = HEADERS[0]
_DOLLARS: Final = {"BTC-USD": 64_200, "ETH-USD": 3_410}
_LARGEST_BODY: Final = 64 * 1024
_REMEMBERED: Final = 10_000


class Executed(NamedTuple):
    """One thing that the exchange did."""

    what: str
    account: str | None
    order: Mapping[str, Any]


def create_exchange(*, tick_s: float = 1.0) -> Starlette:
    """Return the exchange as an ASGI app; `tick_s` is the pause between two prices on the ticker."""
    app = Starlette(
        routes=[
            Route("/api/v1/market", _market),
            Route("/api/v1/balances", _balances),
            Route("/api/v1/orders", _carries_out("spot", "pair", "side", "amount"), methods=["POST"]),
            Route("/api/v1/futures/orders", _carries_out("futures", "pair", "side", "amount"), methods=["POST"]),
            Route("/api/v1/withdrawals", _carries_out("withdrawal", "asset", "amount", "address"), methods=["POST"]),
            Route("/api/v1/security/api-keys", _carries_out("api-key", "label"), methods=["POST"]),
            Route("/api/v1/support/messages", _messages),
            Route("/api/v1/support/messages", _carries_out("message", "text"), methods=["POST"]),
            WebSocketRoute("/api/v1/ticker", _ticker),
        ]
    )
    app.state.executed = deque[Executed](maxlen=_REMEMBERED)
    app.state.numbers = count(1)
    app.state.tick_s = tick_s
    return app


async def _market(request: Request) -> JSONResponse:
    return _answer(request, {"prices": _prices()})


async def _balances(request: Request) -> JSONResponse:
    return _answer(request, {"balances": {"BTC": "0.25000000", "USD": "1800.00"}})


def _carries_out(what: str, *needed: str) -> Callable[[Request], Awaitable[JSONResponse]]:
    """Return an endpoint that does `what`, where the body has the texts that are needed."""

    async def endpoint(request: Request) -> JSONResponse:
        order = await _object(request)
        if order is None:
            return _answer(request, {"error": "the body must be a JSON object of at most 64 KiB"}, 400)
        if missing := [name for name in needed if not isinstance(order.get(name), str) or not order[name]]:
            return _answer(request, {"error": f"needs text: {', '.join(missing)}"}, 422)
        state = request.app.state
        state.executed.append(Executed(what, request.headers.get(_ACCOUNT), order))
        return _answer(request, {"id": f"{what}-{next(state.numbers)}", "done": what, "order": order}, 201)

    return endpoint


async def _messages(request: Request) -> JSONResponse:
    mine = ("message", request.headers.get(_ACCOUNT))
    sent = [one.order for one in request.app.state.executed if (one.what, one.account) == mine]
    return _answer(request, {"messages": sent})


async def _ticker(websocket: WebSocket) -> None:
    await websocket.accept()
    for tick in count():
        try:
            await websocket.send_json({"tick": tick, "prices": _prices(tick), "seen": _seen(websocket)})
            async with asyncio.timeout(websocket.app.state.tick_s):
                while True:  # what the client says is ignored; that it left is not
                    if (await websocket.receive())["type"] == "websocket.disconnect":
                        return
        except TimeoutError:
            continue
        except WebSocketDisconnect:
            return


def _prices(tick: int = 0) -> dict[str, str]:
    return {pair: f"{dollars + tick % 8}.00" for pair, dollars in _DOLLARS.items()}


def _seen(connection: HTTPConnection) -> dict[str, str | None]:
    return {name: connection.headers.get(name) for name in HEADERS}


def _answer(request: Request, content: Mapping[str, Any], status: int = 200) -> JSONResponse:
    return JSONResponse({**content, "seen": _seen(request)}, status)


async def _object(request: Request) -> dict[str, Any] | None:
    """Return the JSON object in the body, or None where there is none that is small and sound."""
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _LARGEST_BODY:
            return None
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
