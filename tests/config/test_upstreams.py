"""Upstreams as they are written."""

import pytest

LEAST = "[client_ip]\ntrusted_proxies = []\n"
REST = '[upstream]\nurl = "http://127.0.0.1:9000"\n'


def routed(path: str, more: str = "") -> str:
    return f'{LEAST}{REST}[[upstreams]]\npath = "{path}"\nurl = "https://ws.example"\n{more}'


def test_an_upstream_needs_its_address_alone_and_every_wait_has_an_end(load_text) -> None:
    upstream = load_text(LEAST + REST).upstream

    assert upstream.model_dump(exclude={"url"}, exclude_none=True) == {
        "connect_timeout_s": 5,
        "queue_timeout_s": 1,
        "response_timeout_s": 60,
        "idle_timeout_s": 60,
        "body_timeout_s": 30,
        "connections": 256,
        "websockets": 10_000,
    }


def test_what_is_routed_elsewhere_has_settings_of_its_own(load_text, tmp_path) -> None:
    (tmp_path / "ca.pem").touch()
    text = routed("/ws/{rest:path}", 'response_timeout = "5s"\nca_file = "ca.pem"\nserver_name = "WS.internal"')
    settings = load_text(text)

    (one,) = settings.upstreams
    assert (one.path, one.response_timeout_s, one.ca_file) == ("/ws/{rest:path}", 5, tmp_path / "ca.pem")
    assert one.server_name == "ws.internal"
    assert settings.upstream.response_timeout_s == 60


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (routed("ws"), "upstreams[0].path: path: `ws` does not begin with `/`: did you mean `/ws`?"),
        (routed("/ws/{rest:pth}"), "unknown converter `pth` in `/ws/{rest:pth}`: did you mean `path`?"),
        (routed("/ws/../x"), "no request can have the path `/ws/../x`"),
        (routed("/ws", '[[upstreams]]\npath = "/ws"\nurl = "http://other.example"'), "`/ws` stands there twice"),
        (LEAST + REST.replace("[upstream]", '[[upstreams]]\npath = "/ws"'), "say in `[upstream]` where the rest goes"),
        (LEAST + REST + 'ca_file = "gateway.toml"', "`ca_file` is about TLS, and `url` is plain HTTP"),
        (routed("/ws", 'key_file = "gateway.toml"'), "name that as `cert_file`"),
        (routed("/ws", 'ca_file = "none.pem"'), "upstreams[0].ca_file: no such file"),
        (LEAST + REST + 'response_timeout = "0s"', "upstream.response_timeout: should be greater than or equal to 1"),
        (LEAST + REST + "connections = 0", "upstream.connections: should be greater than or equal to 1"),
        (LEAST + REST + 'connect_timout = "5s"', "did you mean `connect_timeout`?"),
        (LEAST + REST + "verify = false", "unknown key"),
    ],
)
def test_what_cannot_work_is_refused_with_what_was_meant(refusal, text, said) -> None:
    assert said in "\n".join(refusal(text))
