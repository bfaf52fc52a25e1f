from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.evidence import Evidence
from gateway.desk.kinds import TicketKind
from gateway.desk.lifecycle import TicketState
from gateway.desk.sla import Side, Word, due_at, is_overdue, ticket_due_at, unanswered_since
from tests.desk.test_record import BARE

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


OPEN = BARE._replace(
    state=TicketState.OPEN,
    kind=TicketKind.UNFAMILIAR_LOGIN,
    evidence_required=("selfie_with_document", "signed_note"),
    since=2,
    opened_at=1,
)


def with_pieces(*pieces: tuple[str, int]) -> tuple[Evidence, ...]:
    return tuple(Evidence(f"{kind}-{at}", kind, at, "Ben") for kind, at in pieces)


def test_a_ticket_owes_an_answer_from_the_piece_that_left_nothing_missing() -> None:
    assert ticket_due_at(OPEN) is None
    half = OPEN._replace(evidence=with_pieces(("signed_note", 5)))
    assert ticket_due_at(half) is None
    whole = OPEN._replace(
        state=TicketState.EVIDENCED,
        evidence=with_pieces(("other", 9), ("selfie_with_document", 7), ("signed_note", 5), ("signed_note", 1)),
    )
    assert ticket_due_at(whole) == 7 + DAY
    assert ticket_due_at(whole, [Word(8, Side.US)]) is None
    assert ticket_due_at(whole, [Word(8, Side.US), Word(9, Side.CUSTOMER)]) == 9 + DAY


def test_a_ticket_that_asks_for_nothing_owes_an_answer_from_its_beginning_and_a_closed_one_none() -> None:
    review = OPEN._replace(kind=TicketKind.REVIEW, evidence_required=(), state=TicketState.EVIDENCED)
    assert ticket_due_at(review) == 1 + 3 * DAY
    assert ticket_due_at(review._replace(state=TicketState.RELEASED), [Word(9, Side.CUSTOMER)]) is None
