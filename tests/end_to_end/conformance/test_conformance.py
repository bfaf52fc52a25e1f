"""Every mounting gives the same verdict, reason and status, and no refused request reaches the exchange."""

import asyncio
from contextlib import ExitStack, contextmanager

import pytest

from gateway.adapters.sql import AccountStore
from gateway.app import Gateway, GatewayMiddleware
from gateway.app.decision_service import DecisionService
from gateway.config import load
from gateway.enforce.reverse_proxy import ReverseProxy
from tests.end_to_end.conformance.exchange import Exchange, ask, serving
from tests.end_to_end.conformance.proxies import PROXIES, free_port, proxy
from tests.end_to_end.conformance.questions import SPOOFED, VERDICTS, spellings

MOUNTINGS = ("middleware", "reverse-proxy", *PROXIES)
TELLS_THE_CLIENT = {*MOUNTINGS} - {"traefik"}
"""Traefik hands nothing of the gateway's answer to the client of what was allowed."""

BY_LAW = """\
policy: by-law
title: A residence that the law closes
owner: tests
rules:
  - id: by-law
    limit: support_only
    when: '"KP" in documents'
    reason: sanctioned-region
    basis: The tests
    status: 451
tests:
  - name: It is closed
    facts: {documents: [KP], status: open}
    operation: view
    at: 2023-05-01
    expect: {outcome: deny, by: [by-law]}
"""


@contextmanager
def mounted(how, site, exchange):
    """A gateway mounted in one way before the exchange: the port that clients ask."""
    trusted = '["127.0.0.1"]' if how in PROXIES else "[]"
    text = site.config.read_text()
    text = text.replace(
        'trusted_proxies = ["10.0.0.0/8", "127.0.0.0/8"]',
        f'trusted_proxies = {trusted}\nprivate_clients = ["127.0.0.0/8"]',
    )
    text = text.replace("[geodb]", '[geodb]\noverrides = { "127.0.0.0/8" = { country = "PT" } }')
    if how in PROXIES:
        name, _, grpc = how.partition("-")
        text += f'\n[forward_auth]\nproxies = ["{name}"]\nasked_by = ["127.0.0.1"]\n'
        text += "grpc_port = 0\n" if grpc else ""
    site.config.write_text(text)
    (site.folder / "policies" / "by-law.yaml").write_text(BY_LAW)
    settings = load(site.config)

    async def fill():
        store = AccountStore(settings.store.url)
        await store.start()
        await site.fill(store)
        for uid, country in (("erin", "KP"), ("frank", "PT")):
            await store.put(uid, status="open", verification="full", documents=[country], who="tests", why="the cast")
        await store.close()

    asyncio.run(fill())
    gateway = Gateway(settings)
    with ExitStack() as stack:
        behind = stack.enter_context(serving(exchange))
        if how == "middleware":
            app = GatewayMiddleware(exchange, gateway=gateway)
        elif how == "reverse-proxy":
            app = GatewayMiddleware(ReverseProxy(f"http://127.0.0.1:{behind}"), gateway=gateway)
        else:
            app = DecisionService(gateway)
        port = stack.enter_context(serving(app))
        if how in PROXIES:
            port = app.grpc_port or port
            port = stack.enter_context(proxy(how, site.folder / how, gateway=port, exchange=behind))
        yield port


def differences(how, question, answer, reached):
    """Yield what is not as expected of an answer."""
    if answer.status not in question.status:
        yield "status"
    if question.reason is not None and answer.reason != question.reason:
        yield "reason"
    if question.allowed is not None and bool(reached) != question.allowed:
        yield "reached"
    if question.allowed and how in TELLS_THE_CLIENT and len(answer.headers.get("gateway-decision", "")) != 36:
        yield "not told"
    if answer.headers.get("gateway-access") == "forged":
        yield "forged by the exchange"
    sent = " ".join(line for line in question.headers if line.lower().startswith("gateway-"))
    for one in reached:
        if one.target.removesuffix("?") != question.target:
            yield "target"
        if question.length is not None and one.length != question.length:
            yield "length"
        if any(name.startswith("gateway-") and value in sent for name, value in one.headers):
            yield "spoofed"
        if question.who is not None and ("gateway-account", question.who) not in one.headers:
            yield "account"


@pytest.fixture
def how(request):
    """A mounting that can be tried here."""
    if request.param == "haproxy":
        request.getfixturevalue("has_haproxy")
    return request.param


@pytest.mark.parametrize("how", PROXIES, indirect=True)
def test_where_the_gateway_is_away_nothing_is_let_through(how, tmp_path):
    exchange = Exchange()
    question = VERDICTS[0].wire(None)
    with serving(exchange) as behind, proxy(how, tmp_path / how, gateway=free_port(), exchange=behind) as port:
        answer = ask(port, question)
    assert (answer.status, exchange.reached) == (500 if how == "traefik" else 503, [])


@pytest.mark.timeout(300)
@pytest.mark.parametrize("how", MOUNTINGS, indirect=True)
def test_every_mounting_answers_alike(how, site):
    exchange = Exchange()
    wrong = []
    with mounted(how, site, exchange) as port:
        for question in (*VERDICTS, *SPOOFED, *spellings()):
            exchange.reached.clear()
            ago = 3000 if question.who == "frank" else 5
            token = None if question.who is None else site.token(question.who, ago=ago)
            answer = ask(port, question.wire(token), method=question.method)
            got = (question.name, answer.status, answer.reason, [*exchange.reached], answer.body[:300])
            wrong += [(what, *got) for what in differences(how, question, answer, exchange.reached)]
    assert not wrong, "\n".join(map(str, wrong))
