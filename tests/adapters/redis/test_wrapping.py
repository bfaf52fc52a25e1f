import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.redis.wrapping import LARGEST, Wrapping

SECRET = b"s" * 32
uids = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=255)
kinds = st.sampled_from([b"a", b"s"])
contents = st.binary(max_size=LARGEST - 33)


@pytest.fixture
def wrapping() -> Wrapping:
    return Wrapping(SECRET, "gateway")


@given(kinds, uids, contents)
def test_what_was_wrapped_is_unwrapped_as_it_was(kind: bytes, uid: str, content: bytes) -> None:
    wrapping = Wrapping(SECRET, "gateway")
    value = wrapping.wrapped(kind, uid, content)
    assert value is not None
    assert wrapping.unwrapped(kind, uid, value) == content


@given(uids, contents, st.data())
def test_one_bit_is_enough_to_be_no_longer_believed(uid: str, content: bytes, data: st.DataObject) -> None:
    wrapping = Wrapping(SECRET, "gateway")
    value = bytearray(wrapping.wrapped(b"a", uid, content) or b"")
    bit = data.draw(st.integers(0, 8 * len(value) - 1))
    value[bit // 8] ^= 1 << bit % 8
    assert wrapping.unwrapped(b"a", uid, bytes(value)) is None


@given(uids, contents, st.integers(0, LARGEST))
def test_what_was_cut_off_or_added_to_is_not_believed(uid: str, content: bytes, length: int) -> None:
    wrapping = Wrapping(SECRET, "gateway")
    value = wrapping.wrapped(b"a", uid, content)
    assert value is not None
    if length < len(value):
        assert wrapping.unwrapped(b"a", uid, value[:length]) is None
    assert wrapping.unwrapped(b"a", uid, value + b"x") is None


@given(uids, uids, contents)
def test_what_is_one_accounts_is_nobody_elses(one: str, other: str, content: bytes) -> None:
    wrapping = Wrapping(SECRET, "gateway")
    value = wrapping.wrapped(b"a", one, content)
    assert (wrapping.unwrapped(b"a", other, value) is None) is (one != other)
    assert wrapping.unwrapped(b"s", one, value) is None
    assert (wrapping.name(b"a", one) == wrapping.name(b"a", other)) is (one == other)


@pytest.mark.parametrize(
    "other", [Wrapping(b"t" * 32, "gateway"), Wrapping(SECRET, "staging")], ids=["another secret", "another prefix"]
)
def test_what_others_wrapped_is_not_believed(wrapping: Wrapping, other: Wrapping) -> None:
    assert wrapping.unwrapped(b"a", "alice", other.wrapped(b"a", "alice", b"{}")) is None
    assert wrapping.name(b"a", "alice") != other.name(b"a", "alice")


@pytest.mark.parametrize("value", [None, "text", 7, b"", b"1", b"2" + b"x" * 64, ["x"], b"1" + b"\0" * (2 * LARGEST)])
def test_what_is_no_snapshot_at_all_is_not_believed(wrapping: Wrapping, value: object) -> None:
    assert wrapping.unwrapped(b"a", "alice", value) is None


def test_another_version_is_not_believed(wrapping: Wrapping) -> None:
    value = wrapping.wrapped(b"a", "alice", b"{}")
    assert value is not None
    assert wrapping.unwrapped(b"a", "alice", b"0" + value[1:]) is None


def test_what_is_too_large_is_not_kept(wrapping: Wrapping) -> None:
    assert wrapping.wrapped(b"a", "alice", b"x" * (LARGEST - 33)) is not None
    assert wrapping.wrapped(b"a", "alice", b"x" * (LARGEST - 32)) is None


def test_a_name_says_nothing_of_whose_it_is(wrapping: Wrapping) -> None:
    name = wrapping.name(b"a", "alice@example.com")
    assert name.startswith(b"gateway:a:")
    assert b"alice" not in name
    assert len(name) == len(wrapping.name(b"a", "x" * 255))


def test_a_secret_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="has 31 bytes"):
        Wrapping(b"s" * 31, "gateway")
