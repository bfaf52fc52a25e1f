"""Answers about accounts, tickets, evidence, events and messages are as they are described, refusals too."""

import re
from typing import Any

from gateway.api.desk_routes import DESK_ROUTES
from tests.api.desk import NOW, PNG, REASON, WHY
from tests.api.test_evidence import RESULT, found, signed
from tests.api.test_openapi import DOCUMENT, faults

HOLD = {"account": "alice", "operations": ["withdraw"], "why": WHY, "hours": 2, "kind": "withdrawal_review"}
LOGIN = {"type": "login.succeeded", "id": "e1", "account": "alice", "at": NOW / 1e6, "ip": "203.0.113.7"}


def described(method: str, url: str) -> tuple[str, dict[str, Any]]:
    """Return the name and the description of the operation that a URL asks for."""
    path = url.partition("?")[0]
    for route in DESK_ROUTES:
        if route.method == method and re.fullmatch(re.sub(r"{\w+}", "[^/]+", route.path), path):
            return route.name, DOCUMENT["paths"][route.path][method.lower()]
    raise AssertionError(url)


async def test_every_answer_is_as_it_is_described(desk) -> None:
    seen: dict[str, set[int]] = {route.name: set() for route in DESK_ROUTES}

    async def ask(who: str | None, method: str, url: str, body: Any = None, **headers: str) -> Any:
        answer = await desk.ask(who, method, url, body, **headers)
        name, operation = described(method, url)
        seen[name].add(answer.status_code)
        assert str(answer.status_code) in operation["responses"], (name, answer.status_code, answer.text)
        response = operation["responses"][str(answer.status_code)]
        if isinstance(body, dict) and answer.is_success:
            schema = operation["requestBody"]["content"]["application/json"]["schema"]
            assert faults(schema, body) == [], name
        if answer.content and answer.status_code != 202:
            media = answer.headers["content-type"].partition(";")[0]
            content = response["content"].get(media) or response["content"]["application/octet-stream"]
            if "schema" in content:
                assert faults(content["schema"], answer.json()) == [], name
        return answer

    account = await ask("ed", "GET", "/api/v1/accounts/alice", gateway_reason=REASON)
    await ask("ed", "GET", "/api/v1/accounts/alice")
    await ask("ed", "GET", "/api/v1/accounts/bob")
    await ask("vera", "GET", "/api/v1/accounts")
    tag = account.headers["etag"]
    await ask("ed", "PATCH", "/api/v1/accounts/alice", {"why": WHY, "add_flags": ["us-ip"]}, if_match=tag)
    await ask("ed", "PATCH", "/api/v1/accounts/alice", {"why": WHY, "add_flags": ["us-ip"]}, if_match=tag)
    await ask("ed", "PATCH", "/api/v1/accounts/alice", {"why": WHY, "documents": ["UK"]})
    await ask("sue", "POST", "/api/v1/tickets", {"account": "alice", "kind": "appeal", "why": WHY})
    await ask("sue", "POST", "/api/v1/tickets", {"account": "alice", "kind": "x", "why": WHY})
    ticket = (await ask("sue", "POST", "/api/v1/holds", HOLD)).json()
    await ask("sue", "POST", "/api/v1/holds", HOLD | {"account": "bob"})
    await ask("vera", "POST", "/api/v1/holds", HOLD)
    url = f"/api/v1/tickets/{ticket['id']}"
    release = {"outcome": "release", "why": WHY}
    await ask("sue", "POST", f"{url}/propose", release, if_match='"1"')
    await ask("sue", "POST", f"{url}/evidence?kind=selfie_with_document", PNG, content_type="image/png")
    await ask("sue", "POST", f"{url}/evidence?kind=selfie_with_document", b"<svg/>", content_type="image/png")
    await desk.ask("sue", "POST", f"{url}/evidence", {"kind": "identity_result", "result": RESULT})
    pieces = (await ask("aud", "GET", f"{url}/evidence")).json()["evidence"]
    await ask("aud", "GET", f"{url}/evidence/{pieces[0]['id']}", gateway_reason=REASON)
    await ask("aud", "GET", f"{url}/evidence/{pieces[0]['id']}")
    content, headers = signed(found(ticket))
    await ask(None, "POST", "/api/v1/identity-results", content, **headers)
    await ask(None, "POST", "/api/v1/identity-results", content)
    tag = (await ask("vera", "GET", url)).headers["etag"]
    proposed = await ask("sue", "POST", f"{url}/propose", release, if_match=tag, idempotency_key="k")
    await ask("sue", "POST", f"{url}/propose", release | {"why": "x"}, if_match=tag, idempotency_key="k")
    await ask("sam", "POST", f"{url}/decline", {"why": WHY}, if_match=tag)
    declined = await ask("app", "POST", f"{url}/decline", {"why": WHY}, if_match=proposed.headers["etag"])
    again = await ask("sue", "POST", f"{url}/propose", release, if_match=declined.headers["etag"])
    await ask("app", "POST", f"{url}/approve", {"why": WHY})
    await ask("vera", "GET", "/api/v1/tickets")
    await ask("vera", "GET", "/api/v1/holds")
    await ask("vera", "GET", "/api/v1/accounts/alice/holds")
    await ask("app", "POST", f"{url}/approve", {"why": WHY}, if_match=again.headers["etag"])
    await ask("bot", "POST", "/v1/events", {"events": [LOGIN, LOGIN]})
    await desk.ask("bot", "POST", "/v1/events", {"events": [{**LOGIN, "id": "e2"}, {"type": "x"}, 7]})
    await ask("sue", "GET", "/api/v1/accounts/alice/timeline")
    await ask("ed", "GET", "/api/v1/accounts/alice/timeline", gateway_reason=REASON)
    messages = (await ask("adm", "GET", "/api/v1/outbox")).json()["messages"]
    await ask("adm", "GET", f"/api/v1/outbox/{messages[0]['id']}")
    await ask("adm", "POST", f"/api/v1/outbox/{messages[0]['id']}/retry", {"why": WHY})
    await desk.desk.outbox.parked((await desk.desk.outbox.due(NOW, 1))[0].id, "answered 500")
    parked = (await ask("adm", "GET", "/api/v1/outbox?state=parked")).json()["messages"]
    await ask("adm", "POST", f"/api/v1/outbox/{parked[0]['id']}/retry", {"why": WHY})
    assert {name for name, statuses in seen.items() if not statuses & {200, 201, 202}} == {"takeSecurityEvent"}


async def test_what_became_of_each_event_is_described(desk) -> None:
    batch = {
        "events": [LOGIN, LOGIN, {**LOGIN, "id": "e2", "ip": "x"}, {"type": "x"}, 7, {"type": "x", "id": "é" * 200}]
    }
    told = (await desk.ask("bot", "POST", "/v1/events", batch)).json()
    assert faults({"$ref": "#/components/schemas/EventsTaken"}, told) == []
    assert (told["taken"], told["repeated"], told["problems"]) == (1, 1, 4)
