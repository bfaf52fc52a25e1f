from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.facts import OneOf, Unknown
from gateway.core.login import ASN, COUNTRY, Digests, Place
from gateway.core.terms import WhyUnknown
from gateway.ports import Connection
from gateway.service.history import LONGEST, BadLine, Event, Reader, events
from tests.service.histories import line

DIGESTS = Digests(b"only for these tests")


def read(text: bytes, reader: Reader | None = None) -> Event:
    return (reader or Reader(DIGESTS)).read(7, text)


def refused(fault: BadLine) -> None:
    raise fault


def test_a_login_is_read_with_where_it_came_from() -> None:
    event = read(line(0, id="e1", session="s1"))

    assert (event.type, event.id, event.account, event.done, event.label) == ("login", "e1", "alice", True, None)
    assert (event.login.values[COUNTRY], event.login.values[ASN]) == ("PT", 3243)
    assert event.login.networks == frozenset()
    assert event.login.place == (38.72, -9.14, 10.0)


@pytest.mark.parametrize("at", ["2025-01-01T00:00:00Z", "2025-01-01T01:00:00+01:00", 1735689600, 1735689600.0])
def test_an_instant_is_rfc_3339_or_seconds(at: object) -> None:
    assert read(line(0, at=at)).login.at == 1_735_689_600_000_000


def test_a_withdrawal_and_a_change_carry_what_is_theirs() -> None:
    paid = read(line(0, "withdrawal", destination="0xabc", balance_share=0.5, proved_with=["totp", "passkey"]))
    reset = read(line(0, "verification.changed", method="totp", change="reset", proved_with="email"))
    replaced = read(line(0, "verification.changed", method="totp", change="replaced", proved_with="totp"))
    unproved = read(line(0, "verification.changed", method="totp", change="replaced"))

    assert paid.withdrawal is not None
    assert paid.withdrawal.balance_share == 0.5
    assert paid.proofs == ("totp", "passkey")
    assert [one.recovered for one in (reset, replaced, unproved)] == [True, False, True]


def test_the_types_of_the_event_api_are_read_as_well() -> None:
    assert read(line(0, "login.failed", outcome=...)).done is False
    assert read(line(0, "login.succeeded", outcome=...)).done is True
    assert read(line(0, "withdrawal.completed", outcome=...)).type == "withdrawal"


def test_what_is_missing_is_unknown() -> None:
    event = read(line(0, "withdrawal", ip=..., user_agent=..., device=..., geo=..., outcome=...))

    assert event.login.values[:8] == (None,) * 8
    assert (event.login.networks, event.login.place, event.login.session, event.done) == (None, None, None, None)
    assert event.withdrawal == (None, None)


@pytest.mark.parametrize("said", ["legitimate", "legit", "Benign", " normal ", "", "none", None, False, 0, "false"])
def test_whoever_is_called_honest_is_a_customer(said: object) -> None:
    assert read(line(0, label=said)).label is None


@pytest.mark.parametrize(
    ("said", "name"), [("sim_swap", "sim_swap"), (" sim_swap", "sim_swap"), (True, "attack"), (1, "attack")]
)
def test_whoever_is_called_anything_else_is_an_attacker(said: object, name: str) -> None:
    assert read(line(0, label=said)).label == name


@pytest.mark.parametrize(
    "at", ["2025-01-01T00:00:00", "2025-01-01 00:00:00+00:00", "1735689600", 1735689600_000, 1735689600_000_000]
)
def test_instants_are_read_as_others_write_them(at: object) -> None:
    assert read(line(0, at=at)).login.at == 1_735_689_600_000_000


@pytest.mark.parametrize(
    ("said", "done"),
    [("ok", True), ("Success", True), ("successful", True), (True, True), ("failure", False), ("FAILED", False)],
)
def test_outcomes_are_read_as_others_write_them(said: object, done: bool) -> None:
    assert read(line(0, outcome=said)).done is done


def test_fields_are_read_by_the_names_that_others_give_them() -> None:
    ours = line(0, "withdrawal", destination="d", proved_with="totp", session="s", id="e")
    geo = {"country_code": "pt", "asn": "AS3243", "latitude": 38.72, "lng": -9.14, "accuracy_radius": 10, "network": []}
    names = {"id": "event_id", "account": "user_id", "at": "timestamp", "user_agent": "ua", "device": "device_id"}
    theirs = {names.get(key, key): value for key, value in orjson.loads(ours).items()}
    theirs |= {"type": "Withdraw", "proved_with": "Authenticator", "geo": geo}
    reader = Reader(DIGESTS)

    assert read(orjson.dumps(theirs), reader) == read(ours)
    assert reader.ignored == {}
    assert set(reader.taken.first) == {
        *(f"`key` '{name}' for `{key}`" for key, name in names.items()),
        *("`key` 'country_code' for `country`", "`key` 'latitude' for `lat`", "`key` 'lng' for `lon`"),
        *("`key` 'accuracy_radius' for `radius_km`", "`geo.country` 'pt' for `PT`", "`geo.asn` 'AS3243' for AS3243"),
        *("`type` 'Withdraw' for `withdrawal`", "`method` 'Authenticator' for `totp`"),
    }


def test_what_was_taken_for_what_is_told_once_with_its_line() -> None:
    reader = Reader(DIGESTS)
    reader.read(3, line(0, outcome="ok", label="legit"))
    reader.read(4, line(0, outcome="ok", label="legitimate"))

    assert reader.taken.first == {"`outcome` 'ok' for `succeeded`": 3, "`label` 'legit' for a customer": 3}


