from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.sla import Side, Word, due_at, is_overdue, unanswered_since

DAY_S = 86_400
DAY = DAY_S * 1_000_000
WORDS = st.lists(st.builds(Word, st.integers(0, 50), st.sampled_from(Side)), max_size=8)


def test_time_runs_from_the_first_word_that_nobody_answered() -> None:
    words = [Word(1, Side.CUSTOMER), Word(2, Side.US), Word(5, Side.CUSTOMER), Word(9, Side.CUSTOMER)]
    assert unanswered_since(words) == 5
    assert due_at(words, DAY_S) == 5 + DAY
    assert not is_overdue(words, DAY_S, 5 + DAY)
    assert is_overdue(words, DAY_S, 6 + DAY)


def test_no_time_runs_while_we_wait_for_the_customer() -> None:
    words = [Word(1, Side.CUSTOMER), Word(2, Side.US)]
    assert (unanswered_since(words), due_at(words, DAY_S), is_overdue(words, DAY_S, 10**15)) == (None, None, False)
    assert due_at([], DAY_S) is None


@given(WORDS, st.integers(0, 50))
def test_writing_again_never_moves_anybody_back(words: list[Word], at: int) -> None:
    before = unanswered_since(words)
    after = unanswered_since([*words, Word(at, Side.CUSTOMER)])
    assert after is None or before is None or after <= before


@given(WORDS)
def test_the_order_in_which_words_are_listed_never_matters(words: list[Word]) -> None:
    assert unanswered_since(reversed(words)) == unanswered_since(words)


@given(WORDS)
def test_an_answer_pauses_what_is_owed(words: list[Word]) -> None:
    assert unanswered_since([*words, Word(51, Side.US)]) is None
