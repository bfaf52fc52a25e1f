"""Two histories that many tests look at: a small one, and one large enough for shares to mean something."""

import pytest

from gateway.service.synth import Size, history
from gateway.service.synth.events import Event

SMALL = Size(accounts=150, days=365, attacks=12)
LARGE = Size(accounts=1_200, days=365, attacks=20)


@pytest.fixture(scope="session")
def small() -> list[Event]:
    return history(7, SMALL)


@pytest.fixture(scope="session")
def large() -> list[Event]:
    return history(7, LARGE)
