from gateway.core.events import EventProblem
from gateway.core.taking import Taken, Taking


def test_senders_read_these_words() -> None:
    assert [str(one) for one in Taking] == ["taken", "repeated", "problem"]


def test_an_event_that_is_taken_has_no_problem() -> None:
    assert Taken(Taking.TAKEN).problem is None
    problem = EventProblem("invalid-field", "at", "no instant", "e-1")
    assert Taken(Taking.PROBLEM, problem).problem == problem
