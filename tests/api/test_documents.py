from hypothesis import given
from hypothesis import strategies as st

from gateway.adapters.desk_reads import Moment
from gateway.api.documents import account_document, message_document, moment_document
from gateway.core.account import new_account
from gateway.ports import OutboxRow

ALICE = new_account("alice")._replace(documents=frozenset({"PT", "ES"}), residence="PT")


def moment(details: dict, why: str = "") -> Moment:
    return Moment(0, "event", 1, "bot", "login.succeeded", details, why)


def test_an_account_is_whole_or_its_countries_are_counted() -> None:
    assert account_document(ALICE, whole=True)["documents"] == ["ES", "PT"]
    masked = account_document(ALICE, whole=False)
    assert (masked["documents"], masked["residence"], masked["nationality"]) == ({"count": 2}, {"count": 1}, None)
    assert {**masked, **account_document(ALICE, whole=True)} == account_document(ALICE, whole=True)


def test_a_moment_is_masked_however_deep_personal_data_stands() -> None:
    details = {"before": {"documents": ["PT"], "residence": None}, "search": {"address": "203.0.113.7"}, "ip": "::1"}
    shown = moment_document(moment(details, "again from 203.0.113.7"), whole=False)
    assert shown["details"] == {
        "before": {"documents": {"count": 1}, "residence": None},
        "search": {"address": "203.0.113.0/24"},
        "ip": "::/48",
    }
    assert shown["why"] == "again from 203.0.113.0/24"
    assert moment_document(moment(details), whole=True)["details"] == details


@given(st.ip_addresses(v=4).map(str), st.sampled_from(["device", "session", "destination", "user_agent"]), st.text())
def test_no_address_and_no_device_is_seen_unless_it_is_whole(address, name, value) -> None:
    shown = moment_document(moment({"ip": address, name: f"<{value}>"}), whole=False)
    assert shown["details"]["ip"].endswith(".0/24")
    assert shown["details"][name] in {None, "…"}


def test_only_a_pending_message_has_a_next_try() -> None:
    row = OutboxRow(1, "m", "alice", "notice", {}, 0, "pending", 5, 0, None, None)
    assert message_document(row)["next_try_at"] is not None
    assert message_document(row._replace(state="parked"))["next_try_at"] is None
