"""The client's address: only a trusted proxy speaks for another, and a header is read to the end or not believed."""

import json
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.addresses import canonical, geo_key, special_purpose
from gateway.core.client_ip import ClientIP, ClientIPRule, Hop, How, Role, Unresolved, is_single_address
from gateway.core.errors import ConfigError

ROWS = json.loads((Path(__file__).parents[1] / "corpus/addresses/client_ip.json").read_text("utf-8"))
PROXIES = ("10.0.0.0/8", "fd00::/8")


def global_address(address: Any) -> bool:
    text = canonical(str(address))
    return text is not None and special_purpose(text) is None


customers = st.one_of(st.ip_addresses(v=4), st.integers(0x2400 << 112, (0x2C00 << 112) - 1).map(ip_address)).filter(
    global_address
)
trusted = st.one_of(st.ip_addresses(network="10.0.0.0/8"), st.ip_addresses(network="fd00::/8")).map(str)
scribbles = st.one_of(
    st.binary(max_size=60),
    st.lists(
        st.sampled_from(["1.1.1.1", "10.0.0.1", "for=1.1.1.1", '"', ";", ",", " ", "for=", "\\", "=", "[", "]", "a"])
    )
    .map("".join)
    .map(str.encode),
)


@pytest.mark.parametrize("row", ROWS, ids=[row["lesson"] for row in ROWS])
def test_every_row_of_the_corpus_ends_as_its_lesson_says(row: dict[str, Any]) -> None:
    found = ClientIPRule(**row["rule"]).resolve(row["peer"], [line.encode("latin-1") for line in row["lines"]])
    assert found.address == row["address"]
    assert found.how == row["how"]
    assert found.reason == row.get("reason")
    if "geo_key" in row:
        assert found.geo_key == row["geo_key"]
    elif found.address is not None:
        assert found.geo_key == geo_key(found.address)
    if "chain" in row:
        assert [f"{hop.text} {hop.role}" for hop in found.chain] == row["chain"]


def test_the_corpus_ends_in_every_way_there_is() -> None:
    assert {row.get("reason") for row in ROWS} == {None, *Unresolved}
    assert {row["how"] for row in ROWS} == set(How)


def written(address: str, *, header: str) -> bytes:
    if header == "Forwarded":
        return (f'for="[{address}]"' if ":" in address else f"for={address}").encode()
    return address.encode()


@given(
    customer=customers,
    proxies=st.lists(trusted, min_size=1, max_size=4),
    forged=st.lists(scribbles, max_size=3),
    header=st.sampled_from(["X-Forwarded-For", "Forwarded"]),
    joined=st.booleans(),
)
def test_nobody_but_a_trusted_proxy_speaks_for_another_address(
    customer: Any, proxies: list[str], forged: list[bytes], header: str, *, joined: bool
) -> None:
    """Whatever the customer wrote, the proxies' addition decides: the customer's own address, or none."""
    address = canonical(str(customer))
    assert address is not None
    added = [written(one, header=header) for one in (address, *proxies[:-1])]
    peer = proxies[-1]
    lines = [*forged, *added]
    if joined and forged:
        lines = [*forged[:-1], b", ".join([forged[-1], *added])]
    found = ClientIPRule(trusted_proxies=PROXIES, header=header).resolve(peer, lines)
    assert found.address in {address, None}
    if header == "X-Forwarded-For" and b",".join(lines).count(b",") < 32:
        assert found.address == address
        assert found.how is How.FORWARDED

    hops = ClientIPRule(trusted_proxies=PROXIES, header=header, trusted_hops=len(proxies)).resolve(peer, lines)
    assert hops.address in {address, None}

    direct = ClientIPRule(trusted_proxies=PROXIES, header=header).resolve(str(customer), lines)
    assert (direct.address, direct.how) == (address, How.PEER)
    refused = ClientIPRule(trusted_proxies=PROXIES, header=header, untrusted_peer="reject").resolve(address, lines)
    assert refused.reason is Unresolved.PEER_NOT_TRUSTED


@given(
    customer=customers,
    proxies=st.lists(trusted, min_size=1, max_size=4),
    junk=st.sampled_from(
        [b"", b"unknown", b"_hidden", b"junk", b"1.2.3.4.5", b"010.1.1.1", b"[::1", b'"', b"1.1.1.1 2.2.2.2"]
    ),
    header=st.sampled_from(["X-Forwarded-For", "Forwarded"]),
    data=st.data(),
)
def test_a_header_that_cannot_be_read_to_the_end_is_not_believed(
    customer: Any, proxies: list[str], junk: bytes, header: str, data: st.DataObject
) -> None:
    elements = [written(one, header=header) for one in (str(customer), *proxies[:-1])]
    broken = data.draw(st.integers(0, len(elements) - 1))
    elements[broken] = b"for=" + junk if header == "Forwarded" else junk
    elements.insert(0, written("1.1.1.1", header=header))
    rules = [
        ClientIPRule(trusted_proxies=PROXIES, header=header),
        ClientIPRule(trusted_proxies=PROXIES, header=header, trusted_hops=len(proxies)),
    ]
    for rule in rules:
        for lines in (elements, [b", ".join(elements)]):
            found = rule.resolve(proxies[-1], lines)
            assert found.address is None
            assert found.geo_key is None
            assert found.reason in {
                Unresolved.ELEMENT_INVALID,
                Unresolved.ELEMENT_OBFUSCATED,
                Unresolved.HEADER_SYNTAX,
            }


