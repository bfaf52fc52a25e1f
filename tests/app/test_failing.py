from gateway.app.failing import grace_of
from gateway.config import Settings
from gateway.core.failing import Grace
from gateway.core.terms import Operation


def test_what_is_configured_is_what_streams_get() -> None:
    table = {"streams": {"go_on": "3s", "end_within": "1s", "strict": ["trade.spot"]}}
    settings = Settings.model_validate({"client_ip": {"trusted_proxies": []}, "failure": table})
    assert grace_of(settings) == Grace(3, 1, frozenset({Operation.TRADE_SPOT}))


def test_defaults_are_those_of_the_core() -> None:
    assert grace_of(Settings.model_validate({"client_ip": {"trusted_proxies": []}})) == Grace()
