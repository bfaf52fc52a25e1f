"""Messages on real WebSockets are decided one by one, inside an app and before an upstream, and on record."""

import asyncio
import json
from contextlib import ExitStack

import pytest
import websockets

from gateway.adapters.recorded import read_documents
from gateway.adapters.sql import AccountStore
from gateway.app import GatewayMiddleware
from gateway.app.records import Records
from gateway.config import load
from gateway.core.masking import Reader
from gateway.enforce.reverse_proxy import ReverseProxy
from tests.end_to_end.conformance.exchange import Exchange, serving

MESSAGES = """
[[messages]]
path = "/ws/{name}"
field = "/op"
operations = { "order.*" = "trade.spot", "withdraw" = "withdraw", "subscribe" = "view" }
texts = { ping = "view" }
refuse = "%s"
id = "/id"
"""
SUBSCRIBE, ORDER, WITHDRAW = (json.dumps({"op": op, "id": op}) for op in ("subscribe", "order.place", "withdraw"))


async def filled(site) -> None:
    store = AccountStore(load(site.config).store.url)
    await store.start()
    await site.fill(store)
    await store.close()


@pytest.fixture(params=["inside an app", "before an upstream"])
def port_of(site, request):
    """A way to serve the gateway, in either mounting."""
    with ExitStack() as stack:

        def serve(refuse: str) -> int:
            site.config.write_text(site.config.read_text() + MESSAGES % refuse)
            app = Exchange()
            if request.param == "before an upstream":
                app = ReverseProxy(f"http://127.0.0.1:{stack.enter_context(serving(app))}")
            return stack.enter_context(serving(GatewayMiddleware(app, config=site.config)))

        yield serve


def test_what_is_refused_is_answered_and_what_is_allowed_reaches_the_app(site, port_of) -> None:
    port = port_of("answer")

    async def talk(uid: str, *messages: object) -> list[str]:
        headers = site.headers(uid)
        headers.pop("host")
        url = f"ws://127.0.0.1:{port}/ws/trade"
        async with websockets.connect(url, additional_headers=headers) as socket:
            answers = []
            for message in messages:
                await socket.send(message)
                answers.append(await asyncio.wait_for(socket.recv(), 20))
            return answers

    async def story() -> None:
        await filled(site)
        fragments = ['{"op": "ord', 'er.place", "id"', ": 1}"]
        alice = await talk("alice", SUBSCRIBE, ORDER, WITHDRAW, "ping", fragments, f"[{ORDER}, {SUBSCRIBE}]")
        assert alice == [SUBSCRIBE, ORDER, WITHDRAW, "ping", "".join(fragments), f"[{ORDER}, {SUBSCRIBE}]"]
        bad = ['{"op": "subscribe", "op": "withdraw"}', b'{"op": "subscribe"}', '{"OP": "withdraw"}', "pong"]
        for told in map(json.loads, await talk("alice", *bad)):
            assert (told["status"], told["reason"]) == (400, "ambiguous-request")
        carol = await talk("carol", SUBSCRIBE, ORDER, f"[{SUBSCRIBE}, {WITHDRAW}]", SUBSCRIBE)
        assert (carol[0], carol[3]) == (SUBSCRIBE, SUBSCRIBE)
        told = [json.loads(answer) for answer in carol[1:3]]
        assert [(one["reason"], one["message"]["name"], one["message"]["id"]) for one in told] == [
            ("account-flagged", "order.*", "order.place"),
            ("account-flagged", "withdraw", "withdraw"),
        ]
        refused.extend(one["decision_id"] for one in told)

    refused: list[str] = []
    asyncio.run(story())
    documents = {one["id"]: one for one in read_documents(load(site.config).journal.directory)}
    messages = [one for one in documents.values() if "message" in one]
    assert len(messages) == 7 + 4 + 5
    assert all(documents[one["message"]["opened_by"]]["operation"] == "view" for one in messages)
    records = Records.of(site.config)
    assert {records.replay(one).kind for one in messages} == {"same"}
    text = records.explain(documents[refused[0]], Reader.SUPPORT, None, "en", None).text()
    assert "It was a message, of the name `order.*`" in text


def test_a_refusal_closes_the_stream_where_that_is_said(site, port_of) -> None:
    port = port_of("close")

    async def story() -> None:
        await filled(site)
        headers = site.headers("carol")
        headers.pop("host")
        url = f"ws://127.0.0.1:{port}/ws/trade"
        async with websockets.connect(url, additional_headers=headers) as socket:
            await socket.send(SUBSCRIBE)
            assert await asyncio.wait_for(socket.recv(), 20) == SUBSCRIBE
            await socket.send(ORDER)
            await asyncio.wait_for(socket.wait_closed(), 20)
            assert (socket.close_code, socket.close_reason) == (1008, "account-flagged")

    asyncio.run(story())
