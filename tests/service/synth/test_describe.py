"""The figures of a history are counted right, and are those of the exchanges that it stands for."""

import pytest

from gateway.service.synth import Size
from gateway.service.synth.describe import TRIGGERS, Description, describe, distance_km, table
from gateway.service.synth.events import CHANGE, DAY, HOUR, LOGIN, WITHDRAWAL, Client, Event
from gateway.service.synth.networks import Internet
from tests.service.synth.conftest import LARGE

INTERNET = Internet(7)
PAYS = {"destination": "0x1", "balance_share": 0.2, "amount_usd": 9.0}


@pytest.fixture(scope="module")
def figures(large: list[Event]) -> Description:
    return describe(large, LARGE)


def test_one_legitimate_withdrawal_in_ten_touches_a_classic_trigger(figures: Description) -> None:
    assert 0.06 <= figures.share("any classic trigger") <= 0.13


def test_networks_are_as_mixed_as_they_are(figures: Description) -> None:
    assert figures.share("fixed") == pytest.approx(0.60, abs=0.05)
    assert figures.share("mobile") == pytest.approx(0.25, abs=0.05)
    assert figures.share("vpn") == pytest.approx(0.11, abs=0.03)
    assert figures.share("office") == pytest.approx(0.03, abs=0.015)
    assert figures.share("relay") == pytest.approx(0.01, abs=0.01)


def test_a_quarter_of_the_customers_shows_two_countries_in_111_days(figures: Description) -> None:
    assert figures.share("more than one country in 111 days") == pytest.approx(0.27, abs=0.05)
    assert 9.0 < figures.share("addresses a customer in 111 days") < 18.0


def test_withdrawals_go_to_new_addresses_and_sweep_as_often_as_assumed(figures: Description) -> None:
    assert figures.share("new address") == pytest.approx(0.213, abs=0.05)
    assert figures.share("sweep") == pytest.approx(0.155, abs=0.05)
    assert figures.share("half or less") == pytest.approx(0.707, abs=0.06)
    assert figures.share("new device") < 0.06


def test_every_trigger_is_counted_where_it_is_touched() -> None:
    home = Client(INTERNET.v4(INTERNET.fixed["PT"][0], 1, 9), "x", "d1", "s1")
    away = Client(INTERNET.v4(INTERNET.fixed["AU"][0], 1, 9), "x", "d2", "s2")
    size = Size(1, 365, 0)
    calm = [Event(at * DAY, LOGIN, "a", home) for at in (280, 300)]
    calm.append(Event(300 * DAY + HOUR, WITHDRAWAL, "a", home, PAYS))
    wild = [
        *calm,
        Event(300 * DAY + 2 * HOUR, LOGIN, "a", away),
        Event(300 * DAY + 2 * HOUR, CHANGE, "a", away, {"method": "password"}),
        Event(300 * DAY + 2 * HOUR, CHANGE, "a", away, {"method": "totp"}),
        Event(300 * DAY + 3 * HOUR, WITHDRAWAL, "a", away, PAYS),
    ]
    returned = [
        Event(200 * DAY, LOGIN, "a", home),
        Event(300 * DAY, LOGIN, "a", home),
        Event(300 * DAY + HOUR, WITHDRAWAL, "a", home, PAYS),
    ]

    assert describe(calm, size).share("any classic trigger") == 0.0
    assert [describe(wild, size).share(name) for name in TRIGGERS] == [0.5, 0.5, 0.5, 0.5, 0.5, 0.0]
    assert [describe(returned, size).share(name) for name in TRIGGERS] == [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]


def test_attackers_are_counted_apart(figures: Description) -> None:
    assert [figure.part for figure in figures.attacks] == [LARGE.attacks] * 9


def test_nothing_has_no_figures() -> None:
    nothing = describe([], Size(1, 30, 0))

    assert nothing.share("any classic trigger") == 0.0
    assert list(table(nothing))


def test_the_table_has_a_line_for_each_figure(figures: Description) -> None:
    said = list(table(figures))

    assert len(said) == sum(map(len, figures)) + len(figures)
    assert any("any classic trigger" in line and line.endswith("%") for line in said)


def test_lisbon_is_far_from_sydney() -> None:
    lisbon = INTERNET.v4(INTERNET.fixed["PT"][0], 1, 9)._replace(lat=38.72, lon=-9.14)

    assert distance_km(lisbon, lisbon._replace(lat=-33.87, lon=151.21)) == pytest.approx(18_180, rel=0.01)
    assert distance_km(lisbon, lisbon) == 0.0
