import re
import uuid

from hypothesis import given
from hypothesis import strategies as st

from gateway.service.ids import DecisionIds


@given(st.integers(0, (1 << 48) * 1000 - 1))
def test_an_id_is_a_uuid_of_version_7_that_says_when(at: int) -> None:
    raw, text = DecisionIds().draw(at)
    parsed = uuid.UUID(text.decode())
    assert parsed.bytes == raw
    assert parsed.version == 7
    assert parsed.variant == uuid.RFC_4122
    assert parsed.int >> 80 == at // 1000


def test_ids_do_not_repeat_within_a_millisecond() -> None:
    ids = DecisionIds()
    drawn = {ids.draw(1_700_000_000_000_000)[1].decode() for _ in range(20_000)}
    assert len(drawn) == 20_000
    assert all(
        re.fullmatch(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", one) for one in drawn
    )


def test_two_processes_draw_different_ids() -> None:
    assert DecisionIds().draw(0) != DecisionIds().draw(0)
