"""RFC 7239 and list headers: what is written comes back, and what is not RFC 7239 does not."""

from ipaddress import IPv4Address, IPv6Address, ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.forwarded import (
    forwarded_elements,
    is_obfuscated,
    list_address,
    list_elements,
    node_address,
)

TOKEN = "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
tokens = st.text(TOKEN, min_size=1, max_size=8)
texts = st.text([chr(code) for code in (9, *range(32, 127))], max_size=12)


def quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


pairs = st.tuples(tokens.filter(lambda name: name.lower() != "for"), st.one_of(tokens, texts.map(quoted)))
nodes = st.one_of(
    st.none(),
    st.ip_addresses(v=4).map(str),
    st.ip_addresses(v=6).map(lambda address: f'"[{address}]:443"'),
)


@st.composite
def elements(draw: st.DrawFn) -> tuple[str | None, str]:
    """One element of the header: its `for` value and its text."""
    node = draw(nodes)
    others = draw(st.lists(pairs, max_size=3, unique_by=lambda pair: pair[0].lower()))
    parts = [f"{name}={value}" for name, value in others]
    if node is not None:
        parts.insert(draw(st.integers(0, len(parts))), f"{draw(st.sampled_from(['for', 'For', 'FOR']))}={node}")
    elif not parts:
        parts = ["proto=https"]
    return (None if node is None else node.strip('"')), draw(st.sampled_from([";", ";;"])).join(parts)


@given(written=st.lists(elements(), min_size=1, max_size=5), comma=st.sampled_from([",", ", ", " ,\t"]))
def test_what_is_written_by_rfc_7239_is_read_back(written: list[tuple[str | None, str]], comma: str) -> None:
    expected = [node for node, _ in written]
    texts = [text for _, text in written]
    assert forwarded_elements([comma.join(texts).encode()]) == expected
    assert forwarded_elements([text.encode() for text in texts]) == expected


@given(written=st.lists(elements(), min_size=1, max_size=3), data=st.data())
def test_a_quote_left_open_spoils_the_whole_header(written: list[tuple[str | None, str]], data: st.DataObject) -> None:
    lines = [text.encode() for _, text in written]
    spoiled = data.draw(st.integers(0, len(lines)))
    lines.insert(spoiled, b'for=1.1.1.1;host="')
    assert forwarded_elements(lines) is None


@given(line=st.binary(max_size=60))
def test_reading_never_raises(line: bytes) -> None:
    forwarded = forwarded_elements([line])
    assert forwarded is None or len(forwarded) == 1 + line.count(b",") or b'"' in line
    for element in list_elements([line]):
        assert element is not None
        list_address(element)
        node_address(element)
        is_obfuscated(element)


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b",",
        b";",
        b"for",
        b"for=",
        b"=x",
        b"for=x,",
        b",for=x",
        b'for="x',
        b'for="\\',
        b"a=1;A=2",
        b'a="\x7f"',
        b"a=b c",
        b"for=x\n",
    ],
)
def test_what_is_not_rfc_7239_has_no_elements(line: bytes) -> None:
    assert forwarded_elements([b"for=8.8.4.4", line]) is None


def test_a_list_is_split_and_nothing_else() -> None:
    assert list_elements([b"a, b ,\tc", b"", b"\xff\x0b"]) == ["a", "b", "c", "", "\xff\x0b"]


@given(address=st.ip_addresses(), port=st.integers(0, 65535))
def test_an_address_is_read_with_and_without_a_port(address: IPv4Address | IPv6Address, port: int) -> None:
    text = f"[{address}]" if address.version == 6 else str(address)
    found = node_address(text)
    assert found is not None
    assert found == node_address(f"{text}:{port}") == node_address(f"{text}:_port") == list_address(str(address))
    bits, number = found
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    expected = mapped or address
    assert (IPv4Address(number) if bits == 32 else IPv6Address(number)) == ip_address(str(expected))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8.8.4.4:",
        "8.8.4.4:65536",
        "8.8.4.4:123456",
        "8.8.4.4:x",
        "8.8.4.4:_",
        "[8.8.4.4]",
        "[::1",
        "::1]",
        "[]",
        "[:]",
        "2a00::1",
        "[[2a00::1]]",
        "unknown",
    ],
)
def test_what_is_no_node_has_no_address(text: str) -> None:
    assert node_address(text) is None


def test_ipv6_without_brackets_has_no_port() -> None:
    assert list_address("2a00::1:8080") == (128, int(IPv6Address("2a00::1:8080")))
    assert list_address("2a00:1:2:3:4:5:6:7:8080") is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("unknown", True),
        ("UNKNOWN", True),
        ("unknown:80", True),
        ("_a.b-c", True),
        ("_a:1", True),
        ("_", False),
        ("_a b", False),
        ("unknowns", False),
        ("8.8.4.4", False),
    ],
)
def test_an_obfuscated_element_is_known_as_such(text: str, *, expected: bool) -> None:
    assert is_obfuscated(text) is expected
