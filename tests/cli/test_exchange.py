"""The pretend exchange does what a trading API does, tells what it saw, and remembers what it carried out."""

from typing import Any

import pytest
from starlette.testclient import TestClient

from gateway.cli.exchange import Executed, create_exchange

ORDER = {"pair": "BTC-USD", "side": "buy", "amount": "0.1"}
WITHDRAWAL = {"asset": "BTC", "amount": "0.1", "address": "bc1qexample"}
FROM_GATEWAY = {"Gateway-Account": "alice", "Gateway-Access": "full", "Gateway-Country": "PT"}
NOBODY = dict.fromkeys(FROM_GATEWAY)

WRITES = [
    ("/api/v1/orders", "spot", ORDER),
    ("/api/v1/futures/orders", "futures", ORDER),
    ("/api/v1/withdrawals", "withdrawal", WITHDRAWAL),
    ("/api/v1/security/api-keys", "api-key", {"label": "bot"}),
    ("/api/v1/support/messages", "message", {"text": "Why was I refused?"}),
]


@pytest.fixture
def client() -> TestClient:
    return TestClient(create_exchange(tick_s=0.001))


def executed(client: TestClient) -> list[Executed]:
    app: Any = client.app
    return list(app.state.executed)


@pytest.mark.parametrize(("path", "what", "order"), WRITES)
def test_what_is_carried_out_is_remembered_with_its_account(
    client: TestClient, path: str, what: str, order: dict[str, str]
) -> None:
    answer = client.post(path, json=order, headers=FROM_GATEWAY)

    assert answer.status_code == 201
    assert answer.json()["done"] == what
    assert answer.json()["order"] == order
    assert executed(client) == [Executed(what, "alice", order)]


@pytest.mark.parametrize("path", ["/api/v1/market", "/api/v1/balances", "/api/v1/support/messages"])
def test_reading_carries_nothing_out(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 200
    assert executed(client) == []


@pytest.mark.parametrize(
    ("path", "method"), [("/api/v1/market", "GET"), ("/api/v1/balances", "GET"), ("/api/v1/orders", "POST")]
)
@pytest.mark.parametrize(("sent", "seen"), [(FROM_GATEWAY, FROM_GATEWAY), ({}, NOBODY)])
def test_every_answer_tells_what_the_gateway_said(
    client: TestClient, path: str, method: str, sent: dict[str, str], seen: dict[str, str | None]
) -> None:
    assert client.request(method, path, json=ORDER, headers=sent).json()["seen"] == seen


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        (b"", 400, "the body must be a JSON object of at most 64 KiB"),
        (b"[]", 400, "the body must be a JSON object of at most 64 KiB"),
        (b"[" * 50_000, 400, "the body must be a JSON object of at most 64 KiB"),
        (b'{"text": "' + b"x" * 70_000 + b'"}', 400, "the body must be a JSON object of at most 64 KiB"),
        (b'{"asset": "BTC", "amount": 1, "address": ""}', 422, "needs text: amount, address"),
    ],
    ids=["empty", "a list", "nested", "large", "incomplete"],
)
def test_what_cannot_be_understood_is_not_carried_out(client: TestClient, body: bytes, status: int, error: str) -> None:
    answer = client.post("/api/v1/withdrawals", content=body)

    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert executed(client) == []


def test_a_customer_reads_their_own_messages_alone(client: TestClient) -> None:
    client.post("/api/v1/support/messages", json={"text": "mine"}, headers={"Gateway-Account": "alice"})
    client.post("/api/v1/support/messages", json={"text": "hers"}, headers={"Gateway-Account": "carol"})

    answer = client.get("/api/v1/support/messages", headers={"Gateway-Account": "alice"})

    assert answer.json()["messages"] == [{"text": "mine"}]


def test_the_ticker_ticks_until_the_client_leaves(client: TestClient) -> None:
    with client.websocket_connect("/api/v1/ticker", headers=dict(FROM_GATEWAY)) as ticker:
        first = ticker.receive_json()
        ticker.send_text("anything")
        second = ticker.receive_json()

    assert (first["tick"], second["tick"]) == (0, 1)
    assert first["seen"] == FROM_GATEWAY
    assert set(first["prices"]) == {"BTC-USD", "ETH-USD"}
    assert first["prices"] != second["prices"]


def test_each_exchange_remembers_for_itself() -> None:
    one, other = TestClient(create_exchange()), TestClient(create_exchange())

    one.post("/api/v1/orders", json=ORDER)

    assert len(executed(one)) == 1
    assert executed(other) == []
