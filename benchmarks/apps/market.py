"""The app behind everything: a small Starlette app with one thing to read and one to write."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from benchmarks.world import World

Lifespan = Callable[[Starlette], AbstractAsyncContextManager[None]]

MARKET = {
    "market": "BTC-EUR",
    "bid": "61249.50",
    "ask": "61250.00",
    "last": "61249.75",
    "volume": "1834.2271",
    "levels": [["61249.50", "0.4"], ["61249.00", "1.2"], ["61248.50", "0.9"]],
}


async def market(_request: Request) -> JSONResponse:
    """Answer what the market stands at."""
    return JSONResponse(MARKET)


async def orders(request: Request) -> JSONResponse:
    """Answer an order that was read to its end."""
    order = await request.json()
    return JSONResponse({"accepted": True, "market": order["market"], "amount": order["amount"]}, status_code=200)


def exchange(lifespan: Lifespan | None = None) -> Starlette:
    """Return the app, bare."""
    return Starlette(
        routes=[
            Route("/api/v1/market", market, methods=["GET"]),
            Route("/api/v1/orders", orders, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


def create(_world: World) -> Starlette:
    """Return the app with nothing in front of it: what everything else is a share of."""
    return exchange()
