import asyncio
import json
import uuid
from dataclasses import replace

import pytest

from gateway.core.decision import instant_text, request_line
from gateway.core.errors import JournalUnavailable, StoreUnavailable
from gateway.core.failing import Kind
from gateway.core.reply import TicketTold
from gateway.core.tallies import TOOK, Way
from gateway.core.terms import Operation, Reason
from gateway.desk.hold import started
from gateway.desk.kinds import TicketKind
from gateway.desk.ticket import open_ticket
from gateway.policies.bundle import load
from gateway.ports import Carried, Identity, Outcome
from gateway.service.errands import AtOnce
from gateway.service.gather import Gather
from gateway.service.replay import Replayer

NOBODY_LOGS_IN = """\
policy: house
title: Looking alone
owner: tests
rules:
  - id: everybody
    grant: [view]
    when: country != "KP"
tests:
  - name: Everybody may look
    facts: {country: DE}
    operation: view
    at: 2023-05-01
    expect: {outcome: allow}
"""
SECOND = 1_000_000
NOON = 1_700_000_000 * SECOND


def decide(world, request):
    world.clock.at = request.at + 7
    return world.line.recall(request) or asyncio.run(world.line.decide(request))


def document(passage):
    return json.loads(passage.settled.document)


def test_an_allowed_request_is_recorded_with_everything_that_made_it_so(world, asked) -> None:
    passage = decide(world, asked())
    assert passage.reply.status == 200
    (ruling, raw_id, at, auth_age, took_us, request) = world.journal.records[0]
    assert (raw_id, at, auth_age, took_us) == (uuid.UUID(passage.decision_id.decode()).bytes, NOON, 1, 7)
    assert request == b"GET\0/api/v1/balances\0exchange.example\0tests/1"
    body = json.loads(ruling.document)
    assert body["facts"]["country"] == "DE"
    assert body["facts"]["account"] == "alice"
    assert body["bundle"] == world.bundle.digest
    assert body["client_ip"]["address"] == "8.8.8.8"
    assert body["verdict"]["outcome"] == "allow"
    assert passage.settled.told == (
        (b"gateway-access", b"full"),
        (b"gateway-account", b"alice"),
        (b"gateway-country", b"DE"),
    )


def test_a_refusal_names_its_rule_and_is_recorded(world, asked) -> None:
    passage = decide(world, asked(address="9.9.9.9"))
    assert (passage.reply.status, passage.reply.reason) == (403, Reason.JURISDICTION_BLOCKED)
    assert [rule["rule"] for rule in document(passage)["verdict"]["by"]] == ["closed-country"]
    assert len(world.journal.records) == 1


def test_an_equal_request_is_answered_from_what_was_settled_and_recorded_as_fully(world, asked) -> None:
    first = decide(world, asked())
    second = decide(world, asked(at=NOON + 5 * SECOND, target="/api/v1/market"))
    assert second.settled is first.settled
    assert second.decision_id != first.decision_id
    assert world.tokens.asked == 1
    assert world.journal.records[1][3] == 6, "the age of the proof goes on growing in the record"
    assert world.journal.records[1][5].startswith(b"GET\0/api/v1/market\0")


@pytest.mark.parametrize(
    "change",
    [{"address": "7.7.7.7"}, {"token": "bob-token"}, {"token": None}, {"method": "POST", "target": "/api/v1/deposits"}],
)
def test_nothing_settled_answers_a_request_that_differs_in_what_a_verdict_depends_on(world, asked, change) -> None:
    first = decide(world, asked())
    assert decide(world, asked(**change)).settled is not first.settled


@pytest.mark.parametrize("port", ["geo", "tokens", "accounts"])
def test_nothing_settled_outlives_a_change_by_more_than_a_millisecond(world, asked, port) -> None:
    first = decide(world, asked())
    assert decide(world, asked()).settled is first.settled
    getattr(world, port).generation += 1
    assert decide(world, asked(at=NOON + 1000)).settled is not first.settled


