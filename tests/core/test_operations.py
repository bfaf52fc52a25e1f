"""Operations: no request reaches a protected one under another spelling."""

import posixpath
import re
from collections.abc import Iterator
from urllib.parse import unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.convertors import CONVERTOR_TYPES
from starlette.routing import compile_path

from gateway.core.errors import ConfigError
from gateway.core.operations import METHODS, OperationTable, check_method
from gateway.core.target import Ambiguous, canonical_target
from gateway.core.terms import LEVELS, Access, Ambiguity, Operation

LENIENT = {Operation.VIEW, Operation.LOGIN, Operation.SUPPORT}
PROTECTED = [
    ("withdraw", "/api/v1/withdrawals"),
    ("withdraw", "/api/v1/withdrawals/{id:int}/confirm"),
    ("security", "/api/v1/Keys/"),
    ("trade.spot", "/api/v1/orders/{rest:path}"),
    ("deposit", "/api/v1/deposits/{id}.json"),
    ("transfer", "/files/{kind}-{id:uuid}/send"),
]
LENIENT_ROUTES = [
    ("support", "/api/v1/tickets"),
    ("login", "/session/{name:int}"),
    ("view", "/public/{rest:path}"),
    ("view", "/prices/{base}-{quote}"),
]
TABLE = OperationTable([(operation, (), path) for operation, path in PROTECTED + LENIENT_ROUTES])
SAMPLES = [
    ("/api/v1/withdrawals", Operation.WITHDRAW),
    ("/api/v1/withdrawals/17/confirm", Operation.WITHDRAW),
    ("/api/v1/Keys", Operation.SECURITY),
    ("/api/v1/orders", Operation.TRADE_SPOT),
    ("/api/v1/orders/a/b", Operation.TRADE_SPOT),
    ("/api/v1/deposits/x.json", Operation.DEPOSIT),
    ("/files/a-0190b5c4-7a1e-7c3d-8f21-5d1c3a9e4b70/send", Operation.TRANSFER),
]


def no_wider(operation: Operation, than: Operation) -> bool:
    """Whether every named level that opens `operation` opens `than` as well."""
    return all(than in opened for opened in LEVELS.values() if operation in opened)


# Spelling tricks: each takes a target and a place in it.
TRICKS = {
    "case": lambda text, at: text[:at] + text[at : at + 1].swapcase() + text[at + 1 :],
    "all capitals": lambda text, _: text.upper(),
    "escape": lambda text, at: text[:at] + f"%{ord(text[at]):02x}" + text[at + 1 :] if at < len(text) else text,
    "escape twice": lambda text, at: text[:at] + f"%25{ord(text[at]):02x}" + text[at + 1 :] if at < len(text) else text,
    "trailing slash": lambda text, _: text + "/",
    "two slashes": lambda text, at: text[:at] + "/" + text[at:],
    "dot segment": lambda text, at: text[:at] + "/./" + text[at:],
    "climb": lambda text, _: "/public/.." + text,
    "climb, escaped": lambda text, _: "/public/%2e%2e" + text,
    "climb, slash escaped": lambda text, _: "/public/..%2f" + text[1:],
    "climb, backslash": lambda text, _: "/public\\.." + text,
    "climb, path parameter": lambda text, _: "/public/..;x" + text,
    "climb out again": lambda text, _: text + "/x/..",
    "path parameter": lambda text, at: text[:at] + ";a=b" + text[at:],
    "trailing dot": lambda text, _: text + ".",
    "fragment": lambda text, _: text + "#/public/x",
    "fragment in front": lambda text, _: "/public/x#" + text,
    "NUL": lambda text, _: text + "%00.css",
    "line feed": lambda text, at: text[:at] + "%0a" + text[at:],
    "blank": lambda text, at: text[:at] + "%20" + text[at:],
    "tab": lambda text, at: text[:at] + "\t" + text[at:],
    "backslash": lambda text, _: text.replace("/", "\\"),
    "escaped slash": lambda text, _: text[:1] + text[1:].replace("/", "%2F"),
    "overlong": lambda text, _: text[:1] + text[1:].replace("/", "%c0%af"),
    "full width": lambda text, at: text[:at] + "%EF%BD%97" + text[at:],
    "authority": lambda text, _: "/" + text,
    "absolute form": lambda text, _: "http://api.exchange.example" + text,
    "another authority": lambda text, _: "http://evil.example" + text,
    "suffix": lambda text, _: text + ".json",
}


