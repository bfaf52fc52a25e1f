import orjson
import pytest

from gateway.adapters.archive.documents import UNREADABLE, archived_document, hour_of, id_of, read_ruling
from gateway.core.errors import StoreUnavailable
from tests.contract.stretches import AT, BUNDLES, decision, ruling, text_of


def test_a_ruling_is_found_by_each_country_that_it_may_have_been_and_counted_without_one() -> None:
    read = read_ruling(ruling(country=["US", "CA"], asn=[3, 1 << 40, 2]))
    assert read.found_by.countries == ("CA", "US")
    assert read.found_by.asns == (2, 3)
    assert read.kind == ("withdraw", "deny", "jurisdiction-blocked", None, BUNDLES[0])
    assert read_ruling(ruling()).kind.country == "PT"


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"[]",
        b"{}",
        b"\xff",
        orjson.dumps({"bundle": 1}),
        ruling(address="nowhere"),
        orjson.dumps({**orjson.loads(ruling()), "bundle": 1}),
    ],
)
def test_what_is_no_ruling_is_found_by_nothing(document: bytes) -> None:
    assert read_ruling(document) == UNREADABLE


def test_a_document_has_what_belongs_to_the_decision_alone() -> None:
    document = ruling()
    one = decision(1, document, auth_age=77)
    whole = archived_document(document, one)
    assert (whole["id"], whole["at"]) == (text_of(one.id), "2025-11-21T04:40:00.001000Z")
    assert whole["request"]["path"] == "/api/v1/withdrawals"
    assert whole["facts"]["auth_age"] == 77
    assert whole["took_us"] == one.took_us


@pytest.mark.parametrize(
    ("at", "text"), [(1 << 62, "9999-12-31T23:59:59.999999Z"), (-(1 << 62), "0001-01-01T00:00:00.000000Z")]
)
def test_an_instant_that_has_no_text_is_shown_as_the_last_that_has_one(at: int, text: str) -> None:
    document = ruling()
    assert archived_document(document, decision(1, document)._replace(at=at))["at"] == text


def test_a_decision_whose_ruling_is_none_is_named() -> None:
    one = decision(1, b"[]")
    with pytest.raises(StoreUnavailable, match=text_of(one.id)):
        archived_document(b"[]", one)


def test_hours_begin_before_the_epoch_too() -> None:
    hour = 3_600_000_000
    assert [hour_of(at) for at in (-1, 0, hour - 1, hour, AT)] == [-hour, 0, 0, hour, AT - AT % hour]


def test_what_is_no_id_is_none() -> None:
    assert id_of("alice") is None
    assert id_of("\ud800") is None
    assert id_of("0197b2c4-7a01-7c3e-9d55-1f0e8a9b6c21") == bytes.fromhex("0197b2c47a017c3e9d551f0e8a9b6c21")
