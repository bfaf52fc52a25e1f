"""What is counted together is counted in one place, and nobody outside can make more of them."""

from gateway.core.reply import reply_to_ambiguous
from gateway.core.tallies import TOOK, Tallies, Way
from gateway.core.terms import Ambiguity


def test_equal_ways_share_a_tally_and_what_is_told_is_a_copy() -> None:
    tallies = Tallies()
    first = tallies.of(None, reply_to_ambiguous(Ambiguity.HOST))
    first[7] += 1
    first[TOOK] += 100
    assert tallies.of(None, reply_to_ambiguous(Ambiguity.METHOD)) is first
    ((way, tally),) = tallies.items()
    assert way == Way("ambiguous", "deny", "ambiguous-request")
    assert (tally[7], tally[TOOK], sum(tally[:TOOK])) == (1, 100, 1)
    tally[7] = 0
    assert first[7] == 1
