"""What a simulation counts, by example; that it counts all is proved in `tests/contract/test_simulation.py`."""

import pytest

from gateway.adapters.archive.alike import HeldMoment
from gateway.core.pseudonyms import Pseudonyms
from gateway.policies.simulate import Weigher
from gateway.policies.simulated import NOTHING_GRANTED
from gateway.ports import ruling_digest
from gateway.service import simulation as module
from gateway.service.digested import digested
from gateway.service.simulation import UNREADABLE, Walk, simulate
from tests.recorded import AT, HOUR, bundle, facts, limit, moments, recorded, ruling

WINDOW = {"since": AT - HOUR, "until": AT + HOUR}
NOTHING = bundle()
US = bundle(limit("us", 'country == "US"'))


async def test_flips_are_counted_by_rule_country_operation_and_status() -> None:
    some = [
        facts(country="US", account=name, amount_usd=amount) for name, amount in (("a", 10), ("a", 2.5), ("b", None))
    ]
    found = await simulate(moments(recorded([*some, facts()], NOTHING)), US, **WINDOW)
    assert (found.decisions, found.flipped, found.share) == (4, 3, 0.75)
    told = found.to_json()
    for place in (
        told["refused"],
        told["by_rule"]["p/us"]["refused"],
        told["by_country"]["US"]["refused"],
        told["by_operation"]["withdraw"]["refused"],
        told["by_status"]["open"]["refused"],
    ):
        counted = (place["decisions"], place["accounts"], place["withdrawals"], place["usd"])
        assert counted == (3, 2, 3, 12.5)
        assert place["withdrawals_of_known_amount"] == 2
        assert len(place["samples"]) == 3


async def test_what_is_let_in_is_told_by_what_refused_it() -> None:
    found = await simulate(moments(recorded([facts(country="US")], US)), NOTHING, **WINDOW)
    assert found.to_json()["by_rule"]["p/us"]["allowed"]["decisions"] == 1


async def test_where_nothing_grants_any_more_that_stands_in_the_place_of_a_rule() -> None:
    candidate = bundle()
    candidate = type(candidate)([candidate.policies[0]._replace(rules=())], {}, {}, "")
    found = await simulate(moments(recorded([facts()], NOTHING)), candidate, **WINDOW)
    assert list(found.tables["rule"]) == [NOTHING_GRANTED]


async def test_another_reason_is_no_flip_and_is_told_apart() -> None:
    other = bundle(limit("other", 'country == "US"'))
    found = await simulate(moments(recorded([facts(country="US")], US)), other, **WINDOW)
    assert (found.flipped, found.directions["reason"].decisions) == (0, 1)


async def test_against_a_bundle_what_was_answered_does_not_count() -> None:
    found = await simulate(moments(recorded([facts(country="US")], NOTHING)), US, against=US, **WINDOW)
    assert (found.decisions, found.flipped) == (1, 0)


async def test_only_what_was_made_in_time_is_weighed() -> None:
    some = [facts(country="US", at=at) for at in (AT - 1, AT, AT + 1, AT + 2)]
    found = await simulate(moments(recorded(some, NOTHING)), US, since=AT, until=AT + 2)
    assert (found.decisions, found.flipped) == (2, 2)


async def test_what_cannot_be_read_is_left_out_and_said() -> None:
    stretch = recorded([facts()], NOTHING)
    for document in (b"no JSON", ruling(facts(), NOTHING).replace(b'"country"', b'"contry"')):
        broken = stretch._replace(
            rulings={ruling_digest(document): document},
            decisions=[stretch.decisions[0]._replace(ruling=ruling_digest(document))],
        )
        found = await simulate(moments(broken), US, **WINDOW)
        assert (found.decisions, found.left_out) == (0, {UNREADABLE: 1})


async def test_what_is_known_now_moves_decisions_to_another_country() -> None:
    async def refresh(some):
        return [{"country": "US"}] * len(some)

    found = await simulate(moments(recorded([facts(), facts(country="US")], NOTHING)), US, refresh=refresh, **WINDOW)
    assert (found.flipped, found.moved) == (2, {("DE", "US"): 1})
    assert found.to_json()["moved"] == [{"from": "DE", "to": "US", "decisions": 1}]
    assert "DE → US: 1" in found.text()


async def test_an_exception_holds_for_an_account_that_was_replaced_by_its_digest() -> None:
    pseudonyms = Pseudonyms(b"a key of thirty-two bytes, or so.")
    candidate = bundle(limit("r", 'account == "alice"'))
    stretch = digested(recorded([facts(), facts(account="bob")], NOTHING), pseudonyms)
    found = await simulate(moments(stretch), candidate, digests={pseudonyms.account("alice"): "alice"}, **WINDOW)
    assert (found.decisions, found.flipped) == (2, 1)


async def test_more_varieties_than_are_remembered_are_counted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_VARIETIES", 2)
    countries = ("US", "DE", "PT", "US", "FR", "US")
    stretches = [recorded([facts(country=one)], NOTHING) for one in countries]
    found = await simulate(moments(*stretches), US, **WINDOW)
    assert (found.decisions, found.flipped) == (6, 3)


async def test_each_distinct_fact_is_weighed_once() -> None:
    some = [facts(account=f"a{number}", asn=number, auth_age=number) for number in range(50)]
    walk = Walk(Weigher(US, None, AT - HOUR, AT + HOUR), AT - HOUR, AT + HOUR)
    moment = HeldMoment.of(recorded(some, NOTHING))
    async for ones in moment.alike(AT - HOUR, AT + HOUR):
        await walk.weigh(moment, ones)
    assert (walk.decisions, walk.varieties) == (50, 1)


async def test_who_waits_is_told_how_far_it_is() -> None:
    told: list[int] = []
    await simulate(moments(recorded([facts()], NOTHING), recorded([facts()], NOTHING)), US, told=told.append, **WINDOW)
    assert told == [1, 2]
