"""A history is the same for the same seed, in order, and says nothing that gives an attacker away but the label."""

import hashlib
from collections import Counter, defaultdict
from datetime import UTC, datetime
from ipaddress import ip_address

import orjson

from gateway.service.synth import Size, history, ndjson
from gateway.service.synth.attacks import ATTACKERS
from gateway.service.synth.events import DAY, Event
from gateway.service.synth.history import test_window as last_days
from gateway.service.synth.history import window

TINY = Size(accounts=12, days=60, attacks=2)
DIGEST = "463265b84e45b90112eab044099d384660b9009abb1ad5110ec656e4550ea4a1"
"""Of the history of seed 7 and this size. It changes when the generator does, and with nothing else."""

ALWAYS = {
    "type": str,
    "id": str,
    "account": str,
    "at": str,
    "ip": str,
    "user_agent": str,
    "device": str,
    "outcome": str,
}
BY_TYPE = {
    "login": {},
    "withdrawal": {"destination": str, "balance_share": float, "amount_usd": float},
    "verification.changed": {"method": str, "change": str, "proved_with": str},
}
GEO = {
    "country": str,
    "asn": int,
    "subdivision": str,
    "lat": float,
    "lon": float,
    "radius_km": int,
    "network": list,
}


def text(seed: int, size: Size) -> bytes:
    return b"\n".join(ndjson(history(seed, size)))


def test_the_same_seed_gives_the_same_bytes_on_every_machine() -> None:
    assert hashlib.sha256(text(7, TINY)).hexdigest() == DIGEST


def test_another_seed_gives_another_history() -> None:
    assert text(8, TINY) != text(7, TINY)


def test_more_accounts_leave_the_first_ones_as_they_were() -> None:
    few, more = (history(7, Size(accounts, 60, 0)) for accounts in (5, 9))

    assert [event for event in more if event.account < "a000005"] == few


def test_every_line_has_the_fields_of_its_type_and_no_others(small: list[Event]) -> None:
    for written in ndjson(small):
        said = orjson.loads(written)
        session = {"session": str, "session_kind": str} if "session" in said else {}
        label = {"label": str} if "label" in said else {}
        proof = {"proved_with": str} if "proved_with" in said and said["type"] == "withdrawal" else {}
        wanted = ALWAYS | BY_TYPE[said["type"]] | session | label | proof | {"geo": dict}

        assert {name: type(value) for name, value in said.items()} == wanted
        assert {name: type(value) for name, value in said["geo"].items()} == GEO
        assert said["outcome"] in {"succeeded", "failed"}
        assert ip_address(said["ip"]).is_global
        assert set(said["geo"]["network"]) <= {"hosting", "vpn", "tor", "relay", "mobile"}
        assert said.get("session_kind", "app") in {"app", "browser"}
        assert said.get("label", "naive_bot") in ATTACKERS


def test_lines_are_in_order_of_time_and_every_id_stands_once(small: list[Event]) -> None:
    said = [orjson.loads(written) for written in ndjson(small)]
    times = [datetime.fromisoformat(one["at"]) for one in said]

    assert times == sorted(times)
    assert len({one["id"] for one in said}) == len(said)


def test_a_history_begins_when_it_is_told_to() -> None:
    events = history(7, TINY)
    first, later = (
        [orjson.loads(one) for one in ndjson(events, start)]
        for start in (datetime(2025, 1, 1, tzinfo=UTC), datetime(2031, 5, 1, tzinfo=UTC))
    )

    assert later[0]["at"].startswith("2031-05")
    assert [one | {"at": ""} for one in first] == [one | {"at": ""} for one in later]


def test_attacks_leave_what_customers_do_as_it_is() -> None:
    with_attacks, without = history(7, Size(40, 60, 3)), history(7, Size(40, 60, 0))

    assert [event for event in with_attacks if event.label is None] == without


def test_but_for_the_label_attackers_events_look_like_others(large: list[Event]) -> None:
    """No device key, session, browser release, second or field is of a kind that only attackers have."""

    def shapes(events: list[Event]) -> dict[str, Counter[object]]:
        found: dict[str, Counter[object]] = defaultdict(Counter)
        for event in events:
            client = event.client
            found["device"][len(client.device)] += 1
            found["session"][client.session and len(client.session)] += 1
            found["fields"][(event.type, *event.detail)] += 1
            found["changes"][(event.detail.get("method"), event.detail.get("change"))] += 1
            found["proofs"][event.detail.get("proved_with")] += 1
            found["milliseconds"][event.at % 1000 // 250] += 1
            found["agents"][client.user_agent] += 1
        return found

    own, others = (
        shapes([event for event in large if (event.label is None) is legitimate]) for legitimate in (True, False)
    )
    for name in ("device", "session", "fields", "changes", "proofs", "milliseconds"):
        assert set(others[name]) <= set(own[name]), name
    unknown = sum(count for agent, count in others["agents"].items() if agent not in own["agents"])
    assert unknown / others["agents"].total() < 0.02


def test_windows_scale_with_the_span() -> None:
    assert last_days(Size(days=365)) == (300 * DAY, 365 * DAY)
    assert window((240, 300), 730) == (480 * DAY, 600 * DAY)


def test_progress_is_told_for_every_account() -> None:
    told: list[int] = []
    history(7, Size(5, 30, 0), told.append)

    assert told == [1, 2, 3, 4, 5]
