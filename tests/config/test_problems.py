"""A problem is one line: where, what, and what was probably meant."""

from collections.abc import Callable

import pytest

from gateway.config.problems import Problem, dotted

Refusal = Callable[..., list[str]]

LEAST = "[client_ip]\ntrusted_proxies = []\n"


@pytest.mark.parametrize(
    ("location", "text"),
    [
        (("client_ip", "header"), "client_ip.header"),
        (("operations", 2, "path"), "operations[2].path"),
        (("geodb", "overrides", "10.0.0.0/8", "country"), 'geodb.overrides."10.0.0.0/8".country'),
        (("geodb", "x" * 80 + " "), f'geodb."{"x" * 64}"'),
        ((), "the whole"),
    ],
)
def test_a_place_is_written_as_toml_would_address_it(location: tuple[str | int, ...], text: str) -> None:
    assert dotted(location) == text


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (Problem(("server", "port"), "no"), "file: server.port: no"),
        (Problem(("client_ip", "header"), "no"), "GATEWAY_CLIENT_IP__HEADER: no"),
        (Problem(("operations", 1, "path"), "no"), "GATEWAY_OPERATIONS: [1].path: no"),
        (Problem.of_variable("GATEWAY_X", "no"), "GATEWAY_X: no"),
        (Problem(("a",), "two\nlines\tand \x1b[31m colour"), "file: a: two\ufffdlines\ufffdand \ufffd[31m colour"),
    ],
)
def test_the_line_names_the_file_or_the_variable_at_fault(problem: Problem, line: str) -> None:
    given = {("client_ip", "header"): "GATEWAY_CLIENT_IP__HEADER", ("operations",): "GATEWAY_OPERATIONS"}

    assert problem.line("file", given) == line


TRUSTED = (
    "client_ip.trusted_proxies: must be said: which addresses may speak for another client? `trusted_proxies = []` "
    'for nobody, or the networks of your own proxies, such as `["10.0.0.0/8"]`'
)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", [TRUSTED]),
        ("[client_ip]", [TRUSTED]),
        (
            LEAST + "[identity]",
            [
                'identity.algorithms: is missing: name what your issuer signs with, such as `["RS256"]`',
                "identity.issuer: is missing: tokens of any issuer would be believed",
                "identity.audience: is missing: tokens made for another service would be believed",
            ],
        ),
        (LEAST + "[upstream]", ["upstream.url: is missing"]),
        (LEAST + "[sever]\nport = 1", ["sever: unknown key: did you mean `server`?"]),
        (LEAST + "headr = 1", ["client_ip.headr: unknown key: did you mean `header`?"]),
        (LEAST + "port = 1", ["client_ip.port: unknown key: did you mean `server.port`?"]),
        (
            LEAST + 'untrusted_peer = "use-peer"',
            ["client_ip.untrusted_peer: `use-peer` is not one of `use_peer`, `reject`: did you mean `use_peer`?"],
        ),
        (LEAST + "[server]\nhost = 1", ["server.host: should be a valid string"]),
        (
            LEAST + "[[operations]]\n[geodb.overrides]\nlocal = { asn = 0 }",
            [
                "operations[0].operation: is missing",
                "operations[0].path: is missing",
                (
                    "geodb.overrides.local: `local` is not a network: names are not looked up; write the addresses "
                    "that it stands for"
                ),
                "geodb.overrides.local.asn: should be greater than or equal to 1",
            ],
        ),
    ],
)
def test_every_problem_is_told_at_once_each_in_its_line(refusal: Refusal, text: str, lines: list[str]) -> None:
    assert refusal(text) == [f"gateway.toml: {line}" for line in lines]


def test_no_secret_is_ever_told(refusal: Refusal) -> None:
    secret = "s3cr3t-and-short"
    text = LEAST + f'[identity]\nalgorithms = ["HS256"]\nissuer = "i"\naudience = "a"\nsecret = "{secret}"\nextra = 1'

    assert secret not in "\n".join(refusal(text))
    assert secret not in "\n".join(refusal(LEAST, {"GATEWAY_IDENTITY__SECRET": secret}))
