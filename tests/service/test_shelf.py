from gateway.service.shelf import Shelf
from tests.core.accounts import login


def test_accounts_that_are_put_away_come_back_as_they_were() -> None:
    narrow, wide = Shelf(in_use=2), Shelf(in_use=100)
    for shelf in (narrow, wide):
        for number in range(40):
            standing = shelf.take(f"account {number % 5}")
            standing.profile.observe(login(number, f"event {number}"))
            standing.rules.observe(login(number))

    assert len(narrow) == len(wide) == 5
    for number in range(5):
        one, other = narrow.take(f"account {number}"), wide.take(f"account {number}")
        assert one.profile.waiting == other.profile.waiting
        assert one.rules.judge(login(50), None) == other.rules.judge(login(50), None)
    assert sorted(narrow.sizes()) == sorted(wide.sizes())
