import asyncio

import pytest

from gateway.core.client_ip import ClientIP, How
from gateway.core.credential import Conflicting, Presented
from gateway.core.errors import StoreUnavailable
from gateway.core.facts import OneOf, Unknown
from gateway.core.failing import Kind
from gateway.core.sessions import session_digest
from gateway.core.terms import Operation, WhyUnknown
from gateway.ports import Identity, Revocation
from gateway.service.gather import Gather
from gateway.service.withdrawn import WithdrawnToday

HERE = ClientIP("8.8.8.8", How.PEER, geo_key="8.8.8.8")
ALICE = Presented("session", b"alice-token")
SECOND = 1_000_000
NOON = 1_700_000_000 * SECOND


def gather(world, presented=ALICE, *, at=NOON, client_ip=HERE, fresh=False):
    return asyncio.run(world.line.gather(at, Operation.VIEW, client_ip, presented, fresh=fresh))


def test_a_customer_has_the_facts_of_address_credential_and_account(world) -> None:
    facts = gather(world).facts
    assert (facts.country, facts.asn, facts.token, facts.account) == ("DE", 64500, "valid", "alice")
    assert (facts.status, facts.documents, facts.auth_age) == ("open", frozenset({"PT"}), 1)


def test_nobody_signed_in_is_knowledge(world) -> None:
    facts = gather(world, None).facts
    assert (facts.token, facts.account, facts.status, facts.documents) == ("absent", None, "none", frozenset())
    assert world.accounts.asked == 0


def test_an_unresolved_address_makes_the_connection_unknown(world) -> None:
    facts = gather(world, client_ip=ClientIP(None, How.UNRESOLVED)).facts
    assert facts.country == Unknown(WhyUnknown.ADDRESS_UNRESOLVED)


def test_what_was_withdrawn_within_a_day_is_known_where_somebody_adds_it_up(world) -> None:
    class Withdrawals:
        async def amount_usd(self, uid: str, after: int, until: int) -> float:
            return 12.5

    assert gather(world).facts.withdrawn_today_usd == Unknown(WhyUnknown.NOT_CONFIGURED)
    world.line.gather = Gather(
        geo=world.geo, tokens=world.tokens, accounts=world.accounts, withdrawn_today=WithdrawnToday(Withdrawals())
    )
    told = asyncio.run(world.line.gather(NOON, Operation.WITHDRAW, HERE, ALICE, fresh=True))
    assert told.facts.withdrawn_today_usd == 12.5
    assert gather(world).facts.withdrawn_today_usd is None


def test_two_credentials_prove_nothing(world) -> None:
    facts = gather(world, Conflicting("a cookie and a bearer token")).facts
    assert (facts.token, facts.account) == ("invalid", None)
    assert world.tokens.asked == 0


def test_a_store_that_does_not_answer_makes_the_account_unknown(world) -> None:
    world.accounts.broken = True
    facts = gather(world).facts
    assert facts.account == "alice"
    assert facts.status == facts.holds == facts.documents == Unknown(WhyUnknown.STORE_UNAVAILABLE)


def test_a_customer_whom_the_store_does_not_know_has_unknown_standing(world) -> None:
    world.tokens.identities[b"alice-token"] = Identity("session", "valid", "mallory", 1, None, None)
    assert gather(world).facts.status == Unknown(WhyUnknown.NO_ACCOUNT)


def test_keys_that_cannot_be_had_make_the_account_unknown(world) -> None:
    away = Unknown(WhyUnknown.KEYS_UNAVAILABLE)
    world.tokens.identities[b"alice-token"] = Identity("session", away, away, away, away, None)
    facts = gather(world).facts
    assert facts.account == facts.status == facts.auth_age == facts.assurance == away


def test_a_snapshot_is_used_until_any_account_changes(world) -> None:
    for expected in (1, 1):
        gather(world)
        assert world.accounts.asked == expected
    world.accounts.generation += 1
    gather(world)
    assert world.accounts.asked == 2


def test_a_snapshot_is_not_used_for_money_or_when_the_store_has_not_been_heard(world) -> None:
    gather(world)
    gather(world, fresh=True)
    assert world.accounts.asked == 2
    world.accounts.heard = False
    gather(world)
    assert world.accounts.asked == 3