def test_a_change_of_an_account_ends_its_own_answers_and_nobody_elses(world, asked) -> None:
    alice, bob, stranger = [decide(world, asked(token=token)) for token in ("alice-token", "bob-token", None)]
    for number in range(1, 4):
        at = NOON + number * 1000
        world.accounts.generation += 1
        world.accounts.changed = {"alice": world.accounts.generation}
        changed = decide(world, asked(at=at))
        assert changed.settled is not alice.settled
        assert decide(world, asked(at=at, token="bob-token")).settled is bob.settled
        assert decide(world, asked(at=at, token=None)).settled is stranger.settled
        alice = changed


def test_a_change_of_nobody_in_particular_ends_everybodys(world, asked) -> None:
    before = [decide(world, asked(token=token)) for token in ("alice-token", "bob-token", None)]
    world.accounts.generation += 1
    after = [decide(world, asked(at=NOON + 1000, token=token)) for token in ("alice-token", "bob-token", None)]
    assert all(old.settled is not new.settled for old, new in zip(before, after, strict=True))


def test_a_change_of_anothers_account_hides_no_change_of_the_rest(world, asked) -> None:
    bob = decide(world, asked(token="bob-token"))
    world.accounts.generation += 1
    world.accounts.changed = {"alice": world.accounts.generation}
    world.geo.generation += 1
    assert decide(world, asked(at=NOON + 1000, token="bob-token")).settled is not bob.settled


def test_a_change_while_facts_are_gathered_ends_the_answer_though_others_changed_since(world, asked) -> None:
    read = world.accounts.read

    async def change(uid: str):
        account = await read(uid)
        world.accounts.generation += 1
        world.accounts.changed["alice"] = world.accounts.generation
        return account

    world.accounts.changed["zoe"] = world.accounts.generation
    world.accounts.read = change
    first = decide(world, asked())
    world.accounts.generation += 1
    world.accounts.changed["bob"] = world.accounts.generation
    world.accounts.read = read
    assert decide(world, asked(at=NOON + 1000)).settled is not first.settled


def test_a_clock_that_is_set_back_makes_nothing_settled_last_longer(world, asked) -> None:
    first = decide(world, asked())
    assert decide(world, asked()).settled is first.settled
    world.accounts.generation += 1
    assert decide(world, asked(at=NOON - 1)).settled is not first.settled


def test_nothing_settled_is_used_when_the_store_has_not_been_heard(world, asked) -> None:
    first = decide(world, asked())
    world.accounts.heard = False
    assert decide(world, asked()).settled is not first.settled


def test_nothing_settled_outlives_its_bundle(world, asked) -> None:
    first = decide(world, asked())
    world.line.adopt(
        load({"house.yaml": world.policy.replace("closed-country", "shut-country")}, sources_configured=None)
    )
    second = decide(world, asked())
    assert document(second)["bundle"] != document(first)["bundle"]


def test_nothing_settled_crosses_a_date_of_a_rule(world, asked) -> None:
    deposit = {"method": "POST", "target": "/api/v1/deposits", "address": "7.7.7.7"}
    eve = 1_700_006_400 * SECOND  # 2023-11-15T00:00:00Z, the date of the rule `later`
    world.tokens.identities[b"alice-token"] = Identity("session", "valid", "alice", 2, eve, None)
    assert decide(world, asked(at=eve - 1, **deposit)).reply.status == 200
    assert decide(world, asked(at=eve, **deposit)).reply.status == 403


EXCEPTION = """exceptions: desk
owner: compliance
entries:
  - id: look
    operations: [view]
    account: alice
    lifts: [house/closed-country]
    reason: She may see what she is owed
    basis: Ticket 1
    from: 2023-11-01
    until: 2023-11-15
"""


def excepting(world):
    """Decide by a bundle that spares Alice the closed country until the date of the rule `later`; Bob stays Bob."""
    bundle = load({"house.yaml": world.policy, "e.yaml": EXCEPTION}, sources_configured=None)
    world.line.adopt(bundle)
    world.accounts.accounts["bob"] = world.accounts.accounts["alice"]._replace(uid="bob")
    return bundle


