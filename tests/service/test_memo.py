from hypothesis import given
from hypothesis import strategies as st

from gateway.service.memo import Memo


@given(st.lists(st.integers()), st.integers(1, 8))
def test_a_memo_never_outgrows_its_limit_and_keeps_the_latest(keys: list[int], limit: int) -> None:
    memo: Memo[int, int] = Memo(limit)
    for key in keys:
        assert memo.keep(key, -key) == -key
        assert len(memo) <= limit
        assert memo[key] == -key
