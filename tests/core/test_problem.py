"""Refusals on the wire: exact members, a page that cannot be broken out of, and challenges that clients can read."""

import json
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.customer import LANGUAGES, texts
from gateway.core.decision import parse_instant
from gateway.core.problem import (
    HTML_TYPE,
    JSON_TYPE,
    problem,
    problem_document,
    problem_html,
    problem_json,
    refusal_headers,
)
from gateway.core.reply import WORDS, Reply, TicketTold
from gateway.core.terms import Access, Operation, Proof, Reason
from gateway.core.verdict import Challenge
from gateway.desk.evidence import EvidenceKind

ID = "01970000-0000-7000-8000-000000000000"
SUPPORT = "https://help.example/contact"
TICKET = TicketTold("T-7", parse_instant("2026-11-24T12:00:00Z"), ("signed_note",))
BLOCKED = Reply(
    403,
    Reason.JURISDICTION_BLOCKED,
    *WORDS[Reason.JURISDICTION_BLOCKED],
    Operation.WITHDRAW,
    Access.SUPPORT_ONLY,
    (Operation.SUPPORT,),
)


def _reply(status: int, reason: Reason, challenge: Challenge | None = None) -> Reply:
    title, detail = WORDS[reason]
    return BLOCKED._replace(status=status, reason=reason, title=title, detail=detail, challenge=challenge)


def _header(reply: Reply, name: bytes, **more: object) -> bytes | None:
    return dict(refusal_headers(reply, **more)).get(name)  # type: ignore[arg-type]


def test_the_document_has_exactly_the_members_of_the_contract() -> None:
    assert problem_document(BLOCKED, ID, support_url=SUPPORT) == {
        "type": "urn:gateway:problem:jurisdiction-blocked",
        "title": "Not available in your location",
        "status": 403,
        "detail": "We do not offer this service in your jurisdiction.",
        "reason": "jurisdiction-blocked",
        "decision_id": ID,
        "operation": "withdraw",
        "access": "support_only",
        "allowed_operations": ["support"],
        "ticket_id": None,
        "hold_until": None,
        "evidence_needed": [],
        "support_url": SUPPORT,
    }


def test_a_hold_says_its_ticket_and_its_end() -> None:
    document = problem_document(_reply(403, Reason.HOLD)._replace(ticket=TICKET), ID, support_url=None)
    assert (document["ticket_id"], document["hold_until"]) == ("T-7", "2026-11-24T12:00:00.000000Z")
    assert document["evidence_needed"] == ["signed_note"]


def test_a_request_that_could_not_be_read_has_no_operation() -> None:
    reply = BLOCKED._replace(status=400, reason=Reason.AMBIGUOUS_REQUEST, operation=None, allowed_operations=())
    assert problem_document(reply, ID, support_url=None)["operation"] is None


def test_the_page_promises_nothing_where_nothing_is_open() -> None:
    assert b"stays open" in problem_html(BLOCKED, ID, support_url=None)
    assert b"stays open" not in problem_html(BLOCKED._replace(allowed_operations=()), ID, support_url=None)


def test_a_reply_without_a_reason_is_about_blank() -> None:
    document = problem_document(BLOCKED._replace(reason=None), ID, support_url=None)
    assert (document["type"], document["reason"]) == ("about:blank", None)
    assert b"<dt>Code" not in problem_html(BLOCKED._replace(reason=None), ID, support_url=None)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_words_survive_as_json(title: str, detail: str) -> None:
    body = problem_json(BLOCKED._replace(title=title, detail=detail), ID, support_url=SUPPORT)
    assert body.isascii()
    assert (json.loads(body)["title"], json.loads(body)["detail"]) == (title, detail)


