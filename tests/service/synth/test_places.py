"""The pretend customers live in real places, so that a policy's codes mean something."""

from gateway.core.subdivisions import SUBDIVISIONS
from gateway.service.synth.places import CITIES, COUNTRIES


def test_there_are_27_countries_whose_weights_make_a_whole() -> None:
    assert len({one.code for one in COUNTRIES}) == 27
    assert sum(one.weight for one in COUNTRIES) == 1000
    assert [one.weight for one in COUNTRIES[:5]] == [140, 90, 70, 60, 60]


def test_every_code_is_one_of_iso_3166() -> None:
    for city in CITIES:
        country, _, code = city.subdivision.partition("-")
        known = SUBDIVISIONS[country]
        words = (known if isinstance(known, str) else "".join(known)).split()

        assert country == city.country
        assert code in words, city


def test_cities_of_a_country_are_somewhere_and_apart() -> None:
    for country in COUNTRIES:
        places = {(city.lat, city.lon) for city in country.cities}

        assert len(places) == len(country.cities) >= 3
        assert all(-60 < lat < 70 and -180 < lon < 180 for lat, lon in places)
