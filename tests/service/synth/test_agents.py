"""Devices call themselves what such devices do, and are brought up to date."""

from gateway.service.synth.agents import FAMILIES, device, named, popular, user_agent
from gateway.service.synth.chance import Chance


def test_every_family_has_a_name_of_its_own() -> None:
    names = {named(one.name, 200, "Pixel 8", 14) for one in FAMILIES}

    assert len(names) == len(FAMILIES)
    assert not any("{" in name or "}" in name for name in names)


def test_a_device_is_of_the_maker_and_size_asked_for() -> None:
    chance = Chance.of(1, "devices")
    for phone in (True, False):
        for apple in (True, False):
            one = device(chance, phone=phone, apple=apple)

            assert (one.family.phone, one.family.apple) == (phone, apple)


def test_browsers_change_their_name_every_four_weeks_and_systems_every_six() -> None:
    def changes(family: str) -> int:
        return len({named(family, day, "", 0) for day in range(360)}) - 1

    assert changes("windows-chrome") == 12
    assert changes("iphone-safari") == 7
    assert changes("android-app") == 25


def test_releases_reach_devices_late() -> None:
    one = device(Chance.of(2, "late"), phone=False, apple=False)._replace(lag_days=10)

    assert user_agent(one, 37) != user_agent(one, 38) == named(one.family.name, 28, one.model, one.android)


def test_popular_browsers_are_those_that_customers_have() -> None:
    chance = Chance.of(3, "popular")

    assert "Windows NT 10.0" in popular(chance, 100)
    assert len({popular(chance, 100) for _ in range(200)}) <= 6
