"""A refusal that went through a proxy as one header is the refusal that it was, and nothing else passes for one."""

import base64

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.reply import Reply, TicketTold
from gateway.core.terms import Access, Ambiguity, Operation, Proof, Reason
from gateway.core.verdict import Challenge
from gateway.enforce.carried_reply import packed, unpacked

DECISION = "0197f5f0-0000-7000-8000-000000000000"
WORDS = st.text(max_size=60)
REPLIES = st.builds(
    Reply,
    status=st.sampled_from([400, 401, 403, 451, 503]),
    reason=st.none() | st.sampled_from(Reason),
    title=WORDS,
    detail=WORDS,
    operation=st.none() | st.sampled_from(Operation),
    access=st.sampled_from(Access),
    allowed_operations=st.lists(st.sampled_from(Operation), max_size=4).map(tuple),
    challenge=st.none() | st.builds(Challenge, st.sampled_from(Proof), st.none() | st.integers(0, 10**6)),
    retry_after_s=st.none() | st.integers(0, 600),
    message=st.none() | WORDS,
    ambiguity=st.none() | st.sampled_from(Ambiguity),
    ticket=st.none()
    | st.builds(TicketTold, WORDS, st.none() | st.integers(0, 2**53), st.lists(WORDS, max_size=3).map(tuple)),
)


@given(REPLIES)
def test_what_is_packed_is_unpacked(reply):
    assert unpacked(packed(reply, DECISION.encode())) == (reply, DECISION)


@given(st.binary(max_size=400))
def test_what_was_not_packed_is_nothing(value):
    assert unpacked(value) is None


@pytest.mark.parametrize(
    "changed", [{"status": 200}, {"id": "x"}, {"retry_after_s": True}, {"retry_after_s": "5"}, {"reason": "made-up"}]
)
def test_a_value_that_was_changed_is_nothing(changed):
    told = orjson.loads(base64.urlsafe_b64decode(packed(REPLY, DECISION.encode())))
    assert unpacked(base64.urlsafe_b64encode(orjson.dumps(told))) is not None
    assert unpacked(base64.urlsafe_b64encode(orjson.dumps(told | changed))) is None


REPLY = Reply(403, Reason.HOLD, "On hold", "…", Operation.WITHDRAW, Access.FULL, (Operation.VIEW,))


def test_the_longest_texts_fit_the_head_of_an_answer():
    reply = REPLY._replace(detail="\N{GRINNING FACE}" * 4000, message="x" * 4000)
    assert unpacked(packed(reply, DECISION.encode())) is not None