def readings(target: str) -> Iterator[str]:
    """The paths that common servers, frameworks and file systems make of a target."""
    text = re.sub(r"(?i)^https?://[^/]*", "", target)
    for cut in (text, text.split("#", maxsplit=1)[0], text.split("?", maxsplit=1)[0]):
        once = unquote(cut)
        for decoded in (cut, once, unquote(once)):
            for slashed in (decoded, decoded.replace("\\", "/")):
                for bare in (slashed, re.sub(r";[^/]*", "", slashed), slashed.split("\0", maxsplit=1)[0]):
                    tidy = "/" + posixpath.normpath("/" + "".join(sign for sign in bare if sign > " ")).lstrip("/")
                    yield tidy
                    yield tidy.rstrip(". ")


PATTERNS = [(Operation(operation), compile_path(path.lower().rstrip("/"))[0]) for operation, path in PROTECTED]


def protected_by(path: str) -> Operation | None:
    """The protected operation that Starlette's own patterns find, asked in lower case and without the last slash."""
    bare = path.lower().rstrip("/")
    return next(
        (operation for operation, pattern in PATTERNS for one in (bare, bare + "/") if pattern.fullmatch(one)), None
    )


@given(
    sample=st.sampled_from(SAMPLES),
    tricks=st.lists(st.tuples(st.sampled_from(sorted(TRICKS)), st.integers(0, 60)), max_size=4),
    method=st.sampled_from(METHODS),
)
@example(sample=SAMPLES[0], tricks=[("all capitals", 0), ("trailing slash", 0)], method="GET")
@example(sample=SAMPLES[3], tricks=[("trailing slash", 0)], method="HEAD")
def test_no_request_reaches_a_protected_operation_under_another_spelling(
    sample: tuple[str, Operation], tricks: list[tuple[str, int]], method: str
) -> None:
    """A spelling is refused, or it is the same operation, or one that is no wider; never a lenient one."""
    target, operation = sample
    for trick, at in tricks:
        target = TRICKS[trick](target, at % (len(target) + 1))
    read = canonical_target(target.encode("utf-8"), b"api.exchange.example")
    if isinstance(read, Ambiguous):
        return
    found = TABLE.classify(method, read)
    meant = {protected_by(reading) for reading in readings(target)} - {None}
    for one in meant:
        assert found not in LENIENT
        assert no_wider(found, one)
    if not tricks:
        assert meant == {operation}
        assert found is operation


def test_the_readings_of_others_see_through_every_trick() -> None:
    """Were nothing refused, each of these tricks would reach the operation: the theorem above is not empty."""
    reached = {
        trick
        for trick, play in TRICKS.items()
        if any(protected_by(reading) is Operation.WITHDRAW for reading in readings(play("/api/v1/withdrawals", 4)))
    }
    assert set(TRICKS) - reached == {"fragment in front", "overlong", "full width", "suffix"}


@given(
    route=st.sampled_from(PROTECTED + LENIENT_ROUTES),
    path=st.one_of(
        st.sampled_from([path for path, _ in SAMPLES]),
        st.lists(
            st.sampled_from(
                ["api", "v1", "orders", "keys", "Keys", "files", "17", "x", "a-b", "1.5", "prices", "public"]
            ),
            max_size=5,
        ).map(lambda parts: "/" + "/".join(parts)),
        st.lists(
            st.sampled_from(["public", "session", "prices", "7", "a-b", "x-y-z", "a"]), min_size=1, max_size=3
        ).map(lambda parts: "/" + "/".join(parts)),
    ),
)
def test_a_protected_route_takes_all_that_starlette_takes_and_a_lenient_one_no_more(
    route: tuple[str, str], path: str
) -> None:
    operation, template = route
    assert set(CONVERTOR_TYPES) >= {"str", "int", "float", "uuid", "path"}
    pattern, _, _ = compile_path(template)
    ours = OperationTable([(operation, ["POST"], template)]).classify("POST", path) is not Operation.UNCLASSIFIED
    theirs = pattern.fullmatch(path) is not None
    if Operation(operation) in LENIENT:
        slashed = path.removesuffix("/") or "/", path.removesuffix("/") + "/"
        assert not ours or any(pattern.fullmatch(spelling) for spelling in (path, *slashed))
    else:
        assert ours or not theirs


