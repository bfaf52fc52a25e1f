"""What an alarm says of the rules, the policies and the editions behind it, and that it is never held up by them."""

from collections.abc import Sequence

import pytest

from gateway.adapters.archive.memory import MemoryArchive
from gateway.core.alarms import HOUR, Alarm, Band, Dimension, RuleShare, Tally
from gateway.core.errors import ReplayError, StoreUnavailable
from gateway.core.search import Page, Search
from gateway.service.causes import LOOKED_UP, SAMPLE, Causes, no_texts
from tests.contract.stretches import decision, ruling, stretch
from tests.traffic import WithRules

NOW = 1_763_946_000_000_000
WEEK = 168 * HOUR
OLD, NEW = "a" * 64, "b" * 64


class Asked(MemoryArchive):
    """An archive that notes what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[tuple[Search, int]] = []

    async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
        self.asked.append((search, limit))
        return await super().search(search, limit=limit, cursor=cursor)


@pytest.fixture
def archive() -> Asked:
    return Asked()


async def recorded(archive: MemoryArchive, start: int, count: int, **more) -> None:
    """Take `count` decisions of one kind, made a second apart from `start` on."""
    document = ruling(**more)
    first = 1_000_000 * len(archive._decisions)
    made = [decision(first + n, document, start + n * 1_000_000) for n in range(count)]
    await archive.take(stretch(made, [document], end=first + count))


def alarm(dimension: str = "country", value: str | None = "FR", *, hours: int = 1, rose: bool = True, **more) -> Alarm:
    band = Band(0.02, 0.0, 0.1)
    return Alarm(NOW, Dimension(dimension), value, rose, Tally(90, 100), band, (), (), hours)._replace(**more)


async def rules(archive: MemoryArchive, one: Alarm) -> Sequence[RuleShare]:
    (found,) = await Causes(archive, no_texts).found([one])
    return found.rules


async def test_the_rules_of_the_newest_refusals_stand_beside_those_of_the_week_before(archive: Asked) -> None:
    await recorded(archive, NOW, 30, country="FR", rules=["fr/closed"])
    await recorded(archive, NOW, 5, country="DE", rules=["de/closed"])
    await recorded(archive, NOW, 5, country="FR", outcome="allow", reason=None, rules=["fr/closed"])
    await recorded(archive, NOW - WEEK - HOUR, 2, country="FR", rules=["holds/hold"])
    await recorded(archive, NOW - WEEK + HOUR, 2, country="FR", rules=["fr/closed"])
    await recorded(archive, NOW - WEEK + 2 * HOUR, 9, country="FR", rules=["later/later"])
    assert await rules(archive, alarm()) == (RuleShare("fr/closed", 30, 30, 2, 4), RuleShare("holds/hold", 0, 30, 2, 4))


async def test_of_a_rule_those_are_named_that_determined_its_refusals_with_it(archive: Asked) -> None:
    await recorded(archive, NOW, 3, rules=["fr/closed", "holds/hold"])
    await recorded(archive, NOW, 4, rules=["holds/hold"])
    await recorded(archive, NOW - WEEK, 2, rules=["fr/closed"])
    one = alarm()._replace(dimension=WithRules.RULE, value="fr/closed")
    assert await rules(archive, one) == (RuleShare("holds/hold", 3, 3, 0, 2),)


async def test_without_refusals_a_week_before_the_day_before_is_compared_with(archive: Asked) -> None:
    await recorded(archive, NOW, 3, country="FR", rules=["fr/closed"])
    assert await rules(archive, alarm()) == (RuleShare("fr/closed", 3, 3, 0, 0),)
    await recorded(archive, NOW - 24 * HOUR, 4, country="FR", rules=["fr/closed"])
    assert await rules(archive, alarm()) == (RuleShare("fr/closed", 3, 3, 4, 4),)


async def test_a_day_is_compared_with_the_same_day_a_week_before(archive: Asked) -> None:
    await recorded(archive, NOW - 23 * HOUR, 3, country="FR", rules=["fr/closed"])
    await recorded(archive, NOW - 24 * HOUR, 3, country="FR", rules=["too/early"])
    await recorded(archive, NOW - WEEK - 23 * HOUR, 2, country="FR", rules=["holds/hold"])
    found = await rules(archive, alarm(hours=24))
    assert found == (RuleShare("fr/closed", 3, 3, 0, 2), RuleShare("holds/hold", 0, 3, 2, 2))


async def test_an_uncertain_country_is_looked_up_as_it_is_counted(archive: Asked) -> None:
    await recorded(archive, NOW, 3, country="FR", rules=["fr/closed"])
    await recorded(archive, NOW, 4, country=["FR", "BE"], rules=["maybe/closed"])
    await recorded(archive, NOW, 1, operation=None, ambiguous={"why": "host", "detail": ""})
    assert await rules(archive, alarm()) == (RuleShare("fr/closed", 3, 3, 0, 0),)
    assert await rules(archive, alarm(value=None)) == (RuleShare("maybe/closed", 4, 5, 0, 0),)


@pytest.mark.parametrize(("dimension", "value"), [("reason", "hold"), ("operation", "login")])
async def test_a_reason_and_an_operation_have_rules_too(archive: Asked, dimension: str, value: str) -> None:
    await recorded(archive, NOW, 3, **{dimension: value}, rules=["a/b"])
    await recorded(archive, NOW, 3, rules=["c/d"])
    assert await rules(archive, alarm(dimension, value)) == (RuleShare("a/b", 3, 3, 0, 0),)


async def test_no_more_is_looked_at_than_the_newest(archive: Asked) -> None:
    await recorded(archive, NOW, SAMPLE, country="FR", rules=["fr/early"])
    await recorded(archive, NOW + HOUR // 2, SAMPLE, country="FR", rules=["fr/late"])
    assert await rules(archive, alarm()) == (RuleShare("fr/late", SAMPLE, SAMPLE, 0, 0),)
    assert {limit for search, limit in archive.asked if search.outcome} == {SAMPLE}


async def test_of_many_alarms_those_with_most_refusals_are_looked_up(archive: Asked) -> None:
    await recorded(archive, NOW, 1, country="FR")
    many = [alarm(value=f"C{number}", tally=Tally(number, 1000)) for number in range(100)]
    found = await Causes(archive, no_texts).found([*many, alarm(tally=Tally(999, 1000))])
    assert len(found) == 101
    assert found[-1].rules
    looked_up = {search.country for search, _ in archive.asked if search.outcome}
    assert looked_up == {"FR", *(f"C{number}" for number in range(100 - LOOKED_UP + 1, 100))}


async def test_what_a_new_bundle_changed_is_named(archive: Asked) -> None:
    texts = {OLD: {"policies/a.yaml": "1", "policies/b.yaml": "1"}, NEW: {"policies/a.yaml": "2", "c.yaml": "1"}}
    (found,) = await Causes(archive, texts.get).found([alarm(bundles=(NEW,))], lambda _: OLD)
    assert found.policies == ("c.yaml", "policies/a.yaml", "policies/b.yaml")
    (found,) = await Causes(archive, texts.get).found([alarm(bundles=(NEW,))], lambda _: None)
    assert found.policies == ()
    (found,) = await Causes(archive, texts.get).found([alarm()], lambda _: OLD)
    assert found.policies == (), "no bundle is new"
    (found,) = await Causes(archive, no_texts).found([alarm(bundles=(NEW,))], lambda _: OLD)
    assert found.policies == ()


async def test_at_most_five_files_are_named(archive: Asked) -> None:
    texts = {OLD: {}, NEW: {f"{number}.yaml": "" for number in range(9)}}
    (found,) = await Causes(archive, texts.get).found([alarm(bundles=(NEW,))], lambda _: OLD)
    assert len(found.policies) == 5


async def test_a_new_edition_is_named(archive: Asked) -> None:
    await recorded(archive, NOW - 5 * HOUR, 1, editions=["city 1", "asn 1"])
    await recorded(archive, NOW, 1, editions=["city 2", "asn 1"])
    (found,) = await Causes(archive, no_texts).found([alarm()])
    assert found.editions == ("city 2",)


async def test_a_fault_leaves_out_what_it_hides_and_not_the_alarm(archive: Asked) -> None:
    class Away(MemoryArchive):
        async def search(self, search: Search, *, limit: int = 50, cursor: str | None = None) -> Page:
            raise StoreUnavailable("gone")

    def altered(digest: str) -> None:
        raise ReplayError("altered")

    one = alarm(bundles=(NEW,))
    assert await Causes(Away(), altered).found([one], lambda _: OLD) == [one]
