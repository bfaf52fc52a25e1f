"""Lines behave as lines do: leases end, gateways are shared, exits and offices stay."""

from ipaddress import ip_address, ip_network

import pytest

from gateway.service.synth import lines
from gateway.service.synth.chance import Chance
from gateway.service.synth.events import DAY
from gateway.service.synth.networks import Internet, Kind
from gateway.service.synth.places import CITIES, COUNTRIES

LISBON = next(city for city in CITIES if city.country == "PT")


@pytest.fixture(scope="module")
def internet() -> Internet:
    return Internet(7)


def network(ip: str) -> str:
    return str(ip_network(f"{ip}/{24 if ip_address(ip).version == 4 else 48}", strict=False))


def test_an_address_at_home_lasts_for_the_length_of_its_lease(internet: Internet) -> None:
    chance = Chance.of(1, "lease")
    kept = moved = 0
    for _ in range(300):
        line = lines.Lease(internet, internet.fixed["PT"][0], LISBON, chance, v6=False)
        first, later = line.seen(DAY, chance), line.seen(6 * DAY, chance)
        assert first == line.seen(DAY, chance) or first != later
        kept += first.ip == later.ip
        moved += network(first.ip) != network(later.ip)

    # 15 in 100 have leases of 1 or 4 days; half of what changes leaves the network.
    assert 0.78 < kept / 300 < 0.92
    assert 0.03 < moved / 300 < 0.16


def test_a_line_stays_in_its_city_and_with_its_operator(internet: Internet) -> None:
    chance = Chance.of(2, "home")
    home = lines.Home(internet, LISBON, chance)
    seen = [home.seen(day * DAY, chance) for day in range(0, 900, 30)]

    assert {one.city for one in seen} == {LISBON}
    assert {one.operator for one in seen} == {home.operator}


def test_an_address_of_ipv6_is_new_each_time_and_its_network_is_not(internet: Internet) -> None:
    chance = Chance.of(3, "v6")
    line = lines.Lease(internet, internet.fixed["FR"][0], COUNTRIES[9].cities[0], chance, v6=True)
    seen = [line.seen(1, chance).ip for _ in range(20)]

    assert len(set(seen)) == 20
    assert len({str(ip_network(f"{one}/56", strict=False)) for one in seen}) == 1


def test_a_line_asked_after_years_answers_at_once(internet: Internet) -> None:
    chance = Chance.of(4, "years")

    assert all(
        lines.Lease(internet, internet.fixed["PT"][0], LISBON, chance, v6=False).seen(100_000 * DAY, chance).ip
        for _ in range(50)
    )


def test_a_carrier_shows_another_address_each_time_by_few_gateways(internet: Internet) -> None:
    chance = Chance.of(5, "cell")
    carrier = lines.Cellular(internet, "PT", chance)
    seen = [carrier.seen(chance) for _ in range(200)]

    assert len({one.ip for one in seen}) > 100
    assert len({network(one.ip) for one in seen}) < 40
    assert {one.network for one in seen} == {("mobile",)}


def test_some_vpns_have_one_exit_and_others_come_out_at_home_or_in_two_countries(internet: Internet) -> None:
    chance = Chance.of(6, "vpn")
    subscriptions = [lines.vpn(internet, "PT", 0.9, chance) for _ in range(300)]
    fixed = [one for one in subscriptions if one.exit is not None]
    changing = next(one for one in subscriptions if one.exit is None)

    assert 0.37 < len(fixed) / 300 < 0.53
    assert fixed[0].seen(chance) == fixed[0].seen(chance)
    assert 1 < len({changing.seen(chance).city for _ in range(100)}) <= 3


def test_a_vpn_comes_out_in_the_country_asked_for(internet: Internet) -> None:
    chance = Chance.of(7, "exit")
    for country in COUNTRIES:
        seen = lines.vpn_exit(internet, country.code, chance)

        assert seen.city.country == country.code
        assert seen.operator.kind is Kind.VPN


def test_colleagues_share_the_address_of_their_company(internet: Internet) -> None:
    chance = Chance.of(8, "office")
    seen = [lines.office(internet, LISBON, chance) for _ in range(300)]
    abroad = sum(one.city.country != "PT" for one in seen)

    assert len({one.ip for one in seen if one.city == LISBON}) <= 12
    assert 6 <= abroad <= 36


def test_a_relay_keeps_the_city_and_a_rented_line_the_operator(internet: Internet) -> None:
    chance = Chance.of(9, "relay")
    operator = internet.fixed["PT"][1]

    assert lines.relay(internet, LISBON, chance).city == LISBON
    assert lines.residential(internet, LISBON, chance, operator).operator == operator
    assert lines.residential(internet, LISBON, chance).city == LISBON
