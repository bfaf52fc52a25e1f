from hypothesis import given
from hypothesis import strategies as st

from gateway.core.profile import FACTORS
from gateway.service import history_words as words
from gateway.service.history_words import Taken


def test_no_word_of_others_is_a_word_of_ours_with_another_meaning() -> None:
    assert not words.KEYS.keys() & set(words.KEYS.values())
    assert not words.GEO_KEYS.keys() & set(words.GEO_KEYS.values())
    assert not words.TYPES.keys() & set(words.TYPES.values())
    assert not words.SUCCEEDED & words.FAILED


def test_methods_of_others_are_factors_that_we_know() -> None:
    assert set(words.METHODS.values()) <= FACTORS
    assert [words.method(one) for one in ("TOTP", "security-key", "smoke signals")] == [
        "totp",
        "security_key",
        "smoke_signals",
    ]


def test_a_name_of_ours_counts_before_another_word_for_it() -> None:
    taken = Taken()

    assert taken.keys(1, {"account": "a", "user": "b"}, words.KEYS) == {"account": "a", "user": "b"}
    assert taken.first == {}


@given(st.none() | st.booleans() | st.integers() | st.floats() | st.text())
def test_an_outcome_is_known_only_by_its_word(said: object) -> None:
    assert words.outcome(said) in {True, False, None}


def test_what_is_told_is_bounded() -> None:
    taken = Taken()
    for number in range(1_000):
        taken.note(number, "outcome", f"{number}" * 1_000, "`failed`")

    assert len(taken.first) == 100
    assert max(map(len, taken.first)) < 80
