"""Where the gateway stands and listens: what can work is taken, and what cannot is refused with the reason."""

from collections.abc import Callable

import pytest

from gateway.config import Settings

Load = Callable[..., Settings]
Refusal = Callable[..., list[str]]

LEAST = "[client_ip]\ntrusted_proxies = []\n"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            LEAST + '[upstream]\nurl = "http://app/api"',
            "upstream.url: must be scheme, host and port alone: the path of each request is passed on as it came",
        ),
        (LEAST + "[server]\nport = 65536", "server.port: should be less than or equal to 65535"),
        (
            LEAST + '[admin]\nhost = "0.0.0.0"',
            (
                "admin: `host` is `0.0.0.0`, which others reach, and the API itself speaks plain HTTP; end TLS in "
                "front of it and say `tls_in_front = true`, or listen on `127.0.0.1`"
            ),
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(refusal: Refusal, text: str, line: str) -> None:
    assert refusal(text) == [f"gateway.toml: {line}"]


def test_the_admin_api_is_off_and_on_this_machine_until_somebody_says_otherwise(load_text: Load) -> None:
    admin = load_text(LEAST).admin
    assert (admin.host, admin.port, admin.tls_in_front) == ("127.0.0.1", None, False)
    admin = load_text(LEAST + '[admin]\nhost = "10.0.0.5"\nport = 8081\ntls_in_front = true').admin
    assert (admin.host, admin.port) == ("10.0.0.5", 8081)
