"""The gateway inside an ASGI app."""

from collections.abc import Awaitable
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from gateway.app.failing import grace_of
from gateway.app.gateway import Gateway
from gateway.app.listening import messages_of
from gateway.config import Settings
from gateway.core.errors import GatewayError
from gateway.enforce.asgi import App, Message, Receive, Scope, Send
from gateway.enforce.http_answer import Cycle, Direct, Start, TakeDirectly
from gateway.enforce.middleware import Enforcer
from gateway.enforce.streams import Streams

log: Any = structlog.get_logger("gateway")


class GatewayMiddleware:
    """Wraps any ASGI app, as `GatewayMiddleware(app, config="gateway.toml")`.

    Frameworks take it as `app.add_middleware(GatewayMiddleware, config="gateway.toml")`.

    The gateway starts and stops with the app's lifespan. Where there is none (a mounted app, a server without
    lifespan support) it starts with the first request.
    """

    def __init__(
        self, app: App, config: Settings | Path | str | None = None, *, gateway: Gateway | None = None
    ) -> None:
        """Build. Raise GatewayError where the configuration cannot work.

        Args:
            app: the app that receives what is allowed.
            config: a configuration file, or settings at hand.
            gateway: one that is built already, in place of `config`.
        """
        if gateway is None:
            if config is None:
                raise TypeError("GatewayMiddleware needs a `config`: the path of a gateway.toml, or Settings")
            gateway = Gateway.configured(config)
        self.gateway = gateway
        self._app = app
        settings = gateway.settings.server
        grace = grace_of(gateway.settings)
        self.streams = Streams(gateway.line, gateway.clock, at_latest_s=settings.look_again_s, grace=grace)
        """What stays open, and is decided again."""
        enforcer = Enforcer(
            app,
            gateway.line,
            gateway.clock,
            streams=self.streams,
            messages=messages_of(gateway.settings),
            support_url=settings.support_url,
            cookie=gateway.device_cookie,
            logins=gateway.logins,
        )
        self._answer = gateway.watching.around(enforcer.answer)
        self._enforcer = enforcer
        self.direct: Direct | None = None
        """Answers requests that are whole without a task, where what is behind can; what is watched is left to it."""
        take: TakeDirectly | None = getattr(app, "take_directly", None)
        if take is not None and not gateway.watching.has_any:
            self.direct = partial(self._directly, take)

        # Servers ask `app.__call__` whether it is a coroutine function, to tell how the app is called. They find this
        # one; the call itself is the class's, and costs one frame less at each step of each request.
        self.__call__ = self._coroutine  # type: ignore[method-assign]  # the same call

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """Return what answers one connection, to be awaited."""
        if self.gateway.started and scope["type"] != "lifespan":
            return self._answer(scope, receive, send)
        return self._first(scope, receive, send)

    def _directly(self, take: TakeDirectly, cycle: Cycle, start: Start) -> bool:
        return self.gateway.started and self._enforcer.direct(take, cycle, start)

    async def _coroutine(self, scope: Scope, receive: Receive, send: Send) -> None:
        await type(self).__call__(self, scope, receive, send)

    async def _first(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        else:
            await self.gateway.start()
            await self._answer(scope, receive, send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the lifespan through, the gateway starting before the app and stopping after it."""

        async def receive_started() -> Message:
            message = await receive()
            if message["type"] == "lifespan.startup":
                try:
                    await self.gateway.start()
                except GatewayError as fault:
                    await send({"type": "lifespan.startup.failed", "message": f"gateway: {fault}"})
                    raise
            return message

        async def send_stopped(message: Message) -> None:
            if message["type"] in {"lifespan.shutdown.complete", "lifespan.shutdown.failed", "lifespan.startup.failed"}:
                await self._stop()
            await send(message)

        await self._app(scope, receive_started, send_stopped)

    async def _stop(self) -> None:
        await self.streams.close()
        try:
            await self.gateway.close()
        except GatewayError as fault:
            log.error("gateway:closed_badly", why=str(fault))  # noqa: TRY400 - the fault is the message
