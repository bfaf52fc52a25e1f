from gateway.service.lookback import Row, alone, look_back
from tests.recorded import AT, HOUR, bundle, facts, limit, moments, recorded

WINDOW = (AT - HOUR, AT + HOUR)
DATED = bundle(limit("us", 'country == "US"', ", in_force: {from: 2030-01-01}"), limit("every", "True"))
RULE = next(one for one in DATED.rules if one.id == "us")


async def as_then(some):
    return [None] * len(some)


async def run(some, made_by=None, refresh=as_then, **more):
    rows: list[Row] = []
    stretch = recorded(some, made_by or bundle())
    found = await look_back(moments(stretch), RULE, DATED, WINDOW, refresh, write=rows.extend, **more)
    return found, rows


async def test_a_rule_is_looked_at_alone_and_as_if_it_had_always_been_in_force() -> None:
    found, rows = await run([facts(country="US"), facts(), facts(country="US", account="bob")])
    assert (found.then.decisions, found.then.flipped) == (3, 2)
    assert [(row.account, row.country, row.answered, row.then, row.now) for row in rows] == [
        ("alice", "US", "allow", "deny", "deny"),
        ("bob", "US", "allow", "deny", "deny"),
    ]
    assert found.to_json()["then"]["refused"]["accounts"] == 2


async def test_its_dates_count_where_somebody_asks_for_them() -> None:
    found, rows = await run([facts(country="US")], dated=True)
    assert (found.then.flipped, rows) == (0, [])
    assert "none that it would have refused" in found.text()


async def test_what_was_refused_then_is_found_too_and_says_so() -> None:
    found, rows = await run([facts(country="US")], made_by=bundle(limit("other", "True")))
    assert found.answered == {"deny": 1}
    assert rows[0].answered == "deny"
    assert "then they were answered: deny 1" in found.text()


async def test_the_data_of_now_stands_beside_that_of_the_day() -> None:
    async def moved(some):
        return [{"country": "DE" if one.account == "alice" else "US"} for one in some]

    found, rows = await run([facts(country="US"), facts(account="bob")], refresh=moved)
    assert [(row.account, row.then, row.now) for row in rows] == [("alice", "deny", "allow"), ("bob", "allow", "deny")]
    assert (found.then.flipped, found.now.flipped) == (1, 1)
    assert "by what is known now" in found.text()


async def test_decisions_of_one_ruling_are_told_apart_where_the_rule_tells_them() -> None:
    fresh = bundle("{id: us, require: {for: [withdraw], proof: mfa, max_age: 5m}, when: true, reason: hold, basis: b}")
    rule = next(one for one in fresh.rules if one.id == "us")
    stretch = recorded([facts(), facts(auth_age=900)], bundle())
    rows: list[Row] = []
    found = await look_back(moments(stretch), rule, fresh, WINDOW, as_then, write=rows.extend)
    assert [(row.then, row.now) for row in rows] == [("challenge", "challenge")]
    assert found.then.directions["challenged"].decisions == 1


def test_a_rule_alone_keeps_its_lists_and_loses_its_dates() -> None:
    (granting, kept) = sorted(alone(RULE, DATED).rules, key=lambda one: one.id)
    assert (granting.id, kept.id, kept.start) == ("everything", "us", None)
    assert any(one.start == RULE.start for one in alone(RULE, DATED, dated=True).rules)
