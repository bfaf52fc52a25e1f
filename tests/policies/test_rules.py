from dataclasses import replace

from gateway.core.terms import EVERYTHING, Effect
from gateway.policies.expression import ALWAYS
from gateway.policies.findings import Place
from gateway.policies.rules import NamedList, Rule
from gateway.policies.schema import Kind

RULE = Rule("p", "r", Effect.GRANT, EVERYTHING, ALWAYS, "True")


def test_a_rule_is_named_by_its_policy_and_id():
    assert RULE.ref == ("p", "r")


def test_a_rule_is_in_force_from_its_start_until_before_its_end():
    dated = replace(RULE, start=10, end=20)
    assert [at for at in (9, 10, 19, 20) if dated.in_force(at)] == [10, 19]
    assert replace(RULE, start=10).in_force(10**18)
    assert replace(RULE, end=20).in_force(-(10**18))
    assert RULE.in_force(0)


def test_where_a_rule_stands_is_no_part_of_what_it_says():
    assert replace(RULE, place=Place("elsewhere", 3, 4)) == RULE


def test_conditions_write_a_hyphen_as_an_underscore():
    found = NamedList("far-away", Kind.COUNTRY, "t", "s", "d", frozenset(), Place("f", 1, 1))
    assert found.key == "far_away"
