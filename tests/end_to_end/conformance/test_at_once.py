"""What is answered at once is answered byte for byte as by the app: all questions of the suite, in each dialect."""

import asyncio
import re
from base64 import urlsafe_b64decode

import pytest
import uvicorn
from uvicorn.server import ServerState

from gateway.app import Gateway
from gateway.app.decision_service import DecisionService
from gateway.config import load
from gateway.enforce.http_protocol import StrictHttpProtocol
from gateway.enforce.question import DIALECTS, OF_THE_QUESTION
from tests.end_to_end.conformance.questions import SPOOFED, VERDICTS, spellings

_ID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
_CARRIED = re.compile(rb"(?<=gateway-refusal: )[\w=-]+")


class _Transport:
    """A client who writes from one address, and all that it hears."""

    def __init__(self, peer):
        self.peer, self.heard, self.closed = peer, b"", False

    def get_extra_info(self, name):
        return (self.peer, 4711) if name in {"peername", "sockname"} else None

    def write(self, data):
        assert not self.closed
        self.heard += data

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


class Asked:
    """A decision service, asked on connections of one's own."""

    def __init__(self, service):
        self.service = service
        self.at_once = 0
        self.state = ServerState()
        self.state.default_headers = [(b"date", b"today")]
        self.config = uvicorn.Config(service, lifespan="off", proxy_headers=False, log_level="critical")
        self.config.load()

    def quick(self, *question):
        answer = self.service.quick(*question)
        self.at_once += answer is not None
        return answer

    async def ask(self, data, *, at_once, peer="127.0.0.1"):
        """Return all that is heard, ids apart, and whether the connection is kept."""
        transport = _Transport(peer)
        quick = self.quick if at_once else None
        protocol = StrictHttpProtocol(self.config, self.state, {}, max_head_bytes=32_768, head_s=10, quick=quick)
        protocol.connection_made(transport)
        protocol.data_received(data)
        async with asyncio.timeout(10):
            while self.state.tasks:
                await asyncio.gather(*self.state.tasks)
        closed = transport.closed
        protocol.connection_lost(None)
        heard = _CARRIED.sub(lambda found: urlsafe_b64decode(found[0]), transport.heard)
        return _ID.sub(b"ID", heard), closed


def asking(name, question, token):
    """Return the bytes by which a proxy asks about a question."""
    dialect = DIALECTS[name]
    set_by_proxy = {
        dialect.method: question.method.encode(),
        dialect.target: question.target.encode("latin-1"),
        dialect.host: b"exchange.example",
        b"x-forwarded-for": b"2.80.10.20",
    }
    by = question.method.encode() if dialect.method is None else b"GET"
    target = question.target.encode("latin-1") if dialect.target is None else b""
    lines = [b"%b /authz/%b%b HTTP/1.1" % (by, name.encode(), target)]
    for line in question.wire(token).partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]:
        folded = line.partition(b":")[0].lower()
        if folded not in OF_THE_QUESTION and folded not in set_by_proxy:
            lines.append(line)
    lines += [b"%b: %b" % line for line in set_by_proxy.items() if line[0] is not None]
    return b"\r\n".join([*lines, b"", b""])


@pytest.fixture
async def asked(site):
    names = ", ".join(f'"{name}"' for name in DIALECTS)
    with site.config.open("a") as config:
        config.write(f'\n[forward_auth]\nproxies = [{names}]\nasked_by = ["127.0.0.1"]\n')
        # Many are asked in a row, and the machine may be busy: what is refused for that would not be answered alike.
        config.write('\n[failure]\nlate = "10s"\n')
    gateway = Gateway(load(site.config))
    await gateway.start()
    await site.fill(gateway.store)
    yield Asked(DecisionService(gateway))
    await gateway.close()


@pytest.mark.parametrize(
    ("name", "questions"),
    [
        ("nginx", (*VERDICTS, *SPOOFED, *spellings())),
        ("envoy", (*VERDICTS, *SPOOFED, *spellings())),
        *((name, VERDICTS) for name in ("caddy", "traefik", "haproxy")),
    ],
    ids=("nginx", "envoy", "caddy", "traefik", "haproxy"),
)
async def test_what_is_answered_at_once_is_what_the_app_would_answer(asked, site, name, questions):
    tokens = {who: site.token(who) for who in ("alice", "bob", "carol", "dan", "erin", "frank")}
    for question in questions:
        data = asking(name, question, tokens.get(question.who))
        first = await asked.ask(data, at_once=False)
        again = await asked.ask(data, at_once=True)
        # Once more: on a busy machine the store may have been silent for one of them.
        assert again in {first, await asked.ask(data, at_once=False)}, question.name
    assert asked.at_once > len(VERDICTS) // 3


async def test_several_at_once_are_answered_in_their_order_whoever_answers(asked, site):
    known = asking("nginx", VERDICTS[0], site.token("alice"))
    unread = asking("nginx", VERDICTS[0], None).replace(b"exchange.example", b"exchange..example")
    refused = asking("nginx", VERDICTS[0], site.token("bob"))
    for data in (known, refused):
        await asked.ask(data, at_once=False)
    alone = [(await asked.ask(data, at_once=False))[0] for data in (known, unread, refused, known)]
    assert len({*alone}) == 3
    together = await asked.ask(known + unread + refused + known, at_once=True)
    assert together == (b"".join(alone), False)
    assert asked.at_once == 1


@pytest.mark.parametrize(
    "change",
    [
        (b"\r\n\r\n", b"\r\nContent-Length: 0\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n{}"),
        (b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"),
        (b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
        (b"HTTP/1.1", b"HTTP/1.0"),
        (b"/authz/nginx", b"/authz/nginx#x"),
        (b"/authz/nginx", b"/authz/nginx/x"),
        (b"/authz/nginx", b"/authz/caddy"),
        (b"/authz/nginx", b"//authz/nginx"),
        (b"GET /", b"CONNECT /"),
        (b"X-", b"X-Original-URI: /\r\nX-"),
    ],
)
async def test_what_is_out_of_the_ordinary_is_left_to_the_app(asked, site, change):
    question = asking("nginx", VERDICTS[0], site.token("alice")).replace(b"x-original", b"X-Original")
    await asked.ask(question, at_once=False)
    data = question.replace(*change, 1)
    assert data != question
    assert await asked.ask(data, at_once=True) == await asked.ask(data, at_once=False)
    assert asked.at_once == 0


async def test_nobody_is_answered_at_once_who_may_not_ask(asked, site):
    question = asking("nginx", VERDICTS[0], site.token("alice"))
    await asked.ask(question, at_once=False)
    heard, _ = await asked.ask(question, at_once=True, peer="127.0.0.2")
    assert heard.startswith(b"HTTP/1.1 403 ")
    assert asked.at_once == 0
