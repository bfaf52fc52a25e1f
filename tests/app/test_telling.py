"""Telling and tidying: what is owed is delivered while a gateway runs, and nothing is left running after it."""

import asyncio

import orjson
import pytest
from aiohttp import web
from structlog.testing import capture_logs

from gateway.adapters.outbox_store import OutboxStore
from gateway.adapters.webhooks import SecretFile, Verified, verify
from gateway.app import Gateway
from gateway.app.telling import delivery_of
from gateway.config import load
from gateway.core.errors import ConfigError
from gateway.core.permissions import Person, Role
from gateway.core.terms import Operation
from gateway.desk.kinds import TicketKind
from gateway.desk.lifecycle import TicketState
from tests.adapters.sinks.rig import Taken, service

SECRET = "whsec_" + "QUJD" * 8
HOOK = '\n[[webhooks]]\nurl = "{url}"\nsecret_file = "hook.secret"\nallow_private = true\n'
SUE = Person("sue", frozenset({Role.SUPPORT}))


@pytest.fixture
def told(site):
    """Return what configures a webhook at an address."""

    def configure(url: str, more: str = "", secret: str = SECRET):
        (site.folder / "hook.secret").write_text(secret + "\n")
        site.config.write_text(site.config.read_text() + HOOK.format(url=url) + more)
        return load(site.config)

    return configure


async def held(gateway: Gateway, length: int | None = None) -> str:
    opened = await gateway.desk.open(
        "alice", TicketKind.REVIEW, SUE, "she asked for it", operations=[Operation.WITHDRAW], length=length
    )
    return opened.id


async def until(done) -> None:
    async with asyncio.timeout(20):
        while not await done():  # noqa: ASYNC110 - another task's work
            await asyncio.sleep(0.02)


async def test_what_happens_to_an_account_reaches_the_receiver_signed(site, told) -> None:
    taken: list[Taken] = []
    async with service(lambda _request, _one: _answer(), taken) as url:
        gateway = Gateway(told(url))
        await gateway.start()
        try:
            await site.fill(gateway.store)
            ticket = await held(gateway)
            await until(lambda: _has(taken, "ticket.opened"))
            rows = (await OutboxStore(gateway.store).rows()).rows
        finally:
            await gateway.close()

    for one in taken:
        headers = {name.lower(): value for name, value in one.headers.items()}
        at_s = int(headers["webhook-timestamp"])
        assert isinstance(verify(headers, one.body, SecretFile(site.folder / "hook.secret")(), at_s), Verified)
    told_of = [orjson.loads(one.body) for one in taken]
    opened = [one["data"] for one in told_of if one["type"] == "ticket.opened"]
    assert [(one["account"], one["ticket"]) for one in opened] == [("alice", ticket)]
    assert {one.headers["webhook-id"] for one in taken} <= {row.id for row in rows}


async def test_the_next_gateway_delivers_at_once_since_the_one_before_gave_the_lease_back(site, told) -> None:
    taken: list[Taken] = []
    async with service(lambda _request, _one: _answer(), taken) as url:
        settings = told(url)
        for _ in range(2):
            before = len(taken)
            gateway = Gateway(settings)
            await gateway.start()
            try:
                await site.fill(gateway.store)
                await held(gateway)
                await until(lambda before=before: _more(taken, before))
            finally:
                await gateway.close()


async def test_without_a_receiver_messages_wait_and_it_is_said_once(site) -> None:
    gateway = Gateway(load(site.config))
    with capture_logs() as logs:
        await gateway.start()
    try:
        await site.fill(gateway.store)
        await held(gateway)
        states = {row.state for row in (await OutboxStore(gateway.store).rows()).rows}
    finally:
        await gateway.close()
    (said,) = [line for line in logs if line["event"] == "outbox:not_delivered"]
    assert said["log_level"] == "info"
    assert "[[webhooks]]" in said["what"]
    assert states == {"pending"}


async def test_a_ticket_whose_time_is_over_is_closed_while_a_gateway_runs(site, monkeypatch) -> None:
    monkeypatch.setattr("gateway.adapters.tidying.SWEEP_EVERY_S", 0.02)
    gateway = Gateway(load(site.config))
    await gateway.start()
    try:
        await site.fill(gateway.store)
        ticket = await held(gateway, length=1)

        async def over() -> bool:
            return (await gateway.desk.ticket(ticket)).state is TicketState.EXPIRED

        await until(over)
    finally:
        await gateway.close()


async def test_nothing_runs_after_a_start_that_fails(site, told) -> None:
    gateway = Gateway(told("http://127.0.0.1:9/"))
    (site.folder / "gateway.db").mkdir()
    with pytest.raises(Exception, match="store"):
        await gateway.start()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@pytest.mark.parametrize(
    ("url", "more", "secret", "said"),
    [
        ("http://exchange.example/", "", SECRET, None),
        ("http://8.8.8.8/", "", SECRET, "it is public, and over plain http everybody on the way reads it; use https"),
        ("http://169.254.169.254/", "", SECRET, "a metadata service"),
        ("https://sue:x@exchange.example/", "", SECRET, "holds a password"),
        ("https://exchange.example/", "", "hunter2-hunter2-hunter2", "secret 1: a secret begins with `whsec_`"),
        ("https://exchange.example/", 'ca_file = "hook.secret"\n', SECRET, "no certificate authorities in PEM"),
    ],
)
def test_a_webhook_that_cannot_work_stops_the_build_and_its_secret_is_not_told(
    site, told, url, more, secret, said
) -> None:
    settings = told(url, more, secret)
    if said is None:
        Gateway(settings)
        return
    with pytest.raises(ConfigError, match=r"^\[\[webhooks\]\]") as refused:
        Gateway(settings)
    assert said in str(refused.value)
    assert secret not in str(refused.value)


def test_who_is_not_told_needs_no_delivery(site) -> None:
    gateway = Gateway(load(site.config))

    assert delivery_of(gateway.settings, gateway.store, "w0") is None


async def _answer() -> web.Response:
    return web.Response()


async def _has(taken: list[Taken], kind: str) -> bool:
    return any(orjson.loads(one.body)["type"] == kind for one in taken)


async def _more(taken: list[Taken], before: int) -> bool:
    return len(taken) > before
