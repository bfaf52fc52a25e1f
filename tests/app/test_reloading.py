"""A changed configuration is taken whole or not at all, and what was settled under the old one is not used again."""

import asyncio
import os
import re
import signal
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from gateway.app import Gateway
from gateway.app.decision_service import DecisionService
from gateway.app.reloading import RELOADABLE, Reloading, changes
from gateway.config import load
from gateway.core.request import AccessRequest

DOCS = Path(__file__).parents[2] / "docs" / "operations.md"
ROUTE = '\n[[operations]]\noperation = "support"\npath = "/help"\n'


def request(site, gateway, *, peer: str = "10.0.0.1", path: bytes = b"/help") -> AccessRequest:
    headers = [(name.encode(), value.encode()) for name, value in site.headers("alice").items()]
    return AccessRequest(gateway.clock.now(), peer, "GET", path, headers)


@pytest.fixture
async def started(site):
    gateway = Gateway(load(site.config))
    await gateway.start()
    await site.fill(gateway.store)
    yield gateway
    await gateway.close()


async def told(gateway, site) -> list[dict]:
    with capture_logs() as logs:
        await Reloading(gateway, lambda: load(site.config)).reload()
    return [one for one in logs if one["event"].startswith("gateway:reload")]


async def test_routes_and_trusted_proxies_are_taken_and_nothing_is_answered_from_before(site, started) -> None:
    line = started.line
    first = await line.decide(request(site, started))
    assert first.reading.route.operation == "view"
    assert line.recall(request(site, started)) is not None
    text = site.config.read_text()
    site.config.write_text(text.replace('"10.0.0.0/8"', '"192.0.2.0/24"') + ROUTE)
    (said,) = await told(started, site)
    assert (said["event"], said["changed"]) == ("gateway:reloaded", ["client_ip.trusted_proxies", "operations"])
    assert line.recall(request(site, started)) is None
    after = await line.decide(request(site, started))
    assert after.reading.route.operation == "support"
    # The proxy is none any more: it answers for itself, and has no address that lies anywhere.
    assert (first.settled.client_ip.address, after.settled.client_ip.address) == ("2.80.10.20", None)
    assert started.settings.client_ip.trusted_proxies[0] == "192.0.2.0/24"


async def test_what_is_being_settled_meanwhile_is_not_kept(site, started) -> None:
    line, gather = started.line, started.line.gather
    reached, go_on = asyncio.Event(), asyncio.Event()

    class Slow:
        def __getattr__(self, name):
            return getattr(gather, name)

        async def __call__(self, *args, **more):
            reached.set()
            await go_on.wait()
            return await gather(*args, **more)

    line.gather = Slow()
    deciding = asyncio.ensure_future(line.decide(request(site, started)))
    await asyncio.wait_for(reached.wait(), 20)
    site.config.write_text(site.config.read_text() + ROUTE)
    await told(started, site)
    go_on.set()
    await deciding
    assert line.recall(request(site, started)) is None


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("[server]\n", "[server]\nport = 1\n", "needs a restart: server.port"),
        ('jwks = "jwks.json"', 'jwks = "jwks.json"\nleeway = "9s"', "needs a restart: identity.leeway"),
        ("[geodb]", "[geodb", "not TOML"),
        ('path = "/api/v1/orders"', 'path = "/api/{"', "operations"),
        ("[server]\n", "[server]\nprt = 1\n", "did you mean `port`?"),
    ],
)
async def test_what_cannot_be_taken_is_refused_in_one_line_and_nothing_of_it_is_taken(
    site, started, old: str, new: str, why: str
) -> None:
    before = started.settings, started.line.reader, started.line.bundle
    site.config.write_text(site.config.read_text().replace(old, new) + ROUTE)
    (said,) = await told(started, site)
    assert (said["event"], said["log_level"]) == ("gateway:reload_refused", "error")
    assert why in said["why"]
    assert "\n" not in said["why"]
    assert before == (started.settings, started.line.reader, started.line.bundle)


async def test_policies_and_editions_are_looked_at_though_the_configuration_is_the_same(site, started) -> None:
    digest = started.line.bundle.digest
    policy = site.folder / "policies" / "closed.yaml"
    policy.write_text(site.policy.replace("A country that is closed", "Another title"))
    (said,) = await told(started, site)
    assert said["changed"] == []
    assert started.line.bundle.digest != digest


async def test_a_proxy_that_may_ask_no_more_is_not_known_from_before(site) -> None:
    asked = '\n[forward_auth]\nproxies = ["envoy"]\nasked_by = ["127.0.0.1"]\n'
    site.config.write_text(site.config.read_text() + asked)
    service = DecisionService(Gateway(load(site.config)))
    assert service._askers.may_ask("127.0.0.1")
    site.config.write_text(site.config.read_text().replace('["127.0.0.1"]', '["127.0.0.9"]'))
    with capture_logs():
        await Reloading(service.gateway, lambda: load(site.config)).reload()
    assert not service._askers.known("127.0.0.1")
    assert not service._askers.may_ask("127.0.0.1")
    assert service._askers.may_ask("127.0.0.9")


async def test_a_signal_reloads(site, started) -> None:
    site.config.write_text(site.config.read_text() + ROUTE)
    before, loop, read = started.line.reader, asyncio.get_running_loop(), asyncio.Event()

    def read_again():
        loop.call_soon_threadsafe(read.set)
        return load(site.config)

    reloading = Reloading(started, read_again)
    reloading.listen()
    try:
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(read.wait(), 20)
        await asyncio.gather(*reloading._tasks)
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
    assert started.line.reader is not before


def test_a_secret_that_changed_is_named_and_not_told(site) -> None:
    text = "[client_ip]\ntrusted_proxies = []\n[identity]\nalgorithms = ['HS256']\nissuer = 'i'\naudience = 'a'\n"
    found = []
    for secret in ("a" * 40, "b" * 40):
        site.config.write_text(f"{text}secret = '{secret}'\n")
        found.append(load(site.config))
    assert list(changes(*found)) == ["identity.secret"]


def test_the_docs_name_what_may_change() -> None:
    (row,) = re.findall(r"<!-- reloadable -->\n(.*?)\n\n", DOCS.read_text(), re.DOTALL)
    assert set(re.findall(r"`([a-z_.]+)`", row)) == RELOADABLE