def test_an_exception_opens_to_one_customer_and_is_settled_for_no_other(world, asked) -> None:
    excepting(world)
    for token in ("alice-token", "bob-token", "alice-token", "bob-token", None):
        passage = decide(world, asked(address="9.9.9.9", token=token))
        assert passage.reply.status == (200 if token == "alice-token" else 403), token
        excepted = document(passage)["verdict"].get("excepted", [])
        assert [one["exception"] for one in excepted] == (["desk/look"] if token == "alice-token" else [])
    assert world.tokens.asked == 3  # the third and the fourth were answered from what was settled


def test_an_exception_ends_on_the_instant_for_what_was_settled_too(world, asked) -> None:
    excepting(world)
    eve = 1_700_006_400 * SECOND
    world.tokens.identities[b"alice-token"] = Identity("session", "valid", "alice", 2, eve, None)
    assert decide(world, asked(at=eve - 1, address="9.9.9.9")).reply.status == 200
    refused = decide(world, asked(at=eve, address="9.9.9.9"))
    assert (refused.reply.status, refused.reply.reason) == (403, Reason.JURISDICTION_BLOCKED)


def test_the_access_that_is_told_has_what_an_exception_opens(world, asked) -> None:
    excepting(world)
    refused = decide(world, asked(address="9.9.9.9", method="POST", target="/api/v1/deposits"))
    assert refused.reply.status == 403
    assert refused.reply.allowed_operations == (Operation.VIEW, Operation.SUPPORT)


def test_nothing_settled_outlives_the_credential(world, asked) -> None:
    world.tokens.identities[b"alice-token"] = Identity("session", "valid", "alice", 2, NOON, NOON + SECOND)
    decide(world, asked())
    decide(world, asked(at=NOON + SECOND - 1))
    assert world.tokens.asked == 1
    decide(world, asked(at=NOON + SECOND))
    assert world.tokens.asked == 2


def test_an_invalid_credential_takes_no_place_in_memory(world, asked) -> None:
    for number in range(5):
        decide(world, asked(token=f"forged-{number}"))
    assert len(world.line._settled) == 0


def test_strangers_push_out_nobody_who_signed_in(world, asked) -> None:
    world.line._strangers._limit = world.line._settled._limit = 4
    first = decide(world, asked())
    for number in range(20):
        decide(world, asked(token=None, address=f"8.8.4.{number}"))
        decide(world, asked(token=None, more=((b"cookie", b"theme=%d" % number),)))
    assert decide(world, asked()).settled is first.settled
    assert len(world.line._strangers) <= 4


@pytest.mark.parametrize(
    "change",
    [
        {"token": None, "more": ((b"x-forwarded-for", b"1.1.1.1, " * 100 + b"8.8.8.8"),)},
        {"address": "10.0.0.9, " * 10 + "10.0.0.9"},
        {"token": "x" * 5000},
    ],
)
def test_what_its_sender_makes_long_is_not_kept(world, asked, change) -> None:
    world.tokens.identities[b"x" * 5000] = world.tokens.identities[b"alice-token"]
    decide(world, asked(**change))
    assert not world.line._settled
    assert not world.line._strangers


def test_the_record_names_the_editions_that_its_facts_came_from(world, asked) -> None:
    check = world.tokens.check

    async def swapped_meanwhile(presented, at):
        world.geo.editions = ("newer",)
        return await check(presented, at)

    world.tokens.check = swapped_meanwhile
    assert document(decide(world, asked()))["editions"] == ["test@2026-01-01#00000000"]


def test_a_store_that_fails_in_its_own_way_is_an_outage_and_the_decision_is_recorded(world, asked) -> None:
    async def broken(uid):
        raise KeyError(uid)

    world.accounts.read = broken
    assert decide(world, asked("POST", "/api/v1/deposits")).reply.status == 503
    assert len(world.journal.records) == 1


