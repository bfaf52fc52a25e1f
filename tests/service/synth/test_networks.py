"""The pretend internet hangs together: addresses are valid, and a network has one answer for ever."""

from ipaddress import ip_address, ip_network

import orjson
import pytest

from gateway.service.synth.chance import Chance
from gateway.service.synth.networks import Internet, Kind, block_in, city_of
from gateway.service.synth.places import CITIES, COUNTRIES


@pytest.fixture(scope="module")
def internet() -> Internet:
    return Internet(7)


def operators(internet: Internet) -> list:
    return [
        *(one for some in (*internet.fixed.values(), *internet.mobile.values()) for one in some),
        *internet.office.values(),
        *internet.vpns,
        *internet.hosting,
        internet.tor,
        *internet.relays,
    ]


def test_no_two_operators_share_a_network_or_a_number(internet: Internet) -> None:
    every = operators(internet)

    assert len({one.v4 for one in every}) == len({one.v6 for one in every}) == len({one.asn for one in every})
    assert len({one.asn for one in every}) == len(every)


def test_every_address_is_of_the_global_unicast_space(internet: Internet) -> None:
    chance = Chance.of(1, "addresses")
    for operator in operators(internet):
        v4 = internet.v4(operator, chance.below(256), 2 + chance.below(250)).ip
        v6 = internet.v6(operator, chance.below(256), chance.below(65_536), chance.hex(16)).ip

        assert ip_address(v4).is_global
        assert ip_address(v6).is_global
        assert 4_200_000_000 <= operator.asn < 4_294_967_294


def test_customers_of_a_network_share_its_answer_and_not_its_56(internet: Internet) -> None:
    operator = internet.fixed["DE"][0]
    one = internet.v6(operator, 3, 0x1105, "00010002abcd0000")
    other = internet.v6(operator, 3, 0x1106, "00010002abcd0000")

    assert ip_network(f"{one.ip}/48", strict=False) == ip_network(f"{other.ip}/48", strict=False)
    assert ip_network(f"{one.ip}/56", strict=False) != ip_network(f"{other.ip}/56", strict=False)
    assert one.geo == other.geo


def test_a_seed_decides_what_is_said_of_a_network(internet: Internet) -> None:
    operator = internet.mobile["BR"][0]
    again = Internet(7)

    assert internet.v4(operator, 9, 4).geo == again.v4(again.mobile["BR"][0], 9, 77).geo


def test_every_operator_has_a_network_in_each_of_its_cities(internet: Internet) -> None:
    chance = Chance.of(2, "blocks")
    for operator in operators(internet):
        for city in operator.cities:
            assert city_of(operator, block_in(operator, city, chance)) == city


def test_where_an_operator_has_no_network_any_will_do(internet: Internet) -> None:
    lisbon = next(city for city in CITIES if city.country == "PT")

    assert 0 <= block_in(internet.fixed["DE"][0], lisbon, Chance.of(3, "x")) < 256


def test_databases_err_about_the_country_now_and_then_and_are_vague_about_carriers(internet: Internet) -> None:
    def answers(some: list) -> list:
        return [internet.v4(operator, block, 9) for operator in some for block in range(256)]

    fixed = answers([one for country in COUNTRIES for one in internet.fixed[country.code]])
    wrong = sum(one.country != one.city.country for one in fixed) / len(fixed)
    mobile = [orjson.loads(one.geo) for one in answers(internet.mobile["IN"])]
    exits = answers(internet.vpns)
    unlisted = sum(one.network == ("hosting",) for one in exits) / len(exits)

    assert wrong == pytest.approx(0.003, abs=0.002)
    assert all(20 <= one["radius_km"] <= 1000 and one["network"] == ["mobile"] for one in mobile)
    assert sum(one.country != one.city.country for one in exits) / len(exits) == pytest.approx(0.03, abs=0.02)
    assert unlisted == pytest.approx(0.10, abs=0.03)
    assert all(one.operator.kind is Kind.FIXED and one.network == () for one in fixed)