@pytest.mark.parametrize(
    ("method", "path", "operation"),
    [
        ("POST", "/api/v1/withdrawals", Operation.WITHDRAW),
        ("POST", "/API/V1/WITHDRAWALS/", Operation.WITHDRAW),
        ("HEAD", "/api/v1/keys", Operation.SECURITY),
        ("GET", "/api/v1/keys/", Operation.SECURITY),
        ("POST", "/api/v1/withdrawals/not-a-number/confirm", Operation.WITHDRAW),
        ("POST", "/api/v1/withdrawals/1/2/confirm", Operation.UNCLASSIFIED),
        ("POST", "/api/v1/orders", Operation.TRADE_SPOT),
        ("POST", "/api/v1/orders/", Operation.TRADE_SPOT),
        ("POST", "/api/v1/orders/1/fills", Operation.TRADE_SPOT),
        ("POST", "/api/v1/ordersx", Operation.UNCLASSIFIED),
        ("POST", "/api/v1/deposits/1.JSON", Operation.DEPOSIT),
        ("POST", "/api/v1/deposits/1.xml", Operation.UNCLASSIFIED),
        ("POST", "/files/a-b-c/send", Operation.TRANSFER),
        ("POST", "/api/v1/tickets", Operation.SUPPORT),
        ("POST", "/api/v1/tickets/", Operation.SUPPORT),
        ("POST", "/api/v1/Tickets", Operation.UNCLASSIFIED),
        ("POST", "/session/7", Operation.LOGIN),
        ("POST", "/session/7/", Operation.LOGIN),
        ("POST", "/session/x", Operation.UNCLASSIFIED),
        ("POST", "/public/", Operation.VIEW),
        ("POST", "/public", Operation.UNCLASSIFIED),
        ("POST", "/prices/BTC-USD", Operation.VIEW),
        ("POST", "/prices/BTC-USD-PERP", Operation.VIEW),
        ("POST", "/prices/BTC", Operation.UNCLASSIFIED),
        ("POST", "/", Operation.UNCLASSIFIED),
        ("GET", "/nothing", Operation.VIEW),
        ("HEAD", "/nothing", Operation.VIEW),
        ("OPTIONS", "/nothing", Operation.VIEW),
        ("DELETE", "/nothing", Operation.UNCLASSIFIED),
        ("PROPFIND", "/public/x", Operation.UNCLASSIFIED),
    ],
)
def test_a_request_is_classified_by_the_first_route_that_may_be_meant(
    method: str, path: str, operation: Operation
) -> None:
    assert TABLE.classify(method, path) is operation


def test_the_first_match_wins_in_both_ways_of_matching() -> None:
    table = OperationTable(
        [
            ("view", ["GET"], "/a/{id:int}"),
            ("security", ["GET"], "/a/{name}"),
            ("withdraw", ["POST"], "/a/b"),
            ("trade.spot", ["POST"], "/a/{rest:path}"),
            ("support", [], "/a/{rest:path}"),
        ]
    )
    assert table.classify("GET", "/a/7") is Operation.VIEW
    assert table.classify("GET", "/a/seven") is Operation.SECURITY
    assert table.classify("POST", "/a/b/") is Operation.WITHDRAW
    assert table.classify("POST", "/a/c") is Operation.TRADE_SPOT
    assert table.classify("PUT", "/a/c") is Operation.SUPPORT
    assert table.classify("GET", "/a/b/c") is Operation.SUPPORT


def test_routes_are_matched_in_canonical_form() -> None:
    table = OperationTable([("withdraw", [], "/%7Eapi/%77ithdraw"), ("support", [], "/hel%70"), ("deposit", [], "/")])
    assert table.classify("POST", "/~API/withdraw") is Operation.WITHDRAW
    assert table.classify("POST", "/help") is Operation.SUPPORT
    assert table.classify("POST", "/") is Operation.DEPOSIT


def test_an_empty_table_knows_reading_from_writing() -> None:
    table = OperationTable([])
    assert [table.classify(method, "/x") for method in METHODS] == [
        Operation.VIEW, Operation.VIEW, Operation.UNCLASSIFIED, Operation.UNCLASSIFIED, Operation.UNCLASSIFIED,
        Operation.UNCLASSIFIED, Operation.VIEW,
    ]  # fmt: skip


def test_what_no_route_names_is_open_to_full_access_alone() -> None:
    assert [level for level, opened in LEVELS.items() if Operation.UNCLASSIFIED in opened] == [Access.FULL]