def test_a_user_agent_is_recorded_as_far_as_it_says_something(world, asked) -> None:
    request = asked()
    request.headers[2] = (b"user-agent", b"a" * 8000)
    decide(world, request)
    assert world.journal.records[0][5].endswith(b"\0" + b"a" * 256)


def test_a_withdrawal_reads_the_store_and_waits_for_the_disk_each_time(world, asked) -> None:
    for number in range(2):
        assert decide(world, asked("POST", "/api/v1/withdrawals")).reply.status == 200
        assert world.accounts.asked == number + 1
        assert world.journal.synced == number


def test_an_old_proof_does_not_open_a_withdrawal(world, asked) -> None:
    passage = decide(world, asked("POST", "/api/v1/withdrawals", at=NOON + 600 * SECOND))
    assert (passage.reply.status, passage.reply.reason) == (401, Reason.STEP_UP_REQUIRED)


@pytest.mark.parametrize("fault", ["full", "slow"])
def test_what_cannot_be_recorded_does_not_move_money(world, asked, fault) -> None:
    setattr(world.journal, fault, True)
    passage = decide(world, asked("POST", "/api/v1/withdrawals"))
    assert (passage.reply.status, passage.reply.reason) == (503, Reason.RECORD_UNAVAILABLE)
    assert world.line.unrecorded == 1


def test_what_cannot_be_recorded_is_counted_where_no_money_moves(world, asked) -> None:
    world.journal.full = True
    assert decide(world, asked()).reply.status == 200
    assert decide(world, asked()).reply.status == 200
    assert world.line.unrecorded == 2


def test_a_refusal_that_comes_from_an_outage_says_come_back(world, asked) -> None:
    world.accounts.broken = True
    passage = decide(world, asked("POST", "/api/v1/deposits"))
    assert passage.reply.status == 503
    assert passage.reply.retry_after_s
    world.accounts.broken = False
    assert decide(world, asked("POST", "/api/v1/deposits")).reply.status == 200


def test_a_request_that_cannot_be_read_is_refused_and_recorded_with_its_address(world, asked) -> None:
    passage = decide(world, asked(target="/api/v1/%2e%2e/withdrawals"))
    assert (passage.reply.status, passage.reply.reason) == (400, Reason.AMBIGUOUS_REQUEST)
    body = json.loads(world.journal.records[0][0].document)
    assert body["facts"] is None
    assert body["client_ip"]["address"] == "8.8.8.8"
    assert body["ambiguous"]["why"].startswith("target-")


def test_a_trace_is_recorded_of_every_request_also_of_one_that_is_answered_from_memory(world, asked) -> None:
    for target, trace in (("/a", "1" * 32), ("/a", "2" * 32), ("/%2e%2e", "3" * 32)):
        decide(world, asked(target=target, more=((b"traceparent", f"00-{trace}-{'4' * 16}-01".encode()),)))
    assert [request_line(one[5]).trace_id for one in world.journal.records] == ["1" * 32, "2" * 32, "3" * 32]
    assert world.journal.records[0][0] is world.journal.records[1][0]


@pytest.mark.parametrize("change", [{"address": "8.8.8.8\x01"}, {"token": "alice-token\x01"}])
def test_a_control_byte_in_what_is_compared_whole_is_answered_from_nothing_and_leaves_nothing(
    world, asked, change
) -> None:
    decide(world, asked())
    for _ in range(2):
        assert world.line.recall(asked(**change)) is None
        assert decide(world, asked(**change)).reply.reason == Reason.AMBIGUOUS_REQUEST


def test_hostile_bytes_in_an_unread_target_do_not_break_the_record(world, asked) -> None:
    request = replace(asked(), target=b'/\xff\x00\n"' * 400, method="G\u00e9T" * 9)
    decide(world, request)
    record = world.journal.records[0][5]
    assert len(record) < 2048
    assert record.count(b"\0") == 3


def test_an_account_id_cannot_become_a_header_of_its_own(world, asked) -> None:
    world.tokens.identities[b"alice-token"] = Identity("session", "valid", "a\r\nGateway-Access: full", 1, None, None)
    told = dict(decide(world, asked()).settled.told)
    assert told[b"gateway-account"] == b"a%0D%0AGateway-Access:%20full"


