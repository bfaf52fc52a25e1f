import json
from ipaddress import ip_address, ip_network

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.errors import ConfigError, SearchError
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.search import AddressDigest, Search, findable, is_pseudonym, packed_range
from tests.contract.stretches import ruling

ONES = Pseudonyms(b"a key of thirty-two bytes, or so.")
CHAIN = [{"text": "81.20.30.40", "role": "peer"}, {"text": "198.51.100.7", "role": "client"}]
ADDRESSES = st.ip_addresses().map(str)


def read(document: bytes) -> dict:
    return orjson.loads(document)


def with_chain(document: bytes) -> bytes:
    whole = read(document)
    whole["client_ip"]["chain"] = CHAIN
    return orjson.dumps(whole)


def test_a_ruling_keeps_what_its_verdict_depended_on_and_says_what_is_missing() -> None:
    before = read(with_chain(ruling(account="alice", country=["US", "CA"])))
    after = read(ONES.of_ruling(with_chain(ruling(account="alice", country=["US", "CA"]))))
    assert after.pop("erased") == ["path", "user_agent", "trace", "address", "chain", "account"]
    assert after["client_ip"].pop("network") == ONES.network("81.20.30.40")
    assert after["client_ip"] == {**before["client_ip"], "address": ONES.address("81.20.30.40"), "chain": []}
    assert after["facts"] == {**before["facts"], "account": ONES.account("alice")}
    same = ("operation", "unknown", "bundle", "editions", "verdict", "reply")
    assert [after[name] for name in same] == [before[name] for name in same]


def test_what_was_never_there_is_not_said_to_be_missing() -> None:
    after = read(ONES.of_ruling(ruling(account=None, address=None)))
    assert after["erased"] == ["path", "user_agent", "trace"]
    assert after["client_ip"]["address"] is None
    assert after["facts"]["account"] is None


def test_the_words_about_a_target_that_could_not_be_read_go_too() -> None:
    told = {"why": "percent-encoding", "detail": "the target is /users/alice/%zz"}
    after = read(ONES.of_ruling(ruling(operation=None, ambiguous=told)))
    assert after["ambiguous"] == {"why": "percent-encoding", "detail": ""}
    assert "detail" in after["erased"]


def test_an_account_that_was_not_certain_goes_too() -> None:
    whole = read(ruling(account=None))
    del whole["facts"]["account"]
    whole["unknown"]["account"] = {"why": "sources-disagree", "one_of": ["alice", None], "prefixes": []}
    after = read(ONES.of_ruling(orjson.dumps(whole)))
    assert after["unknown"]["account"]["one_of"] == [None, ONES.account("alice")]
    assert "account" in after["erased"]


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"\xff", b'"alice"', b"{}", b'{"client_ip": "alice"}', b"[" * 100_000, b'{"facts": NaN}']
)
def test_of_what_nobody_can_read_nothing_stays(document: bytes) -> None:
    assert read(ONES.of_ruling(document)) == {"erased": ["everything"]}


@pytest.mark.parametrize(
    ("request_line", "left"),
    [
        (b"GET\0/users/alice\0api.example\0Fox/1", b"GET\0\0api.example\0"),
        (b"GET\0/\0h\0a\0b", b"GET\0\0h\0"),
        (b"GET\0/\0h\0a\0%b-%b" % (b"1" * 32, b"2" * 16), b"GET\0\0h\0"),
        (b"GET", b"GET\0\0\0"),
        (b"", b"\0\0\0"),
    ],
)
def test_a_request_keeps_its_method_and_its_host(request_line: bytes, left: bytes) -> None:
    assert ONES.of_request(request_line) == left
    assert ONES.of_request(left) == left


@given(address=st.none() | ADDRESSES, account=st.none() | st.text(st.characters(exclude_categories=["Cs"])))
def test_erasing_again_changes_nothing(address: str | None, account: str | None) -> None:
    once = ONES.of_ruling(ruling(address=address, account=account))
    assert ONES.of_ruling(once) == once


@given(address=ADDRESSES, other=ADDRESSES, account=st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_a_search_finds_what_it_found_before_and_nothing_else(address: str, other: str, account: str) -> None:
    found = findable(read(ONES.of_ruling(ruling(address=address, account=account))))
    assert ONES.of_search(Search(account=account)).account == found.account
    assert ONES.of_search(Search(account=account + "x")).account != found.account
    length = 24 if ip_address(address).version == 4 or ip_address(address).ipv4_mapped else 48
    if ip_address(address).version == 6 and length == 24:
        length = 120
    networks = (f"{address}/{length}", address, f"{other}/{24 if ip_address(other).version == 4 else 48}", other)
    for network in (ip_network(one, strict=False) for one in networks):
        if str(network) == "::/48":
            continue
        asked = ONES.of_search(Search(address=network)).address
        assert isinstance(asked, AddressDigest)
        first, last = packed_range(asked)
        assert found.address is not None
        assert (first <= found.address <= last) == (
            packed_range(network)[0] <= _packed(address) <= packed_range(network)[1]
        )
        assert not packed_range(ip_network("::/0"))[0] <= found.address <= packed_range(ip_network("::/0"))[1]


def _packed(address: str) -> bytes:
    return packed_range(ip_network(address))[0]


def test_a_digest_is_searched_for_as_it_is() -> None:
    digest = ONES.account("alice")
    assert is_pseudonym(digest)
    once = ONES.of_search(Search(account=digest, address=ip_network("81.20.30.0/24"), country="PT"))
    assert once.account == digest
    assert once.country == "PT"
    assert ONES.of_search(once) == once
    assert ONES.of_search(Search()) == Search()


@pytest.mark.parametrize(
    "network", ["81.20.0.0/16", "81.20.30.40/31", "2001:db8::/32", "2001:db8::/64", "::/0", "::/48"]
)
def test_a_network_without_a_digest_is_refused_with_one_that_has_it(network: str) -> None:
    with pytest.raises(SearchError, match=r"such as 203\.0\.113\.0/24"):
        ONES.of_search(Search(address=ip_network(network)))


def test_digests_differ_by_key_by_kind_and_by_network() -> None:
    other = Pseudonyms(b"another key of more than 32 bytes.")
    texts = [ONES.account("81.20.30.40"), ONES.address("81.20.30.40"), ONES.network("81.20.30.40")]
    texts += [other.account("81.20.30.40"), ONES.network("81.20.31.40"), ONES.address("81.20.30.41")]
    assert len(set(texts)) == len(texts)
    assert ONES.network("81.20.30.41") == ONES.network("81.20.30.40")
    assert ONES.network("2001:db8::1") == ONES.network("2001:db8:0:ffff::1") != ONES.network("2001:db8:1::1")
    assert ONES.address("::ffff:81.20.30.40") == ONES.address("81.20.30.40")


def test_a_key_is_what_its_file_holds_without_the_end_of_its_line() -> None:
    key = b"0123456789abcdef" * 4
    assert Pseudonyms.read(key + b"\r\n").account("alice") == Pseudonyms(key).account("alice")
    with pytest.raises(ConfigError, match="32 bytes at least, and this one has 31"):
        Pseudonyms.read(b"k" * 31 + b"\n")


def test_a_digest_is_that_of_hmac_sha256() -> None:
    # printf 'account\0alice' | openssl dgst -sha256 -hmac "$KEY": so that others can find a customer, too.
    assert Pseudonyms(b"k" * 32).account("alice") == "hmac:aa5c9abc2291bb20dead1beee62aff0a"
    assert json.loads(Pseudonyms(b"k" * 32).of_ruling(ruling()))["facts"]["account"].startswith("hmac:aa5c9abc")
