"""Addresses, credentials and operations: what can work is taken, and what cannot is refused with the reason."""

from collections.abc import Callable

import pytest

from gateway.config import Settings
from gateway.config.requests import ASYMMETRIC, SYMMETRIC

Load = Callable[..., Settings]
Refusal = Callable[..., list[str]]

LEAST = "[client_ip]\ntrusted_proxies = []\n"
PROXIED = '[client_ip]\ntrusted_proxies = ["10.0.0.0/8"]\n'
TOKENS = '[identity]\nissuer = "https://auth.example"\naudience = "exchange-api"\n'
KEYS = 'jwks = "https://auth.example/jwks.json"\n'
SECRET = "correct horse battery staple, 32+"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            '[client_ip]\ntrusted_proxies = []\nheader = "Forwarded"',
            (
                "client_ip: `header` is given, yet `trusted_proxies = []` says that nobody may speak for another "
                "address; name the proxies, or leave `header` out"
            ),
        ),
        (
            "[client_ip]\ntrusted_proxies = []\ntrusted_hops = 1",
            (
                "client_ip: `trusted_hops` is given, yet `trusted_proxies = []` says that nobody may speak for another "
                "address; name the proxies, or leave `trusted_hops` out"
            ),
        ),
        (
            '[client_ip]\ntrusted_proxies = []\nuntrusted_peer = "reject"',
            'client_ip: `untrusted_peer = "reject"` with `trusted_proxies = []` leaves no address for anyone',
        ),
        (PROXIED + "trusted_hops = 0", "client_ip.trusted_hops: should be greater than or equal to 1"),
        (PROXIED + "trusted_hops = true", "client_ip.trusted_hops: must be a whole number"),
        (
            '[client_ip]\ntrusted_proxies = ["0.0.0.0/0"]',
            "client_ip.trusted_proxies[0]: `0.0.0.0/0` is every address there is; name the networks that are meant",
        ),
        (
            LEAST + TOKENS + KEYS + 'algorithms = ["none"]',
            (
                "identity.algorithms[0]: `none` accepts tokens that nobody signed; name the algorithm that your issuer "
                "signs with"
            ),
        ),
        (
            LEAST + TOKENS + KEYS + 'algorithms = ["RS255"]',
            "identity.algorithms[0]: unknown algorithm `RS255`: did you mean `RS256`?",
        ),
        (
            LEAST + TOKENS + KEYS + 'algorithms = ["RS256", "HS256"]',
            "identity: `algorithms` mixes signatures (public keys) with HMAC (a secret); keep one kind",
        ),
        (
            LEAST + TOKENS + 'algorithms = ["RS256"]',
            "identity: `algorithms` are checked with public keys: `jwks` and nothing else; nothing is given",
        ),
        (
            LEAST + TOKENS + KEYS + f'algorithms = ["RS256"]\nsecret = "{SECRET}"',
            (
                "identity: `algorithms` are checked with public keys: `jwks` and nothing else; `jwks` and `secret` is "
                "given"
            ),
        ),
        (
            LEAST + TOKENS + 'algorithms = ["HS256"]',
            "identity: HMAC algorithms need `secret_file` (or `secret`) and nothing else; neither is given",
        ),
        (
            LEAST + TOKENS + KEYS + f'algorithms = ["HS256"]\nsecret = "{SECRET}"',
            "identity: HMAC algorithms need `secret_file` (or `secret`) and nothing else; `jwks` and `secret` is given",
        ),
        (
            LEAST + TOKENS + 'algorithms = ["HS256"]\nsecret = "hunter2"',
            (
                "identity: `secret` has 7 bytes, HS256 needs 32 or more of randomness; `openssl rand -hex 32 > FILE` "
                "makes 64"
            ),
        ),
        (
            LEAST + TOKENS + f'algorithms = ["HS256", "HS512"]\nsecret = "{SECRET}"',
            (
                "identity: `secret` has 33 bytes, HS256 and HS512 needs 64 or more of randomness; "
                "`openssl rand -hex 32 > FILE` makes 64"
            ),
        ),
        (
            LEAST + TOKENS + KEYS + 'algorithms = ["RS256"]\napi_key_header = "Authorization"',
            (
                "identity.api_key_header: `Authorization` already has a meaning; choose a name of its own, such as "
                "`X-API-Key`"
            ),
        ),
        (
            LEAST + TOKENS + 'algorithms = ["RS256"]\njwks = "http://auth.example/jwks"',
            "identity.jwks: keys fetched over http can be replaced on the way: did you mean `https://`?",
        ),
        (
            LEAST + '[[operations]]\noperation = "withdrawal"\npath = "/w"',
            "operations[0].operation: unknown operation `withdrawal`: did you mean `withdraw`?",
        ),
        (
            LEAST + '[[operations]]\noperation = "withdraw"\npath = "w"',
            "operations[0].path: `w` does not begin with `/`: did you mean `/w`?",
        ),
        (
            LEAST + '[[operations]]\noperation = "withdraw"\npath = "/w"\nmethods = ["post"]',
            "operations[0].methods[0]: unknown method `post`: did you mean `POST`?",
        ),
    ],
)
def test_what_cannot_work_is_refused_in_one_line(refusal: Refusal, text: str, line: str) -> None:
    assert refusal(text) == [f"gateway.toml: {line}"]


@pytest.mark.parametrize("algorithm", ASYMMETRIC)
def test_every_signature_is_checked_with_public_keys(load_text: Load, algorithm: str) -> None:
    identity = load_text(LEAST + TOKENS + KEYS + f'algorithms = ["{algorithm}"]').identity

    assert identity is not None
    assert identity.least_secret_bytes == 0


@pytest.mark.parametrize(("algorithm", "length"), SYMMETRIC.items())
def test_a_secret_is_at_least_as_long_as_the_hash(
    load_text: Load, refusal: Refusal, algorithm: str, length: int
) -> None:
    text = LEAST + TOKENS + f'algorithms = ["{algorithm}"]\nsecret = '

    assert load_text(text + f'"{"x" * length}"').identity is not None
    assert f"`secret` has {length - 1} bytes" in refusal(text + f'"{"x" * (length - 1)}"')[0]


def test_a_unix_socket_is_a_proxy_too(load_text: Load) -> None:
    settings = load_text('[client_ip]\ntrusted_proxies = []\ntrust_unix_socket = true\nheader = "X-Real-IP"')

    assert settings.client_ip.header == "X-Real-IP"
