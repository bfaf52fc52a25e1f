import asyncio

import orjson
import pytest

from gateway.core.errors import StoreUnavailable
from gateway.core.facts import Facts
from gateway.core.obligations import Errands, Notify, OpenTicket, SetFlag
from gateway.core.reply import TicketTold
from gateway.core.terms import Operation
from gateway.core.verdict import RuleRef
from gateway.desk.hold import started
from gateway.desk.kinds import TicketKind
from gateway.desk.ticket import open_ticket
from gateway.ports import Carried, Outcome, RecordedDecision, Stretch
from gateway.service.errands import AtOnce, Carrier, wanted

DAY = 86_400_000_000
AT = 1_763_700_000_000_000
HELD = frozenset({Operation.WITHDRAW})
RULE, OTHER = RuleRef("odd", "a"), RuleRef("odd", "b")
FACTS = Facts(AT, Operation.WITHDRAW, account="alice")


def ticket(name: str = "T-AAAAAAAAAA", *, length: int | None = DAY, operations=HELD):
    hold = started(operations, AT, length, expeditable=True)
    return open_ticket(name, "alice", TicketKind.UNFAMILIAR_LOGIN, name, at=AT, hold=hold).ticket


def asked(rule=RULE, *, about="", **more):
    return OpenTicket("alice", f"cause-{rule.rule}", rule, "unfamiliar_login", HELD, about=about, **more)


class FakeDesk:
    """Carries out everything, or nothing."""

    def __init__(self, *, fault: Exception | None = None, hangs: bool = False, there=None) -> None:
        self.fault, self.hangs, self.there = fault, hangs, there
        self.carried: list[Errands] = []
        self.asked = 0

    async def carry_out(self, errands: Errands) -> tuple[Carried, ...]:
        if self.hangs:
            await asyncio.Event().wait()
        if self.fault is not None:
            raise self.fault
        self.carried.append(errands)
        return tuple(Carried(one.cause, Outcome.DONE) for one in errands.todo)

    async def open_ticket_for(self, uid: str, operation: str):
        self.asked += 1
        if self.fault is not None:
            raise self.fault
        return self.there


def errands(*todo, at: int = AT) -> Errands:
    return Errands("d-1", at, tuple(todo), ())


@pytest.mark.parametrize(
    "desk", [FakeDesk(hangs=True), FakeDesk(fault=StoreUnavailable("away")), FakeDesk(fault=RuntimeError("ours"))]
)
async def test_what_the_store_does_not_take_in_time_is_put_off_and_counted(desk) -> None:
    at_once = AtOnce(desk, within_s=0.01)
    assert await at_once.carry_out(errands(asked()), FACTS) == ()
    assert at_once.put_off == 1


async def test_nothing_to_do_asks_nobody() -> None:
    desk = FakeDesk(fault=RuntimeError("asked"))
    assert await AtOnce(desk).carry_out(errands(), FACTS) == ()


async def test_the_reply_names_the_ticket_that_lasts_longest_of_those_that_hold_the_operation() -> None:
    short, long = ticket("T-SHORT"), ticket("T-LONG", length=3 * DAY)
    other = ticket("T-OTHER", length=None, operations=frozenset({Operation.VIEW}))
    carried = [Carried("c", Outcome.DONE, one) for one in (short, long, other)]
    told = await AtOnce(FakeDesk()).ticket(carried, FACTS)
    assert told == TicketTold("T-LONG", AT + 3 * DAY, ("selfie_with_document", "signed_note"))


async def test_a_ticket_that_people_closed_is_not_what_the_customer_waits_for() -> None:
    closed = Carried("c", Outcome.SETTLED, ticket()._replace(closed_at=AT))
    assert await AtOnce(FakeDesk()).ticket([closed], FACTS) is None


async def test_an_older_hold_is_told_with_its_ticket() -> None:
    desk = FakeDesk(there=ticket("T-OLDER", length=None))
    held = FACTS._replace(holds=frozenset({"withdraw"}))
    assert await AtOnce(desk).ticket((), held) == TicketTold("T-OLDER", None, ("selfie_with_document", "signed_note"))
    assert await AtOnce(desk).ticket((), FACTS) is None
    assert desk.asked == 1, "where nothing holds the operation, nobody is asked"
    assert await AtOnce(FakeDesk(fault=StoreUnavailable("away"))).ticket((), held) is None


