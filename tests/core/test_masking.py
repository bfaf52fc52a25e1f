"""What is masked is nowhere in the copy, the record stays whole, and whoever sees more has said why."""

import json
from ipaddress import IPv4Address, IPv6Address, ip_network
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import MaskingError
from gateway.core.masking import (
    EVERYTHING,
    HIDDEN,
    SEES,
    Personal,
    Reader,
    masked,
    masked_address,
    masked_text,
    seen_by,
    unmasking,
)

ID = "019b0a2c-4d00-7abc-8def-0123456789ab"
WHY = "ticket 4711: the customer disputes the address"


def _document(address: str = "203.0.113.9", **more: Any) -> dict[str, Any]:
    return {
        "id": ID,
        "request": {"method": "POST", "path": f"/allow/{address}/x", "host": address, "user_agent": "Curious/1"},
        "client_ip": {
            "address": address,
            "how": "forwarded",
            "reason": None,
            "chain": [{"text": "unix-socket", "role": "peer"}, {"text": f"{address}", "role": "client"}],
        },
        "facts": {"country": "PT", "documents": ["XQ", "XZ"], "residence": "XQ", "nationality": None, "account": "a"},
        "unknown": {"status": {"why": "no-account"}},
        **more,
    }


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("203.0.113.9", "203.0.113.0/24"),
        ("203.0.113.9:4711", "203.0.113.0/24"),
        ("::ffff:203.0.113.9", "203.0.113.0/24"),
        ("2001:db8:1:2::9", "2001:db8:1::/48"),
        ("[2001:db8:1:2::9]:443", "2001:db8:1::/48"),
        ('for="[2001:db8:1:2::9]:443"', "2001:db8:1::/48"),
        ("2002:cb00:7109::1", "2002:cb00:7100::/40"),
        ("fe80::1%eth0", "fe80::/48"),
        ("_hidden", None),
        ("", None),
        ("999.1.1.1", None),
        ("a:b:c", None),
    ],
)
def test_an_address_is_shown_as_its_network(address: str, network: str | None) -> None:
    assert masked_address(address) == network


v4 = st.integers(0, 2**32 - 1).map(lambda number: str(IPv4Address(number)))
v6 = st.integers(0, 2**128 - 1).map(lambda number: str(IPv6Address(number)))
FORMS = ("{}", "{}:443", "[{}]:443", 'for="[{}]"', "x{}y", " {} ", "{}%eth0")


@given(st.one_of(v4, v6), st.sampled_from(FORMS))
def test_the_network_holds_the_address_and_says_no_more_than_that(address: str, form: str) -> None:
    network = masked_address(address)
    assert network is not None
    assert ip_network(network).prefixlen in {24, 40, 48}
    if ip_network(network).version == ip_network(address).version:
        assert ip_network(address).subnet_of(ip_network(network))  # type: ignore[arg-type]  # of one version
    bare = network.partition("/")[0]
    shown = masked_address(form.format(address)) or HIDDEN
    assert address == bare or address not in shown


@given(st.one_of(v4, v6), st.sampled_from(FORMS), st.integers(0, 2))
def test_no_address_stays_in_a_path(address: str, form: str, encodings: int) -> None:
    part = form.format(address)
    for _ in range(encodings):
        part = "".join(f"%{ord(one):02X}" if not one.isalnum() else one for one in part)
    network = (masked_address(address) or "").partition("/")[0]
    assert address == network or address not in masked_text(f"/api/{part}/end")


@pytest.mark.parametrize("path", ["/api/v1/withdrawals", "/a%20b", "/", "", "/v1.2.3/x", "/%zz", "/a%2Fb"])
def test_a_path_without_an_address_stays_as_it_is(path: str) -> None:
    assert masked_text(path) == path


@given(st.one_of(v4, v6), st.sampled_from(Reader))
def test_what_a_reader_may_not_see_is_nowhere_in_the_copy(address: str, reader: Reader) -> None:
    document = _document(address)
    before = json.dumps(document)
    text = json.dumps(masked(document, SEES[reader]))
    assert json.dumps(document) == before
    network = (masked_address(address) or "").partition("/")[0]
    assert (address in text) is (Personal.ADDRESSES in SEES[reader]) or address == network
    assert ("Curious" in text) is (Personal.USER_AGENT in SEES[reader])
    assert ("XQ" in text) is (Personal.COUNTRIES in SEES[reader])


def test_countries_are_counted_and_none_stays_none() -> None:
    facts = masked(_document(), frozenset())["facts"]
    assert facts["documents"] == {"count": 2}
    assert facts["residence"] == {"count": 1}
    assert facts["nationality"] is None
    assert facts["country"] == "PT"
    assert facts["account"] == "a"


