import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.sketch import Sketch

KEYS = st.integers(1, (1 << 64) - 1)


@given(st.lists(st.tuples(KEYS, st.floats(0.1, 100)), max_size=60))
def test_a_sketch_never_tells_less_than_was_added(added: list[tuple[int, float]]) -> None:
    sketch = Sketch(16)
    for key, weight in added:
        sketch.add([key], weight)

    for key, _ in added:
        assert sketch.weight(key) >= sum(weight for one, weight in added if one == key) * (1 - 1e-9)


def test_a_key_that_was_never_added_weighs_nothing_in_a_wide_sketch() -> None:
    sketch = Sketch(1 << 12)
    sketch.add([0x1234_5678_9ABC_DEF0], 2.0)

    assert sketch.weight(0x1234_5678_9ABC_DEF0) == 2.0
    assert sketch.weight(0x0FED_CBA9_8765_4321) == 0.0


@pytest.mark.parametrize("width", [0, 1, 3, 1 << 22])
def test_a_width_that_bits_cannot_index_is_refused(width: int) -> None:
    with pytest.raises(ValueError, match="power of two"):
        Sketch(width)