@given(path=st.text("-a./", max_size=2000))
def test_a_long_path_costs_no_more_than_its_length(path: str) -> None:
    table = OperationTable(
        [
            ("withdraw", [], "/a/{x}-{y}-{z}-{w}.json"),
            ("view", [], "/b/{x}-{y}-{z}-{w}.json"),
            ("transfer", [], "/c/{p:path}/x/{q}/y"),
        ]
    )
    for begin in ("/a/", "/b/", "/c/"):
        table.classify("POST", begin + path + "!")


@pytest.mark.parametrize("method", METHODS)
def test_a_method_of_the_list_is_read(method: str) -> None:
    assert check_method(method) is None


@pytest.mark.parametrize(
    "method", ["get", "Post", "TRACE", "CONNECT", "PROPFIND", "", "GET ", "GET\n", "\uff27ET", "\udcff", "M" * 400]
)
def test_any_other_method_is_ambiguous(method: str) -> None:
    refused = check_method(method)
    assert refused is not None
    assert refused.why is Ambiguity.METHOD
    assert len(refused.detail) < 200
    assert refused.detail.replace("…", "").isascii()


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        ([("withdrw", [], "/x")], "operations[0].operation: unknown operation `withdrw`: did you mean `withdraw`?"),
        ([("view", [], "/y"), ("xyz", [], "/x")], "operations[1].operation: unknown operation `xyz`; there are `view`"),
        ([("view", ["HEAD"], "/x")], "operations[0].methods: write `GET`: HEAD counts as GET"),
        ([("view", ["WEBSOCKET"], "/x")], "a WebSocket handshake is GET"),
        ([("view", ["post"], "/x")], "did you mean `POST`?"),
        ([("view", ["TRACE"], "/x")], "`TRACE` is not passed on by the gateway"),
        ([("view", [], "x")], "operations[0].path: `x` does not begin with `/`: did you mean `/x`?"),
        ([("view", [], "/{id:itn}")], "unknown converter `itn` in `/{id:itn}`: did you mean `int`?"),
        ([("view", [], "/{id:}")], "unknown converter ``"),
        ([("view", [], "/{}")], "needs a name"),
        ([("view", [], "/{2}")], "needs a name"),
        ([("view", [], "/{a}{b}")], "nothing between two parameters"),
        ([("view", [], "/{a:path}/{b:path}")], "more than one `:path`"),
        ([("view", [], "/{a")], "no request can have the path `/{a`: `{` at 1"),
        ([("view", [], "/a//b")], "an empty segment"),
        ([("view", [], "/a/../b")], "a segment that ends in a dot"),
        ([("view", [], "/a?b=c")], "`?` at 2"),
        ([("view", [], "/%2f")], "the escape `%2f`"),
        ([("view", [], "/a%4{x}")], "without two hexadecimal digits"),
        ([("view", [], "/é")], "no request can have the path `/é`"),
        (
            [("view", [], "/x"), ("view", [], "/x/")],
            "operations[1] (view, any method, `/x/`) is operations[0] (view, any",
        ),
        (
            [("trade.spot", ["GET", "PUT"], "/{a}"), ("withdraw", ["PUT"], "/{b}")],
            "(withdraw, PUT, `/{b}`) is operations[0]",
        ),
        (
            [("view", [], "/api/{rest:path}"), ("withdraw", ["POST"], "/api/w")],
            "is never reached: operations[0] (view, any",
        ),
        ([("trade.spot", ["POST"], "/o/{id:int}"), ("view", ["POST"], "/o/sum")], "put the narrower first"),
        ([("view", ["GET"], "/{a}"), ("security", ["GET", "POST"], "/{b:uuid}")], "is never reached"),
    ],
)
def test_a_route_that_cannot_be_is_refused_with_what_was_meant(
    routes: list[tuple[str, list[str], str]], message: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        OperationTable(routes)
    assert message in str(refused.value)


def test_a_rest_may_follow_what_it_is_the_rest_of() -> None:
    table = OperationTable(
        [("view", ["GET"], "/o/{p:path}"), ("trade.spot", [], "/o/{p:path}"), ("trade.spot", ["PUT"], "/o/x")]
    )
    assert table.classify("GET", "/o/x") is Operation.VIEW
    assert table.classify("POST", "/o/x") is Operation.TRADE_SPOT