def test_a_country_or_operator_that_a_database_does_not_know_is_unknown() -> None:
    event = read(line(0, geo={"country": "XX", "asn": 0, "lat": 1.0, "lon": 2.0}))

    assert event.login.values[:2] == (None, None)
    assert event.login.place == (1.0, 2.0, None)


def test_a_mark_before_the_first_line_is_no_part_of_it() -> None:
    assert Reader(DIGESTS).read(1, b"\xef\xbb\xbf" + line(0)).account == "alice"


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"type": "logn"}, "`type` is 'logn' (did you mean `login`?)"),
        ({"type": None}, "`type` is None"),
        ({"account": ...}, "`account` is missing"),
        ({"account": ["a"]}, "it must be text"),
        ({"at": ...}, "`at` is None"),
        ({"at": "yesterday"}, "write RFC 3339"),
        ({"at": "1735689600 s"}, "write RFC 3339"),
        ({"at": 1735689600000000000}, "in any unit"),
        ({"at": 1735}, "not between 2000 and 2100"),
        ({"at": True}, "`at` is True"),
        ({"outcome": "succeded"}, "did you mean `succeeded`?"),
        ({"type": "withdrawal", "balance_share": 50}, "`balance_share` is 50; it is a number from 0 to 1"),
        ({"type": "withdrawal", "amount_usd": "5"}, "`amount_usd`"),
        ({"type": "verification.changed"}, "`method` is missing"),
        ({"proved_with": 3}, "`proved_with`"),
        ({"geo": "PT"}, "`geo` is 'PT'"),
        ({"geo": {"country": "Portugal"}}, "`geo.country`"),
        ({"geo": {"asn": "Vodafone"}}, "`geo.asn`"),
        ({"geo": {"asn": -1}}, "`geo.asn`"),
        ({"geo": {"network": {"vpn": True}}}, "`geo.network`"),
        ({"label": ["sim_swap"]}, "`label`"),
        ({"geo": {"lat": 95, "lon": 0}}, "`lat`"),
    ],
)
def test_a_bad_line_says_its_number_and_what_is_wrong(fields: dict[str, Any], expected: str) -> None:
    with pytest.raises(BadLine) as caught:
        read(line(0, fields.pop("type", "login"), **fields) if "type" not in fields else line(0, **fields))

    assert str(caught.value).startswith("line 7: ")
    assert expected in str(caught.value)


@pytest.mark.parametrize("text", [b"{", b"[]", b"5", b'"login"', b"\xff", b" " * (LONGEST + 1)])
def test_what_is_no_object_is_a_bad_line(text: bytes) -> None:
    with pytest.raises(BadLine):
        read(text)


@given(
    st.dictionaries(
        st.sampled_from(["type", "account", "at", "ip", "geo", "outcome", "label"]),
        st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers()),
    )
)
def test_any_json_is_an_event_or_a_bad_line(fields: dict[str, Any]) -> None:
    try:
        event = read(line(0, **{"type_": "login", **{k: v for k, v in fields.items() if k != "type"}}))
    except (BadLine, TypeError):
        return
    assert event.account


def test_an_unknown_key_is_ignored_and_told_with_what_was_meant() -> None:
    reader = Reader(DIGESTS)
    reader.read(3, line(0, devise="x", other=1))
    reader.read(4, line(0, devise="y"))

    assert reader.ignored == {"devise (did you mean `device`?)": 3, "other": 3}


LISBON = Place(38.72, -9.14, 20.0)


class World:
    generation = 0
    editions = ()

    def look_up(self, geo_key: str | None, at: int) -> Connection:
        unknown = Unknown(WhyUnknown.NO_RECORD)
        either = OneOf(WhyUnknown.SOURCES_DISAGREE, frozenset({"PT", "ES"}))
        return Connection(either if geo_key == "9.9.9.9" else "PT", unknown, "EU", 3243, frozenset({"vpn"}), LISBON)


def test_an_address_without_facts_beside_it_is_looked_up_and_a_doubt_is_unknown() -> None:
    reader = Reader(DIGESTS, World())

    assert reader.read(1, line(0, geo=...)).login.values[:2] == ("PT", 3243)
    assert reader.read(1, line(0, geo=...)).login.networks == frozenset({"vpn"})
    assert reader.read(1, line(0, geo=...)).login.place == LISBON
    assert reader.read(1, line(0, geo=..., ip="9.9.9.9")).login.values[:2] == (None, 3243)
    assert reader.read(1, line(0, geo={})).login.values[:2] == (None, None)


def ordered(lines: list[bytes], held_back: int = 3) -> list[int]:
    return [event.number for event in events(lines, Reader(DIGESTS), refused, held_back)]


def test_lines_that_are_a_little_out_of_order_fall_into_place() -> None:
    assert ordered([line(1), line(3), line(2), b"\n", line(4), line(5)]) == [1, 3, 2, 5, 6]


def test_a_line_too_far_out_of_order_is_refused_with_its_number() -> None:
    with pytest.raises(BadLine, match=r"line 6: .*sort the file by `at`"):
        ordered([*(line(day) for day in (1, 2, 3, 4, 5)), line(0)], held_back=2)


def test_bad_lines_are_told_and_the_rest_is_read() -> None:
    told: list[BadLine] = []
    found = [event.number for event in events([line(1), b"{", line(2)], Reader(DIGESTS), told.append)]

    assert found == [1, 3]
    assert [fault.number for fault in told] == [2]


@given(st.lists(st.integers(0, 50), max_size=30))
def test_events_come_in_order_of_time_and_none_is_lost(days: list[int]) -> None:
    found = [event.login.at for event in events([line(day) for day in days], Reader(DIGESTS), refused)]

    assert found == sorted(found)
    assert len(found) == len(days)
