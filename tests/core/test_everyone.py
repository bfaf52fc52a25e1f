import pytest

from gateway.core import everyone as module
from gateway.core.everyone import Global
from gateway.core.login import ASN, BROWSER, COUNTRY, DEVICE
from tests.core.accounts import login


def test_shares_are_of_all_logins_an_older_one_counting_less() -> None:
    everyone = Global(64)
    everyone.observe(login(-90))
    everyone.observe(login(country="ES"))

    assert everyone.seen == 2
    assert everyone.weight(COUNTRY, "ES") == 2 * everyone.weight(COUNTRY, "PT")
    assert everyone.total == everyone.weight(COUNTRY, "ES") + everyone.weight(COUNTRY, "PT")


def test_a_value_that_nobody_has_weighs_nothing() -> None:
    everyone = Global(1 << 12)
    everyone.observe(login())

    assert everyone.weight(ASN, 1) == 0.0
    assert everyone.weight(DEVICE, 12345) == 0.0
    assert everyone.weight(DEVICE, None) == 0.0


def test_browsers_that_name_themselves_fill_no_memory_and_make_nobody_rare(monkeypatch) -> None:
    monkeypatch.setattr(module, "_MOST", 3)
    everyone = Global(64)
    for number in range(9):
        everyone.observe(login(agent=f"Crawler{number}/1 Windows"))

    late = everyone.weight(BROWSER, "Crawler8 1, Windows")
    assert late == pytest.approx(6 * everyone.weight(BROWSER, "Crawler0 1, Windows"))
