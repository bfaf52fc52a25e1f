"""An alarm on record is the alarm that was raised, and it names what did it by what can be looked at."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.alarms import (
    HOUR,
    LONGEST_WHO,
    LONGEST_WHY,
    Acknowledgement,
    Alarm,
    Band,
    Dimension,
    KeptAlarm,
    RuleShare,
    Tally,
    changed_texts,
    from_json,
    rule_shares,
    to_json,
    unfit,
)

AT = 1_763_946_000_000_000
"""2025-11-24T01:00Z."""
ALARM = Alarm(
    hour=AT,
    dimension=Dimension.COUNTRY,
    value="FR",
    rose=True,
    tally=Tally(90, 100),
    band=Band(0.02, 0.0, 0.099),
    mostly=((Dimension.REASON, "jurisdiction-blocked", 90), (Dimension.OPERATION, "withdraw", 60)),
    bundles=("b" * 64,),
)
KEPT = KeptAlarm(ALARM, AT + HOUR)


def refusal(*rules: str) -> dict:
    return {"verdict": {"by": [dict(zip(("policy", "rule"), one.split("/"), strict=True)) for one in rules]}}


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({}, "20251124T01-country-FR-rose"),
        ({"rose": False}, "20251124T01-country-FR-fell"),
        ({"value": None}, "20251124T01-country-uncertain-rose"),
        ({"hour": AT + HOUR}, "20251124T02-country-FR-rose"),
        ({"dimension": Dimension.OPERATION, "value": "trade.spot"}, "20251124T01-operation-trade.spot-rose"),
        ({"dimension": Dimension.REASON, "value": "a/../b c"}, "20251124T01-reason-a~..~b-c-rose"),
        ({"dimension": Dimension.RULE, "value": "a-b/c"}, "20251124T01-rule-a-b~c-rose"),
        ({"dimension": Dimension.RULE, "value": "a/b-c"}, "20251124T01-rule-a~b-c-rose"),
    ],
)
def test_an_alarm_is_called_by_its_hour_its_cause_and_its_direction(change: dict, name: str) -> None:
    assert ALARM._replace(**change).id == name


def test_an_alarm_says_the_rules_and_the_files_behind_it() -> None:
    share = RuleShare("us-exit/us-closed", 187, 200, 3, 150)
    text = ALARM._replace(rules=(share,), policies=("policies/us.yaml",), editions=("city 2025-11-24",)).text()
    assert text.startswith("country FR, hour from 2025-11-24T01:00Z; 90 of 100 refused (90.0%); usually 2.0%")
    assert (
        "; rule us-exit/us-closed determined 187 of the newest 200, usually 3 of 150; bundle bbbbbbbbbbbb is new; "
        in text
    )
    assert text.endswith("policies/us.yaml changed with it; edition city 2025-11-24 is new")
    assert share._replace(of_usually=0).text().endswith("none to compare with")


def test_a_day_is_told_from_its_first_hour() -> None:
    day = ALARM._replace(hours=24)
    assert "24 hours from 2025-11-23T02:00Z" in day.text()
    assert to_json(KEPT._replace(alarm=day))["start"] == "2025-11-23T02:00:00.000000Z"


values = st.none() | st.text(max_size=20)
rates = st.floats(0, 1)
counts = st.integers(0, 10**9)
instants = st.integers(0, 4 * 10**15)
shares = st.builds(RuleShare, st.text(max_size=20), counts, counts, counts, counts)
alarms = st.builds(
    Alarm,
    hour=st.integers(24, 10**6).map(lambda number: number * HOUR),
    dimension=st.sampled_from(Dimension),
    value=values,
    rose=st.booleans(),
    tally=st.builds(Tally, counts, st.integers(1, 10**9)),
    band=st.builds(Band, rates, rates, rates),
    mostly=st.lists(st.tuples(st.sampled_from(Dimension), values, counts), max_size=2).map(tuple),
    bundles=st.lists(st.text(max_size=64), max_size=2).map(tuple),
    hours=st.sampled_from([1, 24]),
    editions=st.lists(st.text(max_size=20), max_size=2).map(tuple),
    rules=st.lists(shares, max_size=3).map(tuple),
    policies=st.lists(st.text(max_size=20), max_size=3).map(tuple),
)
kept_alarms = st.builds(
    KeptAlarm,
    alarms,
    instants,
    st.none() | instants,
    st.none() | st.builds(Acknowledgement, st.text(max_size=20), st.text(max_size=20), instants),
)


@given(kept_alarms)
def test_what_is_read_back_is_what_was_kept(kept: KeptAlarm) -> None:
    document = json.loads(json.dumps(to_json(kept)))
    assert from_json(document) == kept
    assert document["id"] == kept.alarm.id
    assert document["open"] is (kept.ended is None)


@pytest.mark.parametrize(
    "change",
    [
        {"by": "asn"},
        {"value": 1},
        {"hours": -1},
        {"hours": True},
        {"start": "2025-11-24T01:00:00"},
        {"start": 7},
        {"refused": "many"},
        {"usual": "often"},
        {"rules": [{"rule": "a/b"}]},
        {"rules": [{"rule": "a/b", "now": "1", "of": 1, "usually": 1, "of_usually": 1}]},
        {"bundles": [1]},
        {"mostly": ["x"]},
        {"opened_at": None},
        {"ended": "yesterday"},
        {"acknowledged": {"who": "ben"}},
        {"acknowledged": {"who": 1, "why": "x", "at": "2025-11-24T01:00:00Z"}},
    ],
)
def test_what_is_no_alarm_is_not_read_as_one(change: dict) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        from_json(to_json(KEPT) | change)


def test_rules_are_named_by_their_share_now_and_usually() -> None:
    now = [refusal("us-exit/us-closed")] * 180 + [refusal("holds/hold", "us-exit/us-closed")] * 20
    usual = [refusal("holds/hold")] * 40 + [refusal("us-exit/us-closed")] * 10
    assert rule_shares(now, usual, rose=True) == (
        RuleShare("us-exit/us-closed", 200, 200, 10, 50),
        RuleShare("holds/hold", 20, 200, 40, 50),
    )


def test_where_refusals_fell_what_usually_did_them_comes_first() -> None:
    usual = [refusal("a/gone")] * 100 + [refusal("b/stays")] * 20
    shares = rule_shares([refusal("b/stays")] * 20, usual, rose=False)
    assert [(one.rule, one.now, one.usually) for one in shares] == [("a/gone", 0, 100), ("b/stays", 20, 20)]
    assert rule_shares([], usual, rose=False)[0] == RuleShare("a/gone", 0, 0, 100, 120)


def test_at_most_three_rules_are_named_and_none_of_a_tenth_or_less() -> None:
    now = [refusal(f"p/r{number}") for number in range(5) for _ in range(19)] + [refusal("p/rare")] * 5
    shares = rule_shares(now, [], rose=True)
    assert len(shares) == 3
    assert "p/rare" not in {one.rule for one in shares}
    assert {one.of_usually for one in shares} == {0}


def test_what_no_rule_determined_names_none() -> None:
    assert rule_shares([{"verdict": None}, {"verdict": {"by": []}}, {}], [], rose=True) == ()


@given(st.lists(st.sampled_from(["a/x", "a/y", "b/z"])), st.lists(st.sampled_from(["a/x", "a/y"])), st.booleans())
def test_the_order_of_refusals_never_matters(now: list[str], usual: list[str], rose: bool) -> None:
    there, then = [refusal(one) for one in now], [refusal(one) for one in usual]
    assert rule_shares(there, then, rose=rose) == rule_shares(there[::-1], then[::-1], rose=rose)


def test_a_changed_text_is_one_that_is_new_gone_or_different() -> None:
    before, after = {"a": "1", "b": "1", "c": "1"}, {"b": "2", "c": "1", "d": "1"}
    assert changed_texts(before, after) == ("a", "b", "d")
    assert changed_texts(after, after) == ()


@pytest.mark.parametrize(
    ("who", "why", "fits"),
    [
        ("ben", "the new list, as announced", True),
        ("ben", "known", False),
        ("ben", " " * 20, False),
        ("ben", "two\nlines of a reason", False),
        ("ben", "x" * LONGEST_WHY, True),
        ("ben", "x" * (LONGEST_WHY + 1), False),
        ("", "the new list, as announced", False),
        (" ", "the new list, as announced", False),
        ("b\0n", "the new list, as announced", False),
        ("x" * (LONGEST_WHO + 1), "the new list, as announced", False),
    ],
)
def test_an_acknowledgement_says_who_and_why(who: str, why: str, fits: bool) -> None:
    assert (unfit(who, why) is None) is fits
