"""Refusals on the wire: a Reply as problem details (RFC 9457) or as a page, and the headers that go with it."""

import base64
import hashlib
import json
from collections.abc import Mapping
from html import escape
from typing import Any, Final
from urllib.parse import quote

from gateway.core.customer import DEFAULT, Page, texts, words_of
from gateway.core.decision import instant_text
from gateway.core.preference import wants_html
from gateway.core.reply import Reply
from gateway.core.terms import Proof, Reason
from gateway.core.trace_context import trace_parent

JSON_TYPE: Final = b"application/problem+json"
HTML_TYPE: Final = b"text/html; charset=utf-8"

_STYLE: Final = (
    ":root{color-scheme:light dark}"
    "body{font:1.0625rem/1.55 system-ui,sans-serif;max-width:36rem;margin:12vh auto 4rem;padding:0 1.25rem}"
    "h1{font-size:1.5rem;line-height:1.25}"
    "dl{margin:2rem 0;padding:1rem 0;border:solid;border-width:1px 0}"
    "dt{font-weight:600}dd{margin:0 0 .75rem;overflow-wrap:anywhere}dd:last-child{margin:0}"
    "code{font-size:.95em}"
)
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode("ascii")).digest()).decode("ascii")

_EVIDENCE: Final = frozenset({"selfie_with_document", "signed_note", "old_channel_confirmation", "identity_result"})
"""What tickets ask for, as `core.customer.Page` has words for it."""

_GUARDS: Final = (
    (b"cache-control", b"no-store"),
    (
        b"content-security-policy",
        f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'".encode("ascii"),
    ),
    (b"referrer-policy", b"no-referrer"),
    (b"vary", b"Accept, Accept-Language"),
    (b"x-content-type-options", b"nosniff"),
)


def problem(
    reply: Reply,
    decision_id: str,
    *,
    accept: bytes = b"",
    language: str = DEFAULT,
    support_url: str | None = None,
    traceparent: bytes = b"",
) -> tuple[bytes, bytes]:
    """Return the body of a refusal and its content type: a page where `accept` asks for one, else JSON.

    `language` is one of `core.customer.LANGUAGES`; `traceparent` is what the request said of its trace, which programs
    are told again.
    """
    if wants_html(accept):
        return problem_html(reply, decision_id, language=language, support_url=support_url), HTML_TYPE
    trace = trace_parent(traceparent)
    trace_id = None if trace is None else trace.trace_id
    return problem_json(reply, decision_id, language=language, support_url=support_url, trace_id=trace_id), JSON_TYPE


def problem_document(
    reply: Reply, decision_id: str, *, language: str = DEFAULT, support_url: str | None, trace_id: str | None = None
) -> dict[str, Any]:
    """Return the refusal as a JSON object, `hold_until` as RFC 3339 text; a trace where there is one."""
    title, detail = words_of(reply, language)
    ticket = reply.ticket
    document = {
        "type": "about:blank" if reply.reason is None else f"urn:gateway:problem:{reply.reason}",
        "title": title,
        "status": reply.status,
        "detail": detail,
        "reason": None if reply.reason is None else str(reply.reason),
        "decision_id": decision_id,
        "operation": None if reply.operation is None else str(reply.operation),
        "access": str(reply.access),
        "allowed_operations": [str(operation) for operation in reply.allowed_operations],
        "ticket_id": None if ticket is None else ticket.id,
        "hold_until": None if ticket is None or ticket.until is None else instant_text(ticket.until),
        "evidence_needed": [] if ticket is None else list(ticket.evidence),
        "support_url": support_url,
    }
    return document if trace_id is None else {**document, "trace_id": trace_id}


def problem_json(
    reply: Reply, decision_id: str, *, language: str = DEFAULT, support_url: str | None, trace_id: str | None = None
) -> bytes:
    """Return the refusal as problem details, in ASCII."""
    document = problem_document(reply, decision_id, language=language, support_url=support_url, trace_id=trace_id)
    return json.dumps(document, separators=(",", ":")).encode("ascii")


