import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.user_agent import LONGEST, NOTHING, UNKNOWN, UserAgent, read

IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X)"
MAC = "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7)"
WEBKIT = "AppleWebKit/537.36 (KHTML, like Gecko)"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36",
            ("Windows", "Chrome 126", "desktop"),
        ),
        (
            f"Mozilla/5.0 (Windows NT 10.0; Win64; x64) {WEBKIT} Chrome/126.0.0.0 Safari/537.36 Edg/126.0.2592.61",
            ("Windows", "Edge 126", "desktop"),
        ),
        (
            f"{IPHONE} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1",
            ("iOS", "Safari 17", "mobile"),
        ),
        (
            f"{MAC} AppleWebKit/605.1.15 (KHTML, like Gecko) Version/17.4.1 Safari/605.1.15",
            ("macOS", "Safari 17", "desktop"),
        ),
        (
            f"Mozilla/5.0 (Linux; Android 14; SM-S918B) {WEBKIT} SamsungBrowser/25.0 Chrome/121.0 Mobile Safari/537.36",
            ("Android", "Samsung Internet 25", "mobile"),
        ),
        (
            f"Mozilla/5.0 (Linux; Android 13; SM-X700) {WEBKIT} Chrome/126.0.0.0 Safari/537.36",
            ("Android", "Chrome 126", "tablet"),
        ),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:127.0) Gecko/20100101 Firefox/127.0", ("Linux", "Firefox 127", "desktop")),
        ("ExchangeApp/5.21.0 (iPhone; iOS 17.2; build 4410)", ("iOS", "ExchangeApp 5", "mobile")),
        ("python-requests/2.32.3", (UNKNOWN, "python-requests 2", "tool")),
        ("Mozilla/5.0", (UNKNOWN, UNKNOWN, UNKNOWN)),
        ("", NOTHING),
        (None, NOTHING),
    ],
)
def test_a_user_agent_is_read_at_three_levels(text: str | None, expected: tuple[str, str, str]) -> None:
    assert read(text) == UserAgent(*expected)


@given(st.text(max_size=2000))
def test_whatever_a_client_writes_the_answer_is_short(text: str) -> None:
    told = read(text)

    assert all(0 < len(part) <= 32 for part in told)
    assert told == read(text[:LONGEST])
