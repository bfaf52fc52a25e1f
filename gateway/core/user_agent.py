"""What a user agent says of the device: system, browser with its major version, class. Nothing here is believed.

A user agent is what the client likes to write. It is one feature among several, and one that anyone can copy; so a
small table of tokens is enough, and what the table does not know is a value of its own.
"""

import re
from functools import lru_cache
from typing import Final, NamedTuple

LONGEST: Final = 512
"""Characters that are read; browsers write some 150."""
UNKNOWN: Final = "unknown"

DESKTOP: Final = "desktop"
MOBILE: Final = "mobile"
TABLET: Final = "tablet"
TOOL: Final = "tool"


class UserAgent(NamedTuple):
    """A user agent at three levels of detail; the fourth is its full text."""

    system: str
    """The family of the operating system, such as `Windows`, or `unknown`."""
    browser: str
    """Browser or app with its major version, such as `Chrome 126`, or `unknown`."""
    device: str
    """`desktop`, `mobile`, `tablet`, `tool` or `unknown`."""


NOTHING: Final = UserAgent(UNKNOWN, UNKNOWN, UNKNOWN)

# The first that is found counts: an iPad says `like Mac OS X`, and Android says `Linux`.
_SYSTEMS: Final = (
    ("Windows Phone", "Windows Phone", MOBILE),
    ("Windows", "Windows", DESKTOP),
    ("iPad", "iOS", TABLET),
    ("iPhone", "iOS", MOBILE),
    ("iPod", "iOS", MOBILE),
    ("iOS", "iOS", MOBILE),
    ("Android", "Android", MOBILE),
    ("HarmonyOS", "HarmonyOS", MOBILE),
    ("CrOS", "ChromeOS", DESKTOP),
    ("Mac OS X", "macOS", DESKTOP),
    ("Macintosh", "macOS", DESKTOP),
    ("macOS", "macOS", DESKTOP),
    ("FreeBSD", "BSD", DESKTOP),
    ("OpenBSD", "BSD", DESKTOP),
    ("Linux", "Linux", DESKTOP),
    ("X11", "Linux", DESKTOP),
)

# Those that also say `Chrome` or `Safari` stand before them.
_BROWSERS: Final = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("Edge/", "Edge"),
    ("OPR/", "Opera"),
    ("OPT/", "Opera"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("YaBrowser/", "Yandex"),
    ("Vivaldi/", "Vivaldi"),
    ("UCBrowser/", "UC Browser"),
    ("MiuiBrowser/", "Miui Browser"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("Firefox/", "Firefox"),
    ("FxiOS/", "Firefox"),
    ("HeadlessChrome/", "Headless Chrome"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
)
_TOOLS: Final = (
    *("bot", "crawl", "spider", "curl/", "wget/", "python", "go-http", "okhttp/", "java/", "headless", "axios"),
)

_MAJOR: Final = re.compile(r"[0-9]{1,4}")
_SAFARI: Final = re.compile(r"Version/([0-9]{1,4})\S* (?:Mobile/\S+ )?Safari/")
_PRODUCT: Final = re.compile(r"([A-Za-z][A-Za-z0-9 ._-]{0,23})/v?([0-9]{1,4})")


@lru_cache(maxsize=4096)
def read(text: str | None) -> UserAgent:
    """Return what a user agent says; `NOTHING` for none, and `unknown` for each part that it does not say."""
    if not text:
        return NOTHING
    text = text[:LONGEST]
    browser = _browser(text)
    system, device = next(((name, kind) for token, name, kind in _SYSTEMS if token in text), (UNKNOWN, UNKNOWN))
    if device == MOBILE and system == "Android" and "Mobile" not in text and browser.startswith("Chrome"):
        device = TABLET
    lowered = text.lower()
    if any(token in lowered for token in _TOOLS):
        device = TOOL
    return UserAgent(system, browser, device)


def _browser(text: str) -> str:
    for token, name in _BROWSERS:
        at = text.find(token)
        if at >= 0:
            major = _MAJOR.match(text, at + len(token))
            return f"{name} {major[0]}" if major else name
    safari = _SAFARI.search(text)
    if safari:
        return f"Safari {safari[1]}"
    product = _PRODUCT.match(text)
    return f"{product[1]} {product[2]}" if product and product[1] != "Mozilla" else UNKNOWN
