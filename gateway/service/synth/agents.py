"""Devices and what they call themselves: families, releases over time, and the popular ones."""

from typing import Final, NamedTuple

from gateway.service.synth.chance import Chance

APP: Final = "ExchangeApp/"
"""How the exchange's own app begins to call itself."""

_BROWSER_DAYS: Final = 28
_SYSTEM_DAYS: Final = 45
_APP_DAYS: Final = 14


class Family(NamedTuple):
    """Devices that present themselves alike."""

    name: str
    apple: bool
    phone: bool
    app: bool
    safari: bool
    weight: int


FAMILIES: Final = (
    Family("windows-chrome", False, False, False, False, 66),
    Family("windows-edge", False, False, False, False, 17),
    Family("windows-firefox", False, False, False, False, 10),
    Family("linux-chrome", False, False, False, False, 7),
    Family("mac-safari", True, False, False, True, 60),
    Family("mac-chrome", True, False, False, False, 40),
    Family("android-app", False, True, True, False, 68),
    Family("android-chrome", False, True, False, False, 32),
    Family("iphone-app", True, True, True, False, 55),
    Family("iphone-safari", True, True, False, True, 45),
)
"""Weights count among the families of one maker and size."""

_PHONES: Final = ("SM-S911B", "SM-A546E", "SM-A155F", "Pixel 8", "2201117TG", "CPH2483", "V2247", "RMX3782")


_CHROMIUM: Final = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/{browser}.0.0.0"
_WEBKIT: Final = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/{system}"
_WINDOWS: Final = "Mozilla/5.0 (Windows NT 10.0; Win64; x64"
_MAC: Final = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
_NAMES: Final = {
    "windows-chrome": f"{_WINDOWS}) {_CHROMIUM} Safari/537.36",
    "windows-edge": f"{_WINDOWS}) {_CHROMIUM} Safari/537.36 Edg/{{browser}}.0.0.0",
    "windows-firefox": f"{_WINDOWS}; rv:{{browser}}.0) Gecko/20100101 Firefox/{{browser}}.0",
    "linux-chrome": f"Mozilla/5.0 (X11; Linux x86_64) {_CHROMIUM} Safari/537.36",
    "mac-chrome": f"{_MAC} {_CHROMIUM} Safari/537.36",
    "mac-safari": f"{_MAC} {_WEBKIT} Safari/605.1.15",
    "android-chrome": f"Mozilla/5.0 (Linux; Android 10; K) {_CHROMIUM} Mobile Safari/537.36",
    "android-app": APP + "{app} (Linux; Android {android}; {model})",
    "iphone-app": APP + "{app} (iPhone; iOS {system}; Scale/3.00)",
    "iphone-safari": (
        f"Mozilla/5.0 (iPhone; CPU iPhone OS {{system_}} like Mac OS X) {_WEBKIT} Mobile/15E148 Safari/604.1"
    ),
}


class Device(NamedTuple):
    """A device that somebody owns, with the key that the exchange gave it."""

    family: Family
    key: str
    model: str
    android: int
    lag_days: int
    """How long after a release it has it."""


def device(chance: Chance, *, phone: bool, apple: bool) -> Device:
    """Return a new device of a kind."""
    fitting = [one for one in FAMILIES if one.phone is phone and one.apple is apple]
    family = chance.weighted(fitting, [one.weight for one in fitting])
    lag = int(chance.lognormal(5.0, 0.9))
    return Device(family, chance.hex(32), chance.pick(_PHONES), 12 + chance.below(4), min(lag, 200))


def user_agent(one: Device, day: int) -> str:
    """Return what a device calls itself on a day."""
    return named(one.family.name, day - one.lag_days, one.model, one.android)


def popular(chance: Chance, day: int) -> str:
    """Return what many present: a browser for Windows, of the last release or the one before."""
    name = chance.weighted(("windows-chrome", "windows-edge", "windows-firefox"), (80, 12, 8))
    return named(name, day - chance.pick((4, 4, 4, 30)), "", 0)


def named(family: str, day: int, model: str, android: int) -> str:
    """Return the user agent of a family that was brought up to date on a day."""
    step = day // _SYSTEM_DAYS + 2
    build = day // _APP_DAYS + 8
    return _NAMES[family].format(
        browser=132 + day // _BROWSER_DAYS,
        system=f"{18 + step // 8}.{step % 8}",
        system_=f"{18 + step // 8}_{step % 8}",
        app=f"{5 + build // 30}.{build % 30}.0",
        model=model,
        android=android,
    )
