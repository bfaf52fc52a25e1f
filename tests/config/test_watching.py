"""What is told of requests is told where somebody says so, and secrets do not cross a network in the clear."""

from collections.abc import Callable

import pytest

from gateway.config import Settings

Load = Callable[..., Settings]
Refusal = Callable[..., list[str]]

LEAST = "[client_ip]\ntrusted_proxies = []\n"


def test_nothing_is_told_until_somebody_says_so(load_text: Load) -> None:
    settings = load_text(LEAST)
    assert settings.tracing is None
    assert (settings.log.requests, settings.log.personal) == ("none", "masked")
    tracing = load_text(LEAST + '[tracing]\nendpoint = "http://collector:4318/v1/traces"').tracing
    assert tracing is not None
    assert (tracing.sample, tracing.personal, tracing.service_name) == (1.0, "masked", "gateway")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[log]\nrequests = "refusd"',
            "log.requests: `refusd` is not one of `none`, `refused`, `all`: did you mean `refused`?",
        ),
        ('[log]\npersonal = "digest"', '`personal = "digest"` of `[log]` needs `digest_key` in `[archive]`'),
        ("[tracing]", "tracing.endpoint: is missing"),
        (
            '[tracing]\nendpoint = "http://collector:4318"',
            "tracing.endpoint: names no path; collectors take spans at `http://collector:4318/v1/traces`",
        ),
        (
            '[tracing]\nendpoint = "http://me:secret@collector/v1/traces"',
            "tracing.endpoint: must not carry credentials",
        ),
        (
            '[tracing]\nendpoint = "https://c/v1/traces"\nsample = 2',
            "tracing.sample: should be less than or equal to 1",
        ),
        (
            '[tracing]\nendpoint = "http://collector:4318/v1/traces"\nheaders_file = "h"',
            "tracing: `headers_file` holds what lets us in, and `endpoint` is reached over http: did you mean `https://`?",
        ),
        ('[tracing]\nendpoint = "https://c/v1/traces"\nheaders_file = "h"', "tracing.headers_file: no such file `"),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(refusal: Refusal, text: str, line: str) -> None:
    (said,) = refusal(LEAST + text)
    assert line in said
    assert "secret" not in said
