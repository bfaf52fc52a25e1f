import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters import revocations
from gateway.core.sessions import Standing, session_digest, standing

SID = session_digest("s-1")
LISTS = st.lists(
    st.tuples(st.sampled_from(["", SID, session_digest("s-2")]), st.integers(0, 9), st.sampled_from([None, 0, 1, 2])),
    max_size=6,
)


@pytest.mark.parametrize(
    ("revoked", "left"),
    [
        ([], Standing()),
        ([(SID, 10, None)], Standing(over=True)),
        ([("", 10, None)], Standing(over=True)),
        ([(session_digest("another"), 10, None)], Standing()),
        ([("", 5, None)], Standing()),
        ([(SID, 5, 1)], Standing()),
        ([(SID, 1, None)], Standing(over=True)),
        ([(SID, 6, 1), ("", 9, 2)], Standing(level=1)),
        ([(SID, 6, 1), ("", 9, None)], Standing(over=True)),
        ([(session_digest("jti-1"), 10, None)], Standing(over=True)),
    ],
)
def test_what_is_left_of_a_session_that_began_at_five(revoked, left) -> None:
    assert standing(revoked, ("s-1", "jti-1"), 5) == left


@given(LISTS)
def test_not_knowing_when_a_session_began_never_leaves_more_of_it(revoked) -> None:
    unknown = standing(revoked, ("s-1",), None)
    for began in range(10):
        known = standing(revoked, ("s-1",), began)
        assert unknown.over or not known.over
        if not unknown.over and known.level is not None:
            assert unknown.level is not None
            assert unknown.level <= known.level


@given(LISTS, LISTS)
def test_another_revocation_never_leaves_more(revoked, more) -> None:
    before, after = standing(revoked, ("s-1",), 5), standing([*revoked, *more], ("s-1",), 5)
    assert after.over or not before.over
    if not after.over and before.level is not None:
        assert after.level <= before.level


def test_the_store_keeps_sessions_by_the_same_digest() -> None:
    assert revocations.session_digest("s-é") == session_digest("s-é")
