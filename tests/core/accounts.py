"""Alice at home, and whoever else: logins for the tests of profiles, scores and signals."""

from datetime import UTC, datetime
from typing import Any

from gateway.core.everyone import Global
from gateway.core.forgetting import DAY
from gateway.core.login import Digests, Login, Place, login_of
from gateway.core.profile import Profile

DIGESTS = Digests(b"only for these tests")
NOON = int(datetime(2025, 6, 1, 12, tzinfo=UTC).timestamp()) * 1_000_000
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36"
)
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
    "Version/17.5 Mobile/15E148 Safari/604.1"
)
LISBON = Place(38.72, -9.14, 10.0)
TOKYO = Place(35.68, 139.69, 10.0)

HOME: dict[str, Any] = {
    "ip": "85.240.1.7",
    "agent": CHROME,
    "device": "alice's laptop",
    "country": "PT",
    "asn": 3243,
    "networks": frozenset[str](),
    "place": LISBON,
}
AWAY: dict[str, Any] = {
    "ip": "133.1.2.3",
    "agent": IPHONE,
    "device": "charlie's phone",
    "country": "JP",
    "asn": 2907,
    "networks": frozenset[str](),
    "place": TOKYO,
}


def login(day: float = 0.0, event_id: str | None = None, **facts: Any) -> Login:
    """Return Alice's login at home so many days after noon of the first of June 2025, but for what is said."""
    return login_of(DIGESTS, NOON + int(day * DAY), event_id=event_id, **{**HOME, **facts})


def destination(name: str) -> int | None:
    return DIGESTS.text(b"destination", name)


def alice(days: int = 90, every: float = 1.0) -> Profile:
    """Return the profile of Alice, who has logged in at home for so many days until day 0."""
    profile = Profile()
    for number in range(int(days / every)):
        profile.observe(login(number * every - days, f"alice {number}"))
    return profile


def crowd(logins: int = 12_000) -> Global:
    """Return what is usual among many: two operators in each of five countries, a device for each customer."""
    everyone = Global(1 << 12)
    for number in range(logins):
        who = number % 500
        country = ("PT", "ES", "JP", "DE", "US")[who % 5]
        everyone.observe(
            login(
                -90 + 90 * number / logins,
                ip=f"9{who % 5}.{who % 200}.{number % 7}.{who % 250}",
                device=f"device {who}",
                agent=CHROME if who % 3 else IPHONE,
                country=country,
                asn=1000 + who % 10,
            )
        )
    return everyone