class FakeSnapshots:
    """What lies elsewhere: like the store's, but for the status and the revocations."""

    def __init__(self, accounts) -> None:
        self.accounts, self.asked = accounts, []

    async def read(self, uid):
        self.asked.append("account")
        return (await self.accounts.read(uid))._replace(status="flagged")

    async def of(self, uid):
        self.asked.append("sessions")
        return ()


def test_snapshots_stand_in_for_the_store_but_for_money_and_where_it_was_not_heard_from(world) -> None:
    world.tokens.identities[b"alice-token"] = Identity(
        "session", "valid", "alice", 2, NOON - SECOND, None, "s", "j", NOON
    )
    snapshots, revocations = FakeSnapshots(world.accounts), FakeRevocations()
    ask = Gather(
        geo=world.geo, tokens=world.tokens, accounts=world.accounts, revocations=revocations, snapshots=snapshots
    )

    def status(*, fresh=False):
        return asyncio.run(ask(NOON, Operation.VIEW, HERE, ALICE, fresh=fresh)).facts.status

    assert status() == "flagged"
    assert (snapshots.asked, revocations.asked) == (["sessions", "account"], 0)
    assert status(fresh=True) == "open"
    # What the store itself said is remembered as well.
    assert status() == "open"
    world.accounts.generation += 1
    world.accounts.heard = False
    assert status() == "open"
    assert snapshots.asked == ["sessions", "account"]
    assert revocations.asked == 2
    world.accounts.heard = True
    world.accounts.generation += 1
    assert status() == "flagged"


def test_facts_hold_no_longer_than_the_credential(world) -> None:
    world.tokens.identities[b"alice-token"] = Identity("session", "valid", "alice", 2, None, NOON + 5)
    assert gather(world).until == NOON + 5


def test_a_proof_from_the_future_is_a_proof_of_now(world) -> None:
    world.tokens.identities[b"alice-token"] = Identity("session", "valid", "alice", 2, NOON + 9 * SECOND, None)
    assert gather(world).facts.auth_age == 0


class FakeRevocations:
    def __init__(self, *found, broken=False) -> None:
        self.found, self.broken, self.asked = found, broken, 0

    async def of(self, uid):
        assert uid == "alice"
        self.asked += 1
        if self.broken:
            raise StoreUnavailable("away")
        return self.found


def gather_with(world, revocations, *, fresh=False, session="s-1"):
    world.tokens.identities[b"alice-token"] = Identity(
        "session", "valid", "alice", 2, NOON - SECOND, None, session, "jti-1", NOON - SECOND
    )
    gather = Gather(geo=world.geo, tokens=world.tokens, accounts=world.accounts, revocations=revocations)

    def ask():
        return asyncio.run(gather(NOON, Operation.VIEW, HERE, ALICE, fresh=fresh)).facts

    return ask


def test_a_session_that_was_ended_proves_nothing(world) -> None:
    for one in (
        Revocation(session_digest("s-1"), NOON, None),
        Revocation("", NOON, None),
        Revocation(session_digest("jti-1"), NOON, None),
    ):
        facts = gather_with(world, FakeRevocations(one))()
        assert (facts.token, facts.account, facts.status) == ("invalid", None, "none")


def test_a_session_that_began_later_goes_on(world) -> None:
    facts = gather_with(world, FakeRevocations(Revocation("", NOON - SECOND, None)))()
    assert (facts.token, facts.account) == ("valid", "alice")


def test_a_session_may_count_for_less(world) -> None:
    facts = gather_with(world, FakeRevocations(Revocation("", NOON, 1)))()
    assert (facts.token, facts.assurance) == ("valid", 1)
    assert gather_with(world, FakeRevocations(Revocation("", NOON, 3)))().assurance == 2


def test_whether_a_session_was_ended_is_asked_again_once_anything_changed(world) -> None:
    revocations = FakeRevocations()
    ask = gather_with(world, revocations)
    ask()
    ask()
    assert revocations.asked == 1
    revocations.found = (Revocation("", NOON, None),)
    world.accounts.generation += 1
    assert ask().token == "invalid"
    assert revocations.asked == 2
    world.accounts.heard = False
    ask()
    assert revocations.asked == 3, "who has not heard from the store cannot rely on its memory"


