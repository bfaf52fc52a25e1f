import pytest

from gateway.ports import Count, Step
from gateway.service.overview import GROUPS, overview, step_for

HOUR = 3_600_000_000
DAY = 24 * HOUR
COUNTS = [
    Count(DAY, "withdraw", "deny", "hold", "PT", "ab" * 32, 2),
    Count(DAY + HOUR, "withdraw", "allow", None, None, "ab" * 32, 5),
    Count(2 * DAY, "view", "allow", None, "PT", "cd" * 32, 1),
]


def test_nothing_is_counted_as_nothing() -> None:
    assert overview([], ["outcome", "hour"]) == {"decisions": 0, "by": {"outcome": {}, "hour": {}}}


def test_each_group_adds_up_to_all() -> None:
    found = overview(COUNTS)

    assert found["decisions"] == 8
    assert set(found["by"]) == set(GROUPS)
    assert {name: sum(group.values()) for name, group in found["by"].items()} == dict.fromkeys(GROUPS, 8)


def test_the_largest_comes_first_and_time_in_its_own_order() -> None:
    by = overview(reversed(COUNTS))["by"]

    assert list(by["outcome"].items()) == [("allow", 6), ("deny", 2)]
    assert list(by["reason"].items()) == [("-", 6), ("hold", 2)]
    assert list(by["country"].items()) == [("-", 5), ("PT", 3)]
    assert list(by["day"].items()) == [("1970-01-02", 7), ("1970-01-03", 1)]
    assert list(by["hour"].items()) == [
        ("1970-01-02T00:00Z", 2),
        ("1970-01-02T01:00Z", 5),
        ("1970-01-03T00:00Z", 1),
    ]
    assert list(by["bundle"].items()) == [("abababababab", 7), ("cdcdcdcdcdcd", 1)]


@pytest.mark.parametrize(
    ("groups", "step"),
    [(GROUPS, Step.HOUR), (["day", "reason"], Step.DAY), (["reason", "bundle"], Step.ALL), ([], Step.ALL)],
)
def test_counts_are_asked_for_the_longest_time_that_answers(groups, step) -> None:
    assert step_for(groups) is step