class _Page(HTMLParser):
    def __init__(self, page: bytes) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str | None] = []
        self.text = ""
        self.feed(page.decode("utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value for name, value in attrs if name in {"href", "src"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_is_self_contained_and_says_what_matters() -> None:
    page = _Page(problem_html(BLOCKED, ID, support_url=SUPPORT))
    for words in (*WORDS[Reason.JURISDICTION_BLOCKED], ID, "jurisdiction-blocked", "contact support"):
        assert words in page.text
    assert page.links == [SUPPORT]
    assert not {"script", "img", "link", "iframe", "form"} & set(page.tags)
    assert {"main", "h1", "title", "dl"} <= set(page.tags)


def test_the_page_of_a_hold_says_its_ticket_and_its_end() -> None:
    page = problem_html(_reply(403, Reason.HOLD)._replace(ticket=TICKET), ID, support_url=None)
    assert b"<dd><code>T-7</code></dd>" in page
    assert b'<time datetime="2026-11-24T12:00:00.000000Z">' in page


@pytest.mark.parametrize(("status", "appeal"), [(403, True), (451, True), (401, True), (400, False), (503, False)])
def test_what_somebody_decided_can_be_appealed(status: int, appeal: bool) -> None:
    text = _Page(problem_html(BLOCKED._replace(status=status), ID, support_url=None)).text
    assert ("people will look at it" in text) is appeal
    assert "give the reference above" in text


@given(st.text(max_size=30), st.text(max_size=30), st.text(max_size=30), st.text(max_size=30))
def test_no_text_breaks_out_of_the_page(title: str, detail: str, decision_id: str, ticket: str) -> None:
    plain = _Page(problem_html(BLOCKED._replace(ticket=TICKET), ID, support_url=SUPPORT))
    reply = BLOCKED._replace(title=f"<script>{title}", detail=f"</p><img src=x>{detail}")
    page = _Page(
        problem_html(
            reply._replace(ticket=TICKET._replace(id=f"'><i>{ticket}")), f'"><b>{decision_id}', support_url=SUPPORT
        )
    )
    assert page.tags == plain.tags


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", " https://x", "JAVASCRIPT:x", ""])
def test_an_address_that_is_no_link_is_not_made_one(url: str) -> None:
    assert _Page(problem_html(BLOCKED, ID, support_url=url)).links == []


@pytest.mark.parametrize("url", [SUPPORT, "http://x.example/?a=1&b=2", "mailto:help@x.example", "/support", '/"><b>'])
def test_an_address_of_support_is_a_link(url: str) -> None:
    assert _Page(problem_html(BLOCKED, ID, support_url=url)).links == [url]


@pytest.mark.parametrize(("accept", "html"), [(b"", False), (b"text/html", True), (b"application/json", False)])
def test_a_page_is_sent_only_to_who_asks_for_one(accept: bytes, html: bool) -> None:
    body, content_type = problem(BLOCKED, ID, accept=accept, support_url=SUPPORT)
    assert content_type == (HTML_TYPE if html else JSON_TYPE)
    assert body.startswith(b"<!doctype html>" if html else b'{"type":')


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_refusal_is_told_in_its_language_and_keeps_its_codes(language: str) -> None:
    words, english = texts(language), problem_document(BLOCKED, ID, support_url=SUPPORT)
    document = problem_document(BLOCKED, ID, language=language, support_url=SUPPORT)
    assert (document["title"], document["detail"]) == words.reasons[Reason.JURISDICTION_BLOCKED]
    assert {**document, "title": "", "detail": ""} == {**english, "title": "", "detail": ""}
    body, _ = problem(BLOCKED, ID, language=language, support_url=SUPPORT)
    assert body.isascii()
    assert json.loads(body) == document


def test_what_a_rule_asks_for_by_a_name_of_its_own_is_told_by_that_name() -> None:
    ticket = TICKET._replace(evidence=("reference", "<b>bill"))
    page = problem_html(_reply(403, Reason.HOLD)._replace(ticket=ticket), ID, support_url=None)
    assert b"<dd>reference, &lt;b&gt;bill</dd>" in page


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_of_a_page_is_left_in_english(language: str) -> None:
    words = texts(language)
    ticket = TICKET._replace(evidence=tuple(map(str, EvidenceKind)))
    source = problem_html(_reply(403, Reason.HOLD)._replace(ticket=ticket), ID, language=language, support_url=None)
    page = _Page(source)
    assert f'<html lang="{language}">'.encode() in source
    said = [*words.reasons[Reason.HOLD], words.operations[Operation.SUPPORT]]
    said += [value for name, value in words.page._asdict().items() if name not in {"appeal", "again"}]
    said += [words.page.appeal.format(support=words.page.support)]
    assert [one for one in said if one not in page.text] == []
    again = _Page(problem_html(_reply(503, Reason.HOLD), ID, language=language, support_url=SUPPORT)).text
    assert words.page.again.format(support=words.page.support) in again


def test_a_refusal_says_its_language_and_what_it_depends_on() -> None:
    assert dict(refusal_headers(BLOCKED))[b"content-language"] == b"en"
    headers = dict(refusal_headers(_reply(401, Reason.CREDENTIAL_EXPIRED), language="pt"))
    assert headers[b"content-language"] == b"pt"
    assert headers[b"vary"] == b"Accept, Accept-Language"
    assert b"Sign in again" in headers[b"www-authenticate"], "read by programs, and ASCII"


def test_a_refusal_is_not_kept_and_its_page_loads_nothing() -> None:
    headers = dict(refusal_headers(BLOCKED))
    assert headers[b"cache-control"] == b"no-store"
    assert headers[b"content-security-policy"].startswith(b"default-src 'none'; style-src 'sha256-")
    assert headers[b"x-content-type-options"] == b"nosniff"
    assert not {b"www-authenticate", b"retry-after", b"link", b"connection"} & set(headers)


@pytest.mark.parametrize(
    ("reason", "challenge", "expected"),
    [
        (Reason.CREDENTIAL_REQUIRED, None, b'Bearer realm="gateway"'),
        (Reason.CREDENTIAL_REQUIRED, Challenge(Proof.SIGN_IN, None), b'Bearer realm="gateway"'),
        (
            Reason.CREDENTIAL_EXPIRED,
            Challenge(Proof.SIGN_IN, None),
            b'Bearer realm="gateway", error="invalid_token", error_description="Sign in again"',
        ),
        (
            Reason.CREDENTIAL_INVALID,
            None,
            b'Bearer realm="gateway", error="invalid_token", error_description="Sign in again"',
        ),
        (
            Reason.STEP_UP_REQUIRED,
            Challenge(Proof.MFA, 300),
            (
                b'Bearer realm="gateway", error="insufficient_user_authentication", '
                b'error_description="Confirm that it is you", acr_values="mfa", max_age="300"'
            ),
        ),
        (
            Reason.UNFAMILIAR_LOGIN,
            Challenge(Proof.PHISHING_RESISTANT, None),
            (
                b'Bearer realm="gateway", error="insufficient_user_authentication", '
                b'error_description="We did not recognise this sign-in", acr_values="phishing_resistant"'
            ),
        ),
    ],
)
def test_a_challenge_says_what_would_satisfy_it(reason: Reason, challenge: Challenge | None, expected: bytes) -> None:
    assert _header(_reply(401, reason, challenge), b"www-authenticate") == expected


def test_a_proof_goes_by_the_name_that_the_identity_provider_knows() -> None:
    reply = _reply(401, Reason.STEP_UP_REQUIRED, Challenge(Proof.MFA, None))
    value = _header(reply, b"www-authenticate", acr_values={Proof.MFA: 'urn:example:"strong"\r\nX: y\\'})
    assert value is not None
    assert value.endswith(b'acr_values="urn:example:strongX: y"')


def test_an_outage_says_when_to_come_back() -> None:
    assert _header(BLOCKED._replace(status=503, retry_after_s=5), b"retry-after") == b"5"


def test_an_ambiguous_request_ends_its_connection() -> None:
    assert _header(BLOCKED._replace(status=400), b"connection") == b"close"


def test_a_legal_block_names_who_implements_it_where_that_is_configured() -> None:
    reply = BLOCKED._replace(status=451)
    assert _header(reply, b"link") is None
    assert _header(reply, b"link", blocked_by="https://x.example/") == b'<https://x.example/>; rel="blocked-by"'
    assert _header(BLOCKED, b"link", blocked_by="https://x.example/") is None


def test_no_address_breaks_out_of_the_link_header() -> None:
    link = _header(BLOCKED._replace(status=451), b"link", blocked_by='https://x>\r\n"é')
    assert link == b'<https://x%3E%0D%0A%22%C3%A9>; rel="blocked-by"'


def test_programs_are_told_the_trace_that_they_sent_and_nothing_else() -> None:
    body, _ = problem(BLOCKED, ID, traceparent=b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
    assert json.loads(body)["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    body, _ = problem(BLOCKED, ID, traceparent=b"00-<script>")
    assert "trace_id" not in json.loads(body)
