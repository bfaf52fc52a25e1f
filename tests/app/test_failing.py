from gateway.app.failing import breaker_of, grace_of, load_of, remembered_of
from gateway.config import Settings
from gateway.core.failing import Grace, Kind
from gateway.core.terms import Operation
from tests.world import FakeClock


def test_what_is_configured_is_what_streams_get() -> None:
    table = {"streams": {"go_on": "3s", "end_within": "1s", "strict": ["trade.spot"]}}
    settings = Settings.model_validate({"client_ip": {"trusted_proxies": []}, "failure": table})
    assert grace_of(settings) == Grace(3, 1, frozenset({Operation.TRADE_SPOT}))


def test_defaults_are_those_of_the_core() -> None:
    assert grace_of(Settings.model_validate({"client_ip": {"trusted_proxies": []}})) == Grace()


def test_memory_work_and_rest_are_as_configured() -> None:
    table = {"remembered": {"looks": "9s", "changes": "2s"}, "in_work": 16, "late": "100ms", "store_rest": "3s"}
    settings = Settings.model_validate({"client_ip": {"trusted_proxies": []}, "failure": table})
    assert remembered_of(settings) == {Kind.LOOKS: 9, Kind.CHANGES: 2}
    load, breaker = load_of(settings), breaker_of(settings, FakeClock())
    assert load._most[Kind.MONEY] == 16
    assert load._late_s[Kind.LOOKS] == 0.1
    assert (breaker._faults, breaker._rest_us) == (5, 3_000_000)