def test_a_doubt_about_countries_keeps_its_cause_alone() -> None:
    doubt = {"why": "sources-disagree", "one_of": [["XQ"], []], "prefixes": []}
    document = _document(unknown={"documents": doubt, "country": {"why": "no-record", "one_of": ["DE", "FR"]}})
    unknown = masked(document, frozenset())["unknown"]
    assert unknown == {
        "documents": {"why": "sources-disagree"},
        "country": {"why": "no-record", "one_of": ["DE", "FR"]},
    }


def test_a_hop_that_is_no_address_is_hidden_and_a_socket_is_not() -> None:
    document = _document()
    document["client_ip"]["chain"].append({"text": "_secret", "role": "ignored"})
    document["client_ip"]["address"] = None
    client_ip = masked(document, frozenset())["client_ip"]
    assert client_ip["address"] is None
    assert [hop["text"] for hop in client_ip["chain"]] == ["unix-socket", "203.0.113.0/24", HIDDEN]


def test_a_request_that_could_not_be_read_is_masked_too() -> None:
    ambiguous = {"why": "host", "detail": "Host 203.0.113.9 stands twice"}
    document = _document(facts=None, unknown=None, ambiguous=ambiguous)
    copy = masked(document, frozenset())
    assert copy["ambiguous"]["detail"] == "Host 203.0.113.0/24 stands twice"
    assert copy["facts"] is None


def test_an_auditor_sees_the_record() -> None:
    copy = masked(_document(), SEES[Reader.AUDITOR])
    assert copy.pop("masked") == []
    assert copy == _document()


def test_each_reader_sees_what_those_before_see_and_more() -> None:
    seen = [SEES[reader] for reader in Reader]
    assert seen == sorted(seen, key=len)
    assert all(less < more for less, more in pairwise(seen))
    assert seen[-1] == EVERYTHING


def test_an_unmasking_says_who_when_which_decision_and_why() -> None:
    leave = unmasking(_document(), Reader.SUPPORT, "bob", 0, f" {WHY}\n", [Personal.ADDRESSES])
    assert seen_by(_document(), Reader.SUPPORT, leave) == {Personal.ADDRESSES}
    assert leave.to_json() == {
        "event": "decision.unmasked",
        "who": "bob",
        "role": "support",
        "at": "1970-01-01T00:00:00.000000Z",
        "decision": ID,
        "shown": ["addresses"],
        "why": WHY,
    }


def test_what_is_seen_anyway_is_not_in_the_record() -> None:
    assert unmasking(_document(), Reader.ANALYST, "bob", 0, WHY).shown == (Personal.COUNTRIES,)
    with pytest.raises(MaskingError, match="nothing to unmask: the role `auditor` sees that already"):
        unmasking(_document(), Reader.AUDITOR, "bob", 0, WHY)


@pytest.mark.parametrize("why", ["", "because", " " * 40, "x" * 501, "ticket 4711\x00 disputes"])
def test_nothing_is_unmasked_without_a_reason(why: str) -> None:
    with pytest.raises(MaskingError, match="takes a reason of 10 to 500 characters"):
        unmasking(_document(), Reader.SUPPORT, "bob", 0, why)


@pytest.mark.parametrize("who", ["", " ", "b" * 201, "bob\x1b"])
def test_nothing_is_unmasked_for_nobody(who: str) -> None:
    with pytest.raises(MaskingError, match="with the name of who asked"):
        unmasking(_document(), Reader.SUPPORT, who, 0, WHY)


def test_leave_is_for_one_decision_and_one_reader() -> None:
    leave = unmasking(_document(), Reader.SUPPORT, "bob", 0, WHY)
    with pytest.raises(MaskingError, match="and not of this one"):
        seen_by(_document(id="another"), Reader.SUPPORT, leave)
    with pytest.raises(MaskingError, match="for the role `support`"):
        seen_by(_document(), Reader.ANALYST, leave)
    assert seen_by(_document(), Reader.SUPPORT) == frozenset()


def test_what_was_measured_is_shown_in_words_to_who_sees_everything_alone() -> None:
    detail = {
        "score": 5.5,
        "lines": {"medium": 0.0, "high": 4.9},
        "learning": [],
        "terms": [{"name": "network", "value": 2.6, "words": "country XQ never seen, browser Curious 1 never seen"}],
        "signals": [{"name": "impossible_travel", "measured": {"km": 900, "from": "XZ"}}],
    }
    document = _document(signals_detail=detail, about={"odd/rule": "network=XQ.3352.cbf4"})
    copy = masked(document, SEES[Reader.SUPPORT])
    assert copy["signals_detail"]["score"] == 5.5
    assert copy["signals_detail"]["terms"] == [{"name": "network", "value": 2.6, "words": None}]
    assert not any(text in json.dumps(copy) for text in ("XQ", "XZ", "Curious", "3352"))
    assert masked(document, EVERYTHING)["signals_detail"] == detail
    assert detail["terms"][0]["words"], "the document itself stays whole"