def test_an_edition_swapped_while_facts_were_gathered_does_not_stay_settled(world, asked) -> None:
    look_up = world.geo.look_up

    def swapped_meanwhile(geo_key, at):
        world.geo.generation += 1
        return look_up(geo_key, at)

    world.geo.look_up = swapped_meanwhile
    first = decide(world, asked())
    world.geo.look_up = look_up
    assert decide(world, asked(at=NOON + 1000)).settled is not first.settled


def test_operations_that_move_money_are_never_settled(world, asked) -> None:
    decide(world, asked("POST", "/api/v1/withdrawals"))
    assert all(key[1] is not Operation.WITHDRAW for key in world.line._settled)


class FakeDesk:
    """Holds what it is asked to hold, or is away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away, self.carried = away, []

    async def carry_out(self, errands):
        if self.away:
            raise StoreUnavailable("away")
        self.carried.append(errands)
        hold = started(frozenset({Operation.WITHDRAW}), errands.at, 3600 * SECOND, expeditable=True)
        done = open_ticket("T-AAAAAAAAAA", "alice", TicketKind.REVIEW, "cause", at=errands.at, hold=hold)
        return (Carried("cause", Outcome.DONE, done.ticket),)

    async def open_ticket_for(self, uid, operation):
        raise AssertionError((uid, operation))


HOLDING = """\
policy: holding
title: What holds
owner: tests
rules:
  - id: all
    grant: full
    when: status == "open"
  - id: hold
    limit: read_only
    when: country == "US"
    reason: unfamiliar-login
    basis: The tests
    on_refusal: [{hold: {operations: [withdraw], expires: 1h}}]
tests:
  - name: It holds
    facts: {status: open, country: US}
    operation: withdraw
    expect: {outcome: deny, by: [hold]}
