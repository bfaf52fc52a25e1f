"""Each message of a stream is decided as a request of its operation, and no other."""

import json
from copy import copy
from dataclasses import replace

import orjson
import pytest

from gateway.core.client_ip import ClientIPRule
from gateway.core.credential import CredentialRule
from gateway.core.decision import decision_document, instant_text, request_line
from gateway.core.headers import HeaderRule
from gateway.core.operations import OperationTable
from gateway.core.said import MessageRule
from gateway.core.terms import Reason
from gateway.core.withdrawal_request import WithdrawalRule
from gateway.policies.bundle import assemble
from gateway.service.conversation import Conversation
from gateway.service.pipeline import Line
from gateway.service.reading import RequestReader
from gateway.service.replay import Replayer
from tests.world import SECOND, account

NAMES = {"order": "trade.spot", "watch": "view", "withdraw": "withdraw", "move": "transfer"}
ORDER, WATCH, WITHDRAW = (json.dumps({"op": name}) for name in ("order", "watch", "withdraw"))


def rule(**more):
    return MessageRule(field="/op", operations=NAMES, **more)


@pytest.fixture
def opened(world, asked):
    async def function(line=None, **more):
        request = replace(asked(target="/ws"), websocket=True)
        line = line or world.line
        stream = await line.decide(request)
        assert stream.reply.status == 200
        return stream, Conversation(line, world.clock.now, rule(**more), request, stream)

    return function


def recorded(world, index=-1):
    """Return a decision as the archive gives it."""
    ruling, raw_id, at, auth_age, took_us, request = world.journal.records[index]
    return decision_document(
        orjson.loads(ruling.document),
        decision_id=raw_id.hex(),
        at=instant_text(at),
        request=request_line(request),
        took_us=took_us,
        auth_age=auth_age,
    )


async def test_a_message_is_a_decision_of_its_own_that_names_its_stream(world, opened):
    stream, conversation = await opened()
    world.clock.at += SECOND
    assert await conversation.refusal(ORDER, None) is None
    document = recorded(world)
    assert document["operation"] == "trade.spot"
    assert document["message"] == {"name": "order", "opened_by": stream.decision_id.decode()}
    assert document["request"]["path"] == "/ws"
    assert document["at"] == instant_text(world.clock.at)
    opening = recorded(world, 0)
    assert (opening["operation"], "message" in opening) == ("view", False)
    assert document["id"] != opening["id"]


async def test_the_record_of_a_message_replays_to_the_same_verdict(world, opened):
    _, conversation = await opened()
    world.accounts.accounts["alice"] = account(status="restricted")
    world.accounts.generation += 1
    assert await conversation.refusal(ORDER, None) is not None
    replayer = Replayer(lambda digest: {"house.yaml": world.policy} if digest == world.bundle.digest else None)
    for index in range(len(world.journal.records)):
        assert replayer.replay(recorded(world, index)).kind == "same"
    assert recorded(world)["verdict"]["outcome"] == "deny"


async def test_a_message_like_an_earlier_one_is_recorded_and_not_gathered_again(world, opened):
    _, conversation = await opened()
    await conversation.refusal(ORDER, None)
    tokens, records = world.tokens.asked, len(world.journal.records)
    for _ in range(3):
        assert await conversation.refusal(ORDER, None) is None
    assert world.tokens.asked == tokens
    assert len(world.journal.records) == records + 3
    assert len({raw_id for _, raw_id, *_ in world.journal.records}) == records + 3
    assert await conversation.refusal(WATCH, None) is None
    assert world.tokens.asked == tokens + 1


async def test_another_stream_remembers_for_itself_and_is_named_itself(world, opened):
    _, one = await opened()
    other_stream, other = await opened()
    await one.refusal(ORDER, None)
    await other.refusal(ORDER, None)
    assert recorded(world)["message"]["opened_by"] == other_stream.decision_id.decode()


def restrict(world):
    world.accounts.accounts["alice"] = account(status="restricted")
    world.accounts.generation += 1


def adopt(world):
    closed = world.policy.replace('when: country == "US"', 'when: country in ["US", "DE"]')
    world.line.adopt(assemble({"house.yaml": closed}, sources_configured=None))


def move(world):
    world.geo.countries["8.8.8.8"] = "US"
    world.geo.generation += 1


def narrow(world):
    """Let Alice be where one may only read, two hours later."""
    world.clock.at += 7200 * SECOND
    world.geo.countries["8.8.8.8"] = "PT"
    world.geo.generation += 1


@pytest.mark.parametrize("change", [restrict, adopt, move])
async def test_what_would_be_refused_now_is_refused_with_the_next_message(world, opened, change):
    _, conversation = await opened()
    assert await conversation.refusal(ORDER, None) is None
    world.clock.at += SECOND
    change(world)
    refused = await conversation.refusal(ORDER, None)
    assert refused.passage.reply.status == 403
    assert refused.said.name == "order"


def reread(world, header="X-Real-IP", hosts=("exchange.example",)):
    """Read requests in another way from now on, as a configuration does that was read again."""
    world.line.reader = RequestReader(
        headers=HeaderRule(client_header=header.lower().encode(), api_key_header=None),
        client_ip=ClientIPRule(
            trusted_proxies=("10.0.0.0/8",),
            header=header,
            trusted_hops=None,
            untrusted_peer="use_peer",
            private_clients=(),
            trust_unix_socket=False,
            nat64_prefixes=(),
        ),
        credentials=CredentialRule(cookie=None, api_key_header=None),
        operations=OperationTable([]),
        allowed_hosts=hosts,
    )
    world.line.adopt(copy(world.line.bundle))


