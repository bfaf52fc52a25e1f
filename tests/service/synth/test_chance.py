"""Draws are the same everywhere, and have the shapes that they are named for."""

import math
from random import Random
from statistics import fmean, median, pvariance

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.service.synth.chance import Chance, exp, log

DRAWS = 20_000
GOLDEN = (0.5185223376565515, 2.31361472629012, 0.8348633870631565, "b6289fde")
"""The first draws of one thing under seed 7."""


@given(st.floats(1e-300, 1e300))
def test_the_logarithm_is_the_logarithm(x: float) -> None:
    assert log(x) == pytest.approx(math.log(x), rel=1e-13, abs=1e-14)


@given(st.floats(-600, 600))
def test_the_exponential_is_the_exponential(x: float) -> None:
    assert exp(x) == pytest.approx(math.exp(x), rel=1e-12)


def test_the_exponential_of_the_impossible_is_bounded() -> None:
    assert 0.0 < exp(-1e9) < exp(1e9) < math.inf


def test_a_seed_and_a_path_give_the_same_draws_on_every_machine() -> None:
    chance = Chance.of(7, "person", 12)

    assert (chance.random(), chance.normal(), chance.gamma(0.75), chance.hex(8)) == GOLDEN


def test_another_path_gives_other_draws() -> None:
    assert (
        Chance.of(7, "person", 1).random() != Chance.of(7, "person", 2).random() != Chance.of(8, "person", 2).random()
    )


def test_shapes_have_their_means() -> None:
    chance = Chance(Random(5))
    normals = [chance.normal() for _ in range(DRAWS)]

    assert fmean(normals) == pytest.approx(0.0, abs=0.03)
    assert pvariance(normals) == pytest.approx(1.0, rel=0.05)
    assert fmean(chance.gamma(0.75) for _ in range(DRAWS)) == pytest.approx(0.75, rel=0.05)
    assert fmean(chance.gamma(3.0) for _ in range(DRAWS)) == pytest.approx(3.0, rel=0.05)
    assert fmean(chance.beta(1.6, 2.4) for _ in range(DRAWS)) == pytest.approx(0.4, rel=0.05)
    assert fmean(chance.exponential(4.0) for _ in range(DRAWS)) == pytest.approx(4.0, rel=0.05)
    assert fmean(chance.poisson(1.6) for _ in range(DRAWS)) == pytest.approx(1.6, rel=0.05)
    assert median(chance.lognormal(6.7, 0.7) for _ in range(DRAWS)) == pytest.approx(6.7, rel=0.05)


def test_choices_are_as_likely_as_their_weights_say() -> None:
    chance = Chance(Random(5))
    drawn = [chance.weighted("abc", (1.0, 0.0, 3.0)) for _ in range(DRAWS)]

    assert drawn.count("c") / DRAWS == pytest.approx(0.75, abs=0.02)
    assert "b" not in drawn
    assert {chance.below(3) for _ in range(100)} == {0, 1, 2}
    assert {chance.pick("xy") for _ in range(100)} == {"x", "y"}
    assert all(2.0 <= chance.between(2.0, 3.0) < 3.0 for _ in range(100))
    assert not chance.odds(0.0)
    assert chance.odds(1.0)