def test_several_rules_that_ask_for_one_hold_make_one_ticket_about_most() -> None:
    flag = SetFlag("alice", "f", RULE, "odd")
    notice = Notify("alice", "n", RULE, "odd")
    more = asked(OTHER, about="network=1,device=2")
    assert wanted(errands(flag, asked(about="device=2"), more, notice), ()).todo == (flag, more, notice)
    assert wanted(errands(more, asked(about="device=2")), ()).todo == (more,), "in whatever order they come"


def test_what_differs_in_what_it_holds_or_asks_for_is_not_merged() -> None:
    different = (
        asked(), asked(OTHER, length=DAY), asked(OTHER, evidence=("signed_note",)),
        asked(OTHER)._replace(operations=frozenset({Operation.TRANSFER})),
        asked(OTHER, length=DAY, expeditable=False),
    )  # fmt: skip
    assert wanted(errands(*different), ()).todo == different


def test_what_is_held_already_makes_no_ticket_for_every_new_destination() -> None:
    flag, work = SetFlag("alice", "f", RULE, "odd"), asked()._replace(operations=frozenset())
    todo = errands(flag, work, asked(OTHER, about="destination=7"))
    assert wanted(todo, ("withdraw", "view")).todo == (flag, work)
    assert wanted(todo, ("transfer",)).todo == todo.todo


async def test_the_record_is_read_with_the_holds_that_the_decision_was_made_on() -> None:
    duty = {"kind": "hold", "value": "withdraw"}
    held = orjson.loads(ruling(duty))
    held["facts"]["holds"] = ["withdraw"]
    rulings = {b"held": orjson.dumps(held), b"open": ruling(duty)}
    desk = FakeDesk()
    assert await Carrier(desk).carry(Stretch("w", 0, 0, 1, rulings, [decision(1, b"held"), decision(2, b"open")])) == 1
    assert desk.carried[0].decision_id.endswith("2")


def ruling(*duties: dict, account: str = "alice") -> bytes:
    verdict = {
        "obligations": [{"policy": "odd", "rule": "a", "evidence": [], "expires_s": None, **one} for one in duties]
    }
    return orjson.dumps({"facts": {"account": account}, "verdict": verdict})


def decision(number: int, name: bytes, *, at: int = AT) -> RecordedDecision:
    return RecordedDecision(number.to_bytes(16, "big"), at, 5, None, b"", name)


async def test_what_is_recorded_is_carried_out_once_a_day_however_often_it_was_answered() -> None:
    desk = FakeDesk()
    rulings = {
        b"plain": ruling(),
        b"flagged": ruling({"kind": "flag", "value": "odd"}),
        b"unread": orjson.dumps({"facts": None, "verdict": None}),
    }
    made = [decision(number, name) for number, name in enumerate([b"plain", b"unread", *[b"flagged"] * 5])]
    stretch = Stretch("w", 0, 0, 1, rulings, [*made, decision(9, b"flagged", at=AT + DAY)])
    assert await Carrier(desk).carry(stretch) == 2
    assert [one.at for one in desk.carried] == [AT, AT + DAY], "evidence over days counts days"
    assert desk.carried[0].decision_id == "00000000-0000-0000-0000-000000000002"


async def test_a_ruling_that_nobody_can_read_keeps_no_other_from_being_carried_out() -> None:
    desk = FakeDesk()
    rulings = {b"bad": b'{"verdict":{"obligations":[{"kind":1}]}}', b"good": ruling({"kind": "flag", "value": "odd"})}
    carrier = Carrier(desk)
    assert await carrier.carry(Stretch("w", 0, 0, 1, rulings, [decision(1, b"bad"), decision(2, b"good")])) == 1
    assert carrier.unreadable == 1


async def test_a_store_that_is_away_leaves_the_stretch_to_be_carried_again() -> None:
    rulings = {b"flagged": ruling({"kind": "flag", "value": "odd"})}
    with pytest.raises(StoreUnavailable):
        await Carrier(FakeDesk(fault=StoreUnavailable("away"))).carry(
            Stretch("w", 0, 0, 1, rulings, [decision(1, b"flagged")])
        )
