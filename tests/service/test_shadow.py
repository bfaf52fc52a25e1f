import pytest

from gateway.adapters.archive.alike import HeldMoment
from gateway.service import shadow as module
from gateway.service.shadow import OTHERS, Shadow
from tests.recorded import AT, HOUR, bundle, facts, limit, recorded

DAY = 24 * HOUR
NOTHING = bundle()
US = bundle(limit("us", 'country == "US"'))


def moment(*some, made_by=NOTHING):
    return HeldMoment.of(recorded(some, made_by))


async def test_divergences_are_counted_by_outcomes_and_rule() -> None:
    shadow = Shadow(US, AT)
    await shadow.take(moment(facts(country="US"), facts(country="US", account="bob"), facts()), AT + 1)
    told = shadow.to_json()
    assert told["decisions"] == 3
    assert told["divergences"] == [{"from": "allow", "to": "deny", "rule": "p/us", "decisions": 2}]
    assert told["simulation"]["by_country"]["US"]["refused"]["accounts"] == 2
    assert "2 would have another outcome" in told["text"]


async def test_what_was_answered_before_it_began_is_left_alone() -> None:
    shadow = Shadow(US, AT)
    await shadow.take(moment(facts(country="US", at=AT - 1), facts(country="US")), AT + 1)
    assert shadow.to_json()["decisions"] == 1


async def test_what_comes_later_is_added() -> None:
    shadow = Shadow(US, AT)
    for _ in range(3):
        await shadow.take(moment(facts(country="US")), AT + 1)
    assert shadow.to_json()["divergences"][0]["decisions"] == 3


async def test_a_date_of_the_candidate_counts_when_it_comes_though_it_was_far_away() -> None:
    shadow = Shadow(bundle(limit("later", "True", ", in_force: {from: 2025-11-26}")), AT)
    await shadow.take(moment(facts()), AT + 1)
    assert shadow.to_json()["divergences"] == []
    late = AT + 6 * DAY
    await shadow.take(moment(facts(at=late)), late)
    assert shadow.to_json()["decisions"] == 2
    assert shadow.to_json()["divergences"][0]["rule"] == "p/later"


async def test_kinds_of_divergence_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_SERIES", 1)
    shadow = Shadow(bundle(limit("us", 'country == "US"'), limit("fr", 'country == "FR"')), AT)
    for country in ("US", "FR", "US"):
        await shadow.take(moment(facts(country=country)), AT + 1)
    found = {one["rule"]: one["decisions"] for one in shadow.to_json()["divergences"]}
    assert found == {"p/us": 2, OTHERS: 1}
