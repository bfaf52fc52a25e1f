"""`gateway serve` and `gateway demo`."""

from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import logs


def register(app: typer.Typer) -> None:
    """Add the commands of this module to `app`."""
    app.command()(serve)
    app.command()(demo)
    app.command()(ship)
    app.command()(admin)


def serve(
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="GATEWAY_CONFIG", help="The configuration file.")
    ] = Path("gateway.toml"),
    host: Annotated[str | None, typer.Option(help="Listen here instead of [server] host.")] = None,
    port: Annotated[int | None, typer.Option(help="Listen here instead of [server] port; 0 picks a free one.")] = None,
) -> None:
    """Serve in front of `[upstream]` as a reverse proxy, or answer the proxies that `[forward_auth]` names.

    Example: gateway serve --config gateway.toml --port 8080
    """
    import uvloop

    from gateway.app import Gateway, GatewayMiddleware
    from gateway.app.admin import admin_beside
    from gateway.app.decision_service import DecisionService
    from gateway.app.open_files import allow_open_files
    from gateway.app.reloading import Reloading
    from gateway.app.upstreams import reverse_proxy
    from gateway.config import load
    from gateway.core.errors import ConfigError
    from gateway.enforce.ending import Ending
    from gateway.enforce.http_server import run

    logs.to_stderr()
    settings = load(config)
    allow_open_files(settings)
    if settings.upstream is not None:
        proxy = reverse_proxy(settings)
        gateway = Gateway(settings)
        app = GatewayMiddleware(proxy, gateway=gateway)
        where = [settings.upstream.url, *(f"{one.url} ({one.path})" for one in settings.upstreams)]
        what = f"serving {{url}} in front of {', '.join(where)}"
    elif settings.forward_auth is not None:
        gateway = Gateway(settings)
        app = DecisionService(gateway, host=host)
        what = f"answering {', '.join(settings.forward_auth.proxies)} at {{url}}/authz/"
    else:
        raise ConfigError(
            f'{config}: there is nothing to serve; add `[upstream]` with `url = "http://127.0.0.1:9000"`, or '
            '`[forward_auth]` with `proxies = ["nginx"]` and `asked_by = ["127.0.0.1"]`'
        )
    ending = Ending(settings.server.drain_s, told=gateway.end_soon)
    serving = run(
        app,
        host=host or settings.server.host,
        port=settings.server.port if port is None else port,
        max_head_bytes=settings.server.max_header_bytes,
        ready=lambda url: typer.echo(f"gateway: {what.replace('{url}', url, 1)}", err=True),
        ending=ending,
    )
    reloading = Reloading(gateway, lambda: load(config))

    async def served() -> None:
        reloading.listen()
        await admin_beside(
            serving,
            gateway,
            ready=lambda url: typer.echo(f"gateway: admin API on {url}/api/v1", err=True),
            ending=ending,
        )

    uvloop.run(served())


def demo(
    port: Annotated[int, typer.Option(help="Where the gateway listens; 0 picks a free one.")] = 8080,
    directory: Annotated[
        Path, typer.Option("--directory", "-d", help="Where the demo keeps its configuration, store and journal.")
    ] = Path("var/demo"),
) -> None:
    """Run the gateway complete, with a small pretend exchange behind it, and print requests to try.

    Example: gateway demo --port 8080
    """
    from gateway.cli.demo import run_demo

    logs.to_stderr()
    run_demo(directory, port)


def ship(
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="GATEWAY_CONFIG", help="The configuration file.")
    ] = Path("gateway.toml"),
) -> None:
    """Ship decisions from the journal into the archive until it is ended. Waits while a gateway does so by itself.

    Example: gateway ship --config gateway.toml
    """
    import asyncio

    from gateway.app.parts import plan_of
    from gateway.app.shipper import ship_until_ended
    from gateway.config import load
    from gateway.core.errors import ConfigError

    logs.to_stderr()
    plan = plan_of(load(config))
    if plan is None or not plan.ships:
        raise ConfigError(f'{config}: there is nowhere to ship to; `[archive]` says `url = "none"`')
    asyncio.run(ship_until_ended(plan))


def admin(
    config: Annotated[
        Path, typer.Option("--config", "-c", envvar="GATEWAY_CONFIG", help="The configuration file.")
    ] = Path("gateway.toml"),
    port: Annotated[int | None, typer.Option(help="Listen here instead of [admin] port; 0 picks a free one.")] = None,
) -> None:
    """Serve the admin API alone, where the gateway itself runs inside an app or on other machines.

    Example: gateway admin --config gateway.toml --port 8081
    """
    import uvloop

    from gateway.app.admin import serve_alone
    from gateway.config import load

    logs.to_stderr()
    settings = load(config)
    uvloop.run(
        serve_alone(settings, port, ready=lambda url: typer.echo(f"gateway: admin API on {url}/api/v1", err=True))
    )
