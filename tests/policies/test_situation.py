"""The situation of a decision in sentences: what was asked, from where, and by whom."""

from typing import Any

import pytest

from gateway.core.decision import Document
from gateway.core.masking import EVERYTHING, Personal, masked
from gateway.policies.situation import address, asked, customer, databases

DOCUMENT: Document = {
    "id": "d",
    "at": "2026-11-21T12:00:00.000000Z",
    "request": {"method": "GET", "path": "/p", "host": "h", "user_agent": "curl/8"},
    "operation": "transfer",
    "client_ip": {
        "address": "203.0.113.9",
        "how": "hops",
        "reason": None,
        "chain": [{"text": "10.0.0.1", "role": "trusted"}, {"text": "203.0.113.9", "role": "client"}],
    },
    "facts": {"country": "PT", "network": [], "credential": "session", "token": "valid", "account": "alice",
              "status": "flagged", "documents": ["PT", "US"], "flags": ["b", "a"], "residence": None},
    "unknown": {
        "asn": {"why": "no-record"}, "subdivision": {"why": "no-record"}, "holds": {"why": "store-unavailable"},
    },
    "editions": ["country 2026-11-20 aa", "my lists 2026-10-01 bb", "odd"],
}  # fmt: skip


def _seen(*kinds: Personal, **more: Any) -> Document:
    return masked({**DOCUMENT, **more}, frozenset(kinds))


def _with(**facts: Any) -> Document:
    return masked({**DOCUMENT, "facts": {**DOCUMENT["facts"], **facts}}, EVERYTHING)


def test_what_was_asked_is_said_in_words() -> None:
    assert list(asked(_seen())) == [
        "`GET` `/p` on `h`, at 2026-11-21T12:00:00.000000Z.",
        "That is the operation `transfer`: to transfer between their own accounts.",
        "What the client called itself is not shown here.",
    ]
    assert list(asked(_seen(Personal.USER_AGENT)))[-1] == "The client called itself `curl/8`."
    assert "something that no route names" in list(asked(_seen(operation="unclassified")))[1]
    assert list(asked(_seen(operation=None)))[1] == "It could not be read as any operation."


def test_a_message_is_told_with_its_name_and_the_stream_that_it_came_on() -> None:
    told = {"message": {"name": "order.*", "opened_by": "0197"}}
    assert list(asked(_seen(**told)))[1] == (
        "It was a message, of the name `order.*`, on the stream that decision `0197` opened."
    )
    told["message"]["name"] = None
    assert "of no name that is known here" in list(asked(_seen(**told)))[1]


def test_the_address_is_told_hop_by_hop_as_far_as_it_may_be_seen() -> None:
    assert list(address(_seen(Personal.ADDRESSES))) == [
        "`203.0.113.9`: the address as many hops away as is configured.",
        "Hop 1, nearest us: `10.0.0.1`, a trusted proxy.",
        "Hop 2: `203.0.113.9`, the client.",
    ]
    assert next(address(_seen())).startswith("`203.0.113.0/24`: ")
    assert list(address(_seen()))[-1] == "Of each address only its network is shown here."


def test_no_address_is_told_with_its_cause() -> None:
    nobody: Document = {"address": None, "how": "unresolved", "reason": "all-trusted", "chain": []}
    assert next(address(_seen(client_ip=nobody))) == (
        "None: every address on the way is that of a trusted proxy. Everything about the connection is unknown."
    )


def test_the_databases_are_told_with_their_age_and_their_doubts() -> None:
    assert list(databases(_seen(), digests=False)) == [
        "Certain: country `PT`; kind of network nothing noted.",
        "The region and the network operator's number are unknown, because the databases have no record.",
        "Databases: `country` of 2026-11-20 (1 day old), `my lists` of 2026-10-01 (51 days old) and `odd`.",
        "An address says where a connection comes out: it is evidence of a place, not proof of it.",
    ]
    assert "`country 2026-11-20 aa` (1 day old)" in list(databases(_seen(), digests=True))[2]
    assert "No database was in use." in list(databases(_seen(editions=[]), digests=False))


def test_the_account_is_told_with_its_standing_and_countries_as_a_count() -> None:
    said = list(customer(_seen()))
    assert said[0] == "The request came with a session, which was valid."
    assert "Account `alice`." in said
    assert "Uncertain: holds, unknown, because the store did not answer." in said
    assert said[-1] == (
        "The account: status `flagged` (under review); marks `a` and `b`; documents of 2 countries, not shown here; "
        "residence none."
    )
    assert "documents `PT` and `US`" in list(customer(_seen(*EVERYTHING)))[-1]


@pytest.mark.parametrize(
    ("facts", "sentence"),
    [
        ({"credential": "none"}, "Nobody was signed in: no credential came."),
        ({"token": "expired"}, "So nobody counted as signed in."),
        ({"assurance": 2, "auth_age": 9}, "They had proved who they are with a second factor, 9 seconds before."),
        ({"assurance": 3}, "They had proved who they are with a factor that resists phishing."),
        (
            {"credential": "api_key", "assurance": 1},
            "An API key shows that the caller has the key, and no more than that.",
        ),
        ({"signals": ["impossible_travel"]}, "Measured: `impossible_travel`, the last place is farther away than"),
        ({"signals": ["new"]}, "Measured: `new`."),
        ({"risk": "high", "destination": None}, "Besides: risk `high`."),
    ],
)
def test_each_thing_that_is_known_of_the_customer_is_said(facts: dict[str, Any], sentence: str) -> None:
    assert any(one.startswith(sentence) for one in customer(_with(**facts)))


def test_a_trace_is_told_where_the_request_said_one() -> None:
    request = {**DOCUMENT["request"], "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "parent_id": "00f067aa0ba902b7"}
    assert list(asked(_seen(request=request)))[-1] == (
        "It said that it was a part of the trace `4bf92f3577b34da6a3ce929d0e0e4736`."
    )