async def test_a_message_is_decided_by_the_handshake_as_it_is_read_now(world, opened):
    _, conversation = await opened()
    assert await conversation.refusal(ORDER, None) is None
    reread(world)
    assert (await conversation.refusal(ORDER, None)).passage.reply.status == 403
    assert recorded(world)["client_ip"]["reason"] == "header-missing"
    await conversation.refusal("no json", None)
    assert recorded(world)["client_ip"]["reason"] == "header-missing"


@pytest.mark.parametrize("message", [ORDER, "no json"])
async def test_nothing_passes_on_a_stream_whose_handshake_cannot_be_read_any_more(world, opened, message):
    _, conversation = await opened()
    reread(world, hosts=("other.example",))
    refused = await conversation.refusal(message, None)
    assert refused.passage.reply.status == 400
    assert recorded(world)["ambiguous"]["why"] == "host"


async def test_a_stream_that_still_may_be_open_goes_on_where_access_narrowed(world, opened):
    _, conversation = await opened()
    narrow(world)
    assert (await conversation.refusal(ORDER, None)).passage.reply.reason is Reason.JURISDICTION_EXIT
    assert await conversation.refusal(WATCH, None) is None


async def test_what_moves_money_is_on_the_disk_first_and_never_answered_from_memory(world, opened):
    _, conversation = await opened()
    for _ in range(2):
        asked = world.accounts.asked
        assert await conversation.refusal(WITHDRAW, None) is None
        assert world.accounts.asked == asked + 1
        assert world.journal.synced == len(world.journal.records) - 1
    world.journal.slow = True
    refused = await conversation.refusal(WITHDRAW, None)
    assert refused.passage.reply.reason is Reason.RECORD_UNAVAILABLE
    world.journal.full = True
    assert (await conversation.refusal(WITHDRAW, None)).passage.reply.reason is Reason.RECORD_UNAVAILABLE
    assert await conversation.refusal(WATCH, None) is None


async def test_an_outage_is_over_when_it_is_over(world, opened):
    _, conversation = await opened()
    world.accounts.generation += 1
    world.accounts.broken = True
    assert (await conversation.refusal(ORDER, None)).passage.reply.status == 503
    world.accounts.broken = False
    assert await conversation.refusal(ORDER, None) is None


async def test_every_message_of_a_batch_is_decided_and_the_strictest_refusal_is_told(world, opened):
    _, conversation = await opened()
    narrow(world)  # and the proof is too old for a withdrawal
    before = len(world.journal.records)
    refused = await conversation.refusal(f"[{WATCH}, {WITHDRAW}, {ORDER}, {WATCH}]", None)
    assert refused.passage.reply.reason is Reason.JURISDICTION_EXIT
    operations = [recorded(world, index)["operation"] for index in range(before, before + 4)]
    assert operations == ["view", "withdraw", "trade.spot", "view"]
    assert await conversation.refusal(f"[{WATCH}, {WATCH}]", None) is None


async def test_what_cannot_be_read_is_refused_and_on_record(world, opened):
    stream, conversation = await opened()
    refused = await conversation.refusal('{"op": "watch", "op": "withdraw"}', None)
    assert refused.said is None
    assert refused.passage.reply.status == 400
    document = recorded(world)
    assert document["ambiguous"] == {"why": "message", "detail": "a member twice"}
    assert document["message"] == {"name": None, "opened_by": stream.decision_id.decode()}
    assert document["client_ip"]["address"] == "8.8.8.8"
    assert document["request"]["user_agent"] == "tests/1"


async def test_the_names_that_a_stream_remembers_are_bounded(world, asked):
    names = {f"n{number}": "view" for number in range(600)}
    request = replace(asked(target="/ws"), websocket=True)
    stream = await world.line.decide(request)
    conversation = Conversation(
        world.line, world.clock.now, MessageRule(field="/op", operations=names), request, stream
    )
    for name in names:
        assert await conversation.refusal(json.dumps({"op": name}), None) is None
    tokens = world.tokens.asked
    await conversation.refusal('{"op": "n599"}', None)
    assert world.tokens.asked == tokens
    await conversation.refusal('{"op": "n0"}', None)
    assert world.tokens.asked == tokens + 1


async def test_what_a_withdrawal_says_comes_from_its_message(world, opened, reader):
    withdrawals = WithdrawalRule(amount_usd="/amount")
    line = Line(
        reader=reader,
        gather=world.line.gather,
        bundle=world.bundle,
        journal=world.journal,
        clock=world.clock,
        withdrawals=withdrawals,
    )
    _, conversation = await opened(line, withdrawals=withdrawals)
    await conversation.refusal('{"op": "withdraw", "amount": 250}', None)
    assert recorded(world)["facts"]["amount_usd"] == 250
    await conversation.refusal('{"op": "withdraw"}', None)
    assert recorded(world)["unknown"]["amount_usd"]["why"] == "not-supplied"
    await conversation.refusal(WATCH, None)
    assert recorded(world)["facts"]["amount_usd"] is None