@given(
    peer=st.one_of(st.none(), trusted, st.text(max_size=80)),
    lines=st.lists(scribbles, max_size=40),
    header=st.sampled_from(["X-Forwarded-For", "Forwarded", "X-Real-IP"]),
    unix=st.booleans(),
)
def test_resolving_never_raises_and_never_grows(
    peer: str | None, lines: list[bytes], header: str, *, unix: bool
) -> None:
    rule = ClientIPRule(trusted_proxies=PROXIES, header=header, trust_unix_socket=unix)
    found = rule.resolve(peer, lines)
    assert (found.address is None) == (found.reason is not None) == (found.how is How.UNRESOLVED)
    if found.address is not None:
        assert canonical(found.address) == found.address
        assert special_purpose(found.address) is None
        assert [hop.role for hop in found.chain].count(Role.CLIENT) == 1
    assert len(found.chain) <= 33
    for hop in found.chain:
        assert len(hop.text) <= 64
        assert hop.text.isascii()
        assert hop.text.isprintable()


def test_no_header_is_read_where_nobody_is_trusted() -> None:
    assert ClientIPRule(trusted_proxies=()).header_name is None
    assert ClientIPRule(trusted_proxies=PROXIES).header_name == b"x-forwarded-for"
    assert ClientIPRule(trusted_proxies=PROXIES, header="CF-Connecting-IP").header_name == b"cf-connecting-ip"
    assert ClientIPRule(trusted_proxies=(), trust_unix_socket=True).header_name == b"x-forwarded-for"


def test_a_peer_behind_no_proxy_makes_a_chain_of_one() -> None:
    assert ClientIPRule(trusted_proxies=()).resolve("8.8.8.8", ()) == ClientIP(
        "8.8.8.8", How.PEER, None, (Hop("8.8.8.8", Role.CLIENT),), "8.8.8.8"
    )


def test_a_header_is_a_list_by_its_name() -> None:
    assert not is_single_address("X-Forwarded-For")
    assert not is_single_address("Forwarded")
    assert not is_single_address("x-vercel-forwarded-for")
    assert is_single_address("CF-Connecting-IP")
    assert is_single_address("X-Whatever")
    assert ClientIPRule(trusted_proxies=PROXIES, header="X-Whatever").resolve("10.0.0.1", [b"8.8.4.4"]).address


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"trusted_proxies": ["0.0.0.0/0"]}, "client_ip.trusted_proxies: `0.0.0.0/0` is every address there is"),
        ({"trusted_proxies": ["*"]}, "client_ip.trusted_proxies: `*` is not a network"),
        ({"private_clients": ["10.0.0.1/8"]}, "client_ip.private_clients: `10.0.0.1/8`"),
        ({"nat64_prefixes": ["10.0.0.0/8"]}, "client_ip.nat64_prefixes: `10.0.0.0/8`"),
        ({"header": "X-Fowarded-For"}, "did you mean `X-Forwarded-For`?"),
        ({"header": "X_Forwarded_For"}, "did you mean `X-Forwarded-For`?"),
        ({"header": "CF-Connecting-I"}, "did you mean `CF-Connecting-IP`?"),
        ({"header": "X-Forwarded-Host"}, "holds the name that the client asked for"),
        ({"header": "CloudFront-Viewer-Address"}, "the port cannot be told from the address"),
        ({"header": "X-Mine, X-Other"}, "is not the name of one header"),
        ({"header": ""}, "is not the name of one header"),
        ({"trusted_hops": 0}, "client_ip.trusted_hops: 0 is not a number of proxies"),
        ({"trusted_hops": 33}, "client_ip.trusted_hops: 33 is not a number of proxies"),
        ({"trusted_hops": 2, "header": "X-Real-IP"}, "`X-Real-IP` holds one address"),
        ({"trusted_hops": 1, "trusted_proxies": []}, "nobody is trusted"),
        ({"untrusted_peer": "drop"}, "`drop` is neither `use_peer` nor `reject`"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_when_it_is_built(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as refused:
        ClientIPRule(**{"trusted_proxies": PROXIES, **settings})
    assert message in str(refused.value)
    assert str(refused.value).startswith("client_ip.")
