import pytest

from gateway.adapters.everyone_bytes import Copy, unpacked
from gateway.core.everyone import Global
from gateway.core.login import LEVELS, Digests, login_of

AT = 1_763_700_000_000_000
DIGESTS = Digests(b"the key of these tests")


def counted(logins: int) -> Global:
    everyone = Global(1 << 8)
    for number in range(logins):
        login = login_of(
            DIGESTS, AT + number,
            ip=f"81.2.{number % 7}.1", agent="curl/8", device=f"d{number % 5}", country="PT", asn=3243,
        )  # fmt: skip
        everyone.observe(login)
    return everyone


def test_counts_are_the_same_after_a_journey_through_bytes() -> None:
    before = counted(300)
    after = unpacked(Copy(before).packed())
    assert (after.seen, after.total) == (before.seen, before.total)
    login = login_of(DIGESTS, AT, ip="81.2.3.1", agent="curl/8", device="d2", country="PT", asn=3243)
    for level in range(len(LEVELS)):
        assert after.weight(level, login.values[level]) == before.weight(level, login.values[level])
        assert after.weight(level, 12345) == before.weight(level, 12345)
    after.observe(login)
    assert after.seen == 301


def test_a_copy_does_not_change_with_what_it_was_made_of() -> None:
    everyone = counted(10)
    copy = Copy(everyone)
    everyone.observe(login_of(DIGESTS, AT, device="new"))
    assert unpacked(copy.packed()).seen == 10


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_what_is_cut_short_is_refused(cut: int) -> None:
    whole = Copy(counted(5)).packed()
    with pytest.raises(ValueError, match=r"damaged|not the counts"):
        unpacked(whole[:cut])


def test_anything_else_is_refused() -> None:
    with pytest.raises(ValueError, match="damaged"):
        unpacked(b"anything else")
