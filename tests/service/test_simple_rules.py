from gateway.service.simple_rules import Flags, SimpleRules
from tests.core.accounts import AWAY, destination, login

WALLET = destination("cold wallet")
NOTHING = Flags(address=False, travel=False, device=False, new=False)


def rules() -> SimpleRules:
    found = SimpleRules()
    for day in range(-30, 0):
        found.observe(login(day, session=f"s{day}"))
    found.pay(WALLET)
    return found


def test_the_owner_at_home_is_held_by_none() -> None:
    assert rules().judge(login(session="s"), WALLET) == NOTHING


def test_a_stranger_is_held_by_all() -> None:
    assert rules().judge(login(**AWAY), destination("elsewhere")) == (True, True, True, True)


def test_the_login_of_its_own_session_makes_nothing_familiar() -> None:
    found = rules()
    found.observe(login(0, session="charlie", **AWAY))

    assert found.judge(login(0.1, session="charlie", **AWAY), WALLET) == (True, True, True, False)
    assert found.judge(login(0.1, session="another", **AWAY), WALLET).device is False


def test_one_known_address_longer_ago_than_20_logins_is_new_again() -> None:
    found = rules()
    for number in range(20):
        found.observe(login(number / 100, ip="85.240.9.9", session=f"t{number}"))

    assert found.judge(login(1, session="u"), WALLET).address


def test_a_fast_journey_within_a_known_country_is_held_by_the_rule_for_it() -> None:
    found = rules()
    far = {**AWAY, "country": "PT"}

    assert found.judge(login(-1 + 1 / 24, session="u", **far), WALLET).travel
    assert not found.judge(login(2, session="u", **far), WALLET).travel
    assert not found.judge(login(-1 + 1 / 24, session="u", **{**far, "place": None}), WALLET).travel


def test_a_known_destination_is_never_held_by_rule_n() -> None:
    found = rules()

    assert not found.judge(login(**AWAY), WALLET).new
    assert found.judge(login(device="new"), None).new
    assert not found.judge(login(session="u"), None).new


def test_what_was_packed_judges_the_same() -> None:
    found = rules()
    again = SimpleRules.from_bytes(found.to_bytes())

    for seen in (login(session="u"), login(**AWAY)):
        assert again.judge(seen, WALLET) == found.judge(seen, WALLET)


def test_memory_is_bounded() -> None:
    found = SimpleRules()
    for number in range(1000):
        found.observe(login(number / 100, device=f"device {number}", asn=number + 1, session=f"s{number}"))
        found.pay(number + 1)

    assert len(found.to_bytes()) < 6_000
