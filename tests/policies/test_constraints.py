"""How far facts settled in part are from what is required of them, and that no way on loses a solution."""

from itertools import combinations, product
from random import Random

import pytest

from gateway.policies.constraints import (
    ALWAYS,
    NEVER,
    Certainty,
    Every,
    Meets,
    Member,
    Option,
    Related,
    Some,
    Weight,
    Within,
    bits,
    every,
    leaves,
    some,
)


def test_a_fact_is_within_a_mask_as_far_as_its_values_are() -> None:
    state = {"f": Option(0b011)}
    assert Within("f", 0b011).weigh(state) is Weight.HOLDS
    assert Within("f", 0b001).weigh(state) is Weight.OPEN
    assert Within("f", 0b001, possibly=True).weigh(state) is Weight.SEEMS
    assert Within("f", 0b100).weigh(state) is Weight.FAILS
    assert Within("f", 0b001).ways(state) == [{"f": Option(0b001)}]


def test_what_has_to_be_certain_is_not_possibly_so() -> None:
    assert Within("f", 0b001, possibly=True).weigh({"f": Option(0b011, certain=True)}) is Weight.OPEN


def test_a_set_that_has_to_have_a_member_cannot_lose_the_last() -> None:
    state = {"s": Option(0b11, frozenset({0b01}))}
    assert Meets("s", 0b01).weigh(state) is Weight.HOLDS
    assert Meets("s", 0b01, wanted=False).weigh(state) is Weight.FAILS
    assert Meets("s", 0b10, wanted=False).ways(state) == [{"s": Option(0b01, frozenset({0b01}))}]


def test_conjunction_and_disjunction_leave_out_what_is_so_anyway() -> None:
    leaf = Within("f", 1)
    assert every([ALWAYS, leaf]) == leaf
    assert every([NEVER, leaf]) == NEVER
    assert some([NEVER, leaf]) == leaf
    assert some([ALWAYS, leaf]) == ALWAYS
    assert Every(()).weigh({}) is Weight.HOLDS
    assert Some(()).weigh({}) is Weight.FAILS
    assert list(leaves(Every((leaf, Some((leaf, leaf)))))) == [leaf] * 3


SETS = [frozenset(one) for size in (0, 1, 2, 3) for one in combinations((1, 2, 4), size)]
FAMILIES = [frozenset(one) for size in (1, 2) for one in combinations(SETS, size)]


def holds(
    leaf: Within | Meets | Member | Related | Certainty, value: int, other: int, family: frozenset[frozenset[int]]
) -> bool:
    """Return whether a comparison is so of possible values (a mask) and possible sets, tried one by one."""
    match leaf:
        case Within(_, mask, possibly):
            answers = {bool(bit & mask) for bit in bits(value)}
        case Meets(_, mask, wanted, possibly):
            answers = {any(bit & mask for bit in one) is wanted for one in family}
        case Member(_, _, _, wanted, possibly):
            answers = {(bit in one) is wanted for bit, one in product(bits(value), family)}
        case Related(fact, second, relation, possibly):
            there = value if second == fact else other
            answers = {bool(relation[a.bit_length() - 1] & b) for a, b in product(bits(value), bits(there))}
        case Certainty(_, wanted, _):
            return (value.bit_count() == 1) is wanted
    return True in answers if possibly else False not in answers


@pytest.mark.parametrize("seed", range(150))
def test_every_solution_of_a_state_is_in_one_of_the_ways_on(seed: int) -> None:
    rng = Random(seed)
    value, family = rng.randint(1, 7), rng.choice(FAMILIES)
    upper = {"f": value | rng.randint(1, 7), "s": sum({bit for one in family for bit in one}) | rng.randint(0, 7)}
    through = frozenset(
        mask for mask in (1, 2, 4, 3, 6) if all(any(bit & mask for bit in one) for one in family) and rng.random() < 0.4
    )
    other = rng.randint(1, 7)
    state = {"f": Option(upper["f"]), "g": Option(other | rng.randint(1, 7)), "s": Option(upper["s"], through)}
    wanted, possibly = rng.random() < 0.5, rng.random() < 0.5
    for leaf in (
        Within("f", rng.randint(1, 6), possibly),
        Meets("s", rng.randint(1, 7), wanted, possibly),
        Member("f", "s", 0, wanted, possibly),
        Related("f", rng.choice("fg"), tuple(rng.randint(0, 7) for _ in range(3)), possibly),
    ):
        weight = leaf.weigh(state)
        if not holds(leaf, value, other, family):
            assert weight is not Weight.HOLDS, leaf
            continue
        assert weight is not Weight.FAILS, leaf
        if weight is Weight.OPEN:
            assert any(within(value, other, family, way) for way in leaf.ways(state)), leaf


def within(value: int, other: int, family: frozenset[frozenset[int]], state: object) -> bool:
    assert isinstance(state, dict)
    fact, held = state["f"], state["s"]
    members = sum({bit for one in family for bit in one})
    through = all(any(bit & mask for bit in one) for mask in held.through for one in family)
    return value & ~fact.upper == 0 == other & ~state["g"].upper and members & ~held.upper == 0 and through


def test_a_fact_compared_with_another_is_made_certain_value_by_value() -> None:
    ways = Certainty("f", wanted=True, each=True).ways({"f": Option(0b101)})
    assert [one["f"] for one in ways] == [Option(0b001, certain=True), Option(0b100, certain=True)]
    assert Certainty("f", wanted=False, each=True).weigh(ways[0]) is Weight.FAILS