def problem_html(reply: Reply, decision_id: str, *, language: str = DEFAULT, support_url: str | None) -> bytes:
    """Return the refusal as a page of its own: no script, nothing loaded, everything escaped."""
    words = texts(language)
    page = words.page
    rows = [(page.reference, f"<code>{escape(decision_id)}</code>")]
    if reply.reason is not None:
        rows.append((page.code, f"<code>{escape(reply.reason)}</code>"))
    if reply.ticket is not None:
        rows.append((page.ticket, f"<code>{escape(reply.ticket.id)}</code>"))
    if reply.ticket is not None and reply.ticket.until is not None:
        when = escape(instant_text(reply.ticket.until))
        rows.append((page.hold_until, f'<time datetime="{when}">{when}</time>'))
    if reply.ticket is not None and reply.ticket.evidence:
        # What a rule asks for by a name of its own is told by that name.
        asked = [getattr(page, one) if one in _EVIDENCE else one for one in reply.ticket.evidence]
        rows.append((page.needed, escape(", ".join(asked))))
    if reply.allowed_operations:
        rows.append((page.still_open, escape(", ".join(words.operations[one] for one in reply.allowed_operations))))
    facts = "".join(f"<dt>{escape(term)}</dt><dd>{value}</dd>" for term, value in rows)
    title, detail = map(escape, words_of(reply, language))
    document = (
        f'<!doctype html><html lang="{language}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">'
        f"<title>{title}</title><style>{_STYLE}</style></head><body><main><h1>{title}</h1>"
        f"<p>{detail}</p><dl>{facts}</dl>{_appeal(reply, page, support_url)}</main></body></html>"
    )
    return document.encode("utf-8", "replace")


def refusal_headers(
    reply: Reply,
    *,
    language: str = DEFAULT,
    acr_values: Mapping[Proof, str] | None = None,
    blocked_by: str | None = None,
) -> list[tuple[bytes, bytes]]:
    """Return the headers of a refusal, all but the content's own type and length.

    What programs read is in English in every `language`: it has to be ASCII.

    `acr_values` gives the authentication context that the identity provider knows for each proof; the proof's own
    name where it says nothing. `blocked_by` is the address of who implements a legal block (RFC 7725 section 4).
    """
    headers = [*_GUARDS, (b"content-language", language.encode("ascii"))]
    if reply.status == 401:
        headers.append((b"www-authenticate", _challenge(reply, acr_values or {}).encode("ascii")))
    if reply.retry_after_s is not None:
        headers.append((b"retry-after", b"%d" % reply.retry_after_s))
    if reply.status == 451 and blocked_by is not None:
        target = quote(blocked_by, safe="/:?#[]@!$&'()*+,;=-._~%")
        headers.append((b"link", f'<{target}>; rel="blocked-by"'.encode("ascii")))
    if reply.status == 400:
        # What follows an ambiguous request on the same connection may be the rest of it.
        headers.append((b"connection", b"close"))
    return headers


def _challenge(reply: Reply, acr_values: Mapping[Proof, str]) -> str:
    """Return the `WWW-Authenticate` value. RFC 6750 section 3 wants a parameter, and no error where no token came."""
    fields = ['realm="gateway"']
    challenge = reply.challenge
    if reply.reason in {Reason.CREDENTIAL_INVALID, Reason.CREDENTIAL_EXPIRED}:
        fields += ['error="invalid_token"', f"error_description={_quoted(reply.title)}"]
    elif challenge is not None and reply.reason is not Reason.CREDENTIAL_REQUIRED:
        fields += [
            'error="insufficient_user_authentication"',
            f"error_description={_quoted(reply.title)}",
            f"acr_values={_quoted(acr_values.get(challenge.proof, challenge.proof))}",
        ]
        if challenge.max_age_s is not None:
            fields.append(f'max_age="{challenge.max_age_s}"')
    return "Bearer " + ", ".join(fields)


def _quoted(text: str) -> str:
    """Return the text as a quoted-string. RFC 6750 allows neither quotes nor backslashes within it."""
    return '"' + "".join(one for one in text if " " <= one <= "~" and one not in '"\\') + '"'


def _appeal(reply: Reply, page: Page, support_url: str | None) -> str:
    """Return how to object, as a paragraph."""
    advice = page.again if reply.status in {400, 503} else page.appeal
    before, after = map(escape, advice.split("{support}"))
    support = escape(page.support)
    if support_url is not None and support_url.startswith(("https://", "http://", "mailto:", "/")):
        support = f'<a href="{escape(support_url)}">{support}</a>'
    return f"<p>{before}{support}{after}</p>"
