from gateway.core import stuffing
from gateway.core.stuffing import WINDOW, Networks
from tests.core.accounts import NOON


def tried(accounts: int, each: int = 2, failed: bool = True) -> Networks:
    networks = Networks()
    for number in range(accounts * each):
        networks.observe(7, number % accounts, NOON + number * 1_000_000, failed=failed)
    return networks


def test_many_accounts_and_many_failures_are_stuffing() -> None:
    found = tried(20).attempts(7, NOON + WINDOW // 2)

    assert found == (40, 40, 20)
    assert found.stuffing


def test_a_shared_gateway_whose_users_know_their_passwords_is_not() -> None:
    assert not tried(20, failed=False).attempts(7, NOON + WINDOW // 2).stuffing


def test_one_customer_who_forgot_a_password_is_not() -> None:
    assert not tried(2, each=20).attempts(7, NOON + WINDOW // 2).stuffing


def test_an_hour_later_it_is_still_told_and_two_hours_later_forgotten() -> None:
    networks = tried(20)
    networks.observe(7, 1, NOON + WINDOW + 1_000_000, failed=False)

    assert networks.attempts(7, NOON + WINDOW + 2_000_000).stuffing
    assert networks.attempts(7, NOON + 3 * WINDOW + 2_000_000) == (0, 0, 0)
    assert not networks.attempts(8, NOON).stuffing
    assert not networks.attempts(None, NOON).stuffing


def test_memory_is_bounded_by_the_networks_that_tried_last(monkeypatch) -> None:
    monkeypatch.setattr(stuffing, "_MOST_NETWORKS", 3)
    networks = Networks()
    for network in range(6):
        networks.observe(network, 1, NOON, failed=True)
    networks.observe(None, 1, NOON, failed=True)

    assert [networks.attempts(network, NOON).attempts for network in range(6)] == [0, 0, 0, 1, 1, 1]