"""


def holding(world, desk):
    world.line.adopt(load({"holding.yaml": HOLDING}, sources_configured=None))
    world.line._at_once = AtOnce(desk)
    return {"method": "POST", "target": "/api/v1/withdrawals", "address": "9.9.9.9"}


def test_a_refusal_that_holds_names_its_ticket_to_the_customer_and_in_the_record(world, asked) -> None:
    desk = FakeDesk()
    passage = decide(world, asked(**holding(world, desk)))
    until = NOON + 3600 * SECOND
    assert passage.reply.ticket == TicketTold("T-AAAAAAAAAA", until, ())
    reply = document(passage)["reply"]
    assert (reply["ticket_id"], reply["hold_until"]) == ("T-AAAAAAAAAA", instant_text(until))
    assert desk.carried[0].decision_id == passage.decision_id.decode(), "the ticket names the decision that opened it"
    assert world.journal.records[0][1] == uuid.UUID(passage.decision_id.decode()).bytes


def test_a_desk_that_is_away_changes_no_answer_and_the_record_still_asks(world, asked) -> None:
    passage = decide(world, asked(**holding(world, FakeDesk(away=True))))
    assert (passage.reply.status, passage.reply.reason, passage.reply.ticket) == (403, Reason.UNFAMILIAR_LOGIN, None)
    assert document(passage)["verdict"]["obligations"][0]["kind"] == "hold"
    assert "ticket_id" not in document(passage)["reply"]
    assert world.line._at_once.put_off == 1


def test_what_asks_for_nothing_asks_nobody(world, asked) -> None:
    desk = FakeDesk()
    wanted = holding(world, desk)
    assert decide(world, asked(**(wanted | {"address": "8.8.8.8"}))).reply.status == 200
    assert desk.carried == []


def overload(world, late=9.0):
    for _ in range(4):
        world.line.load.saw(late)


@pytest.mark.parametrize(
    ("request_of", "kind"),
    [
        (("GET", "/api/v1/balances"), Kind.LOOKS),
        (("POST", "/api/v1/deposits"), Kind.CHANGES),
        (("POST", "/api/v1/withdrawals"), Kind.MONEY),
    ],
)
def test_too_much_to_do_is_said_at_once_and_recorded_and_replays(world, asked, request_of, kind) -> None:
    overload(world)
    passage = decide(world, asked(*request_of))
    assert (passage.reply.status, passage.reply.reason, passage.reply.retry_after_s) == (503, Reason.OVERLOADED, 5)
    assert (world.tokens.asked, world.accounts.asked, world.geo.asked) == (0, 0, [])
    assert world.line.load.shed == {kind: 1}
    assert len(world.journal.records) == 1
    told = document(passage)
    assert told["client_ip"]["address"] == "8.8.8.8"
    assert told["unknown"]["status"] == {"why": "overloaded"}
    whole = {**told, "id": "x", "at": instant_text(NOON)}
    replayed = Replayer(lambda _: {"house.yaml": world.policy}).replay(whole)
    assert replayed.kind == "same", replayed.why


def test_what_was_settled_is_answered_however_much_there_is_to_do(world, asked) -> None:
    decide(world, asked())
    overload(world)
    assert decide(world, asked()).reply.status == 200
    assert not world.line.load.shed


def test_an_overload_is_over_when_it_is_over(world, asked) -> None:
    overload(world)
    assert decide(world, asked()).reply.status == 503
    world.line.load.saw(0)
    assert decide(world, asked()).reply.status == 200


def test_what_stays_open_is_decided_again_however_much_there_is_to_do(world, asked) -> None:
    overload(world)
    assert asyncio.run(world.line.decide(asked(), again=True)).reply.status == 200


def test_what_no_rule_opens_is_refused_for_good_in_an_overload_too(world, asked) -> None:
    world.line.adopt(load({"house.yaml": NOBODY_LOGS_IN}, sources_configured=None))
    overload(world)
    passage = decide(world, asked("POST", "/api/v1/withdrawals"))
    assert (passage.reply.status, passage.reply.reason) == (403, Reason.ACCOUNT_UNKNOWN)
    assert not world.line.load.shed


def test_what_was_decided_by_memory_says_so_and_is_not_kept(world, asked) -> None:
    gather = Gather(geo=world.geo, tokens=world.tokens, accounts=world.accounts, remembered_s={Kind.LOOKS: 10})
    world.line.gather = gather
    assert "account_remembered" not in document(decide(world, asked()))
    world.accounts.broken = True
    world.accounts.fresh = lambda at: at <= NOON + SECOND
    for _ in range(2):
        passage = decide(world, asked(at=NOON + 5 * SECOND))
        assert passage.reply.status == 200
        assert document(passage)["account_remembered"] is True
    assert world.accounts.asked == 3


async def test_a_disk_that_does_not_answer_makes_nobody_queue_up_for_it(world, asked) -> None:
    async def slow(position):
        world.clock.at += 2 * SECOND
        raise JournalUnavailable("not on the disk within 2 s")

    world.journal.durable = slow
    world.tokens.identities[b"alice-token"] = Identity("session", "valid", "alice", 2, NOON, None)
    began = world.clock.at
    for _ in range(9):
        passage = await world.line.decide(asked("POST", "/api/v1/withdrawals", at=world.clock.at))
        assert (passage.reply.status, passage.reply.reason) == (503, Reason.RECORD_UNAVAILABLE)
    assert world.clock.at - began == 5 * 2 * SECOND
    assert (world.line.disk.is_open, world.line.unrecorded) == (True, 9)


def test_every_answer_is_counted_with_the_time_it_took_from_memory_too(world, asked) -> None:
    for _ in range(3):
        decide(world, asked())
    decide(world, asked(target="/%2e%2e"))
    counted = dict(world.line.tallies.items())
    allowed, unread = Way("view", "allow", ""), Way("ambiguous", "deny", "ambiguous-request")
    assert {way: sum(tally[:TOOK]) for way, tally in counted.items()} == {allowed: 3, unread: 1}
    # `decide` has the clock seven microseconds later than the request: three bits.
    assert (counted[allowed][3], counted[allowed][TOOK]) == (3, 21)