def test_what_moves_money_asks_the_store_itself(world) -> None:
    revocations = FakeRevocations()
    ask = gather_with(world, revocations, fresh=True)
    ask()
    ask()
    assert revocations.asked == 2


def test_a_session_of_which_nobody_can_say_whether_it_was_ended_is_uncertain(world) -> None:
    facts = gather_with(world, FakeRevocations(broken=True))()
    away = WhyUnknown.STORE_UNAVAILABLE
    assert facts.token == facts.assurance == facts.status == Unknown(away)
    assert facts.account == OneOf(away, frozenset({"alice", None})), "the record says whose it may be"


def remembering(world, **remembered):
    seconds = {Kind(name): one for name, one in remembered.items()}
    gather = Gather(geo=world.geo, tokens=world.tokens, accounts=world.accounts, remembered_s=seconds)

    def ask(operation=Operation.VIEW, at=NOON, fresh=False):
        return asyncio.run(gather(at, operation, HERE, ALICE, fresh=fresh))

    return ask


def fall_silent(world):
    """The store is silent from noon on: the feed vouches for a second more, as the real one does."""
    world.accounts.broken = True
    world.accounts.fresh = lambda at: at <= NOON + SECOND


def test_a_silent_store_is_stood_in_for_by_memory_only_for_the_stated_time(world) -> None:
    ask = remembering(world, looks=10, changes=5)
    assert not ask().remembered
    fall_silent(world)
    told = ask(at=NOON + 11 * SECOND)
    assert (told.facts.status, told.remembered) == ("open", True)
    assert ask(at=NOON + 11 * SECOND + 1).facts.status == Unknown(WhyUnknown.STORE_UNAVAILABLE)
    assert ask(Operation.SECURITY, at=NOON + 6 * SECOND).facts.status == "open"
    assert ask(Operation.SECURITY, at=NOON + 7 * SECOND).facts.status == Unknown(WhyUnknown.STORE_UNAVAILABLE)


def test_memory_never_stands_in_for_money_for_a_changed_account_or_unasked(world) -> None:
    unasked, ask = remembering(world), remembering(world, looks=30, changes=30)
    for one in (unasked, ask):
        one()
    fall_silent(world)
    away = Unknown(WhyUnknown.STORE_UNAVAILABLE)
    assert unasked(at=NOON + 2 * SECOND).facts.status == away
    assert ask(Operation.WITHDRAW, at=NOON + 2 * SECOND, fresh=True).facts.status == away
    world.accounts.generation += 1
    assert ask(at=NOON + 2 * SECOND).facts.status == away


def test_a_session_that_was_not_over_stays_so_while_memory_stands_in(world) -> None:
    world.tokens.identities[b"alice-token"] = Identity("session", "valid", "alice", 2, NOON, None, "s-1", "j", NOON)
    revocations = FakeRevocations()
    gather = Gather(
        geo=world.geo,
        tokens=world.tokens,
        accounts=world.accounts,
        revocations=revocations,
        remembered_s={Kind.LOOKS: 10},
    )

    def ask(at):
        return asyncio.run(gather(at, Operation.VIEW, HERE, ALICE, fresh=False)).facts

    ask(NOON)
    fall_silent(world)
    revocations.broken = True
    assert (ask(NOON + 5 * SECOND).token, ask(NOON + 5 * SECOND).status) == ("valid", "open")
    assert ask(NOON + 20 * SECOND).token == Unknown(WhyUnknown.STORE_UNAVAILABLE)


@pytest.mark.parametrize("remembered", [{Kind.MONEY: 1}, {Kind.LOOKS: 31}, {Kind.CHANGES: -1}])
def test_what_memory_may_never_do_cannot_be_built(world, remembered) -> None:
    with pytest.raises(ValueError, match="nothing that moves money relies on memory"):
        Gather(geo=world.geo, tokens=world.tokens, accounts=world.accounts, remembered_s=remembered)
