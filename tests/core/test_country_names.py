import pycountry
import pytest

from gateway.core.countries import CONTINENT_OF
from gateway.core.country_names import ALPHA_3, NAMES, code_called


def test_every_country_has_one_name_and_one_longer_code():
    assert NAMES.keys() == CONTINENT_OF.keys()
    assert sorted(ALPHA_3.values()) == sorted(CONTINENT_OF)
    assert len({name.casefold() for name in NAMES.values()}) == len(NAMES)


@pytest.mark.parametrize("country", list(pycountry.countries), ids=lambda country: country.alpha_2)
def test_the_longer_codes_are_those_of_the_standard(country):
    assert ALPHA_3[country.alpha_3] == country.alpha_2


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("Germany", "DE"),
        ("north  korea", "KP"),
        ("DEU", "DE"),
        ("usa", "US"),
        ("England", "GB"),
        ("Atlantis", None),
        ("", None),
    ],
)
def test_a_country_is_found_by_what_people_call_it(name, code):
    assert code_called(name) == code
