"""Evidence over the API: files and results attached once, files looked at with a reason that is noted before."""

import hmac
import json
from base64 import b64encode

import pytest

from gateway.core.errors import StoreUnavailable
from tests.api.desk import HOUR, NOW, PNG, REASON, SECRET, WHY, png
from tests.api.test_tickets import placed

RESULT = {"document": True, "liveness": True, "face_match": 0.97, "reference": "idp-1"}


async def attach(desk, ticket, content=PNG, kind="selfie_with_document", who="sue", media="image/png"):
    url = f"/api/v1/tickets/{ticket['id']}/evidence?kind={kind}"
    return await desk.ask(who, "POST", url, content, content_type=media)


def files(desk) -> int:
    return sum(path.is_file() for path in (desk.path / "evidence").rglob("*"))


async def test_a_file_is_kept_sealed_and_shown_once_the_look_is_noted(desk) -> None:
    ticket = await placed(desk)
    (piece,) = (await attach(desk, ticket)).json()["evidence"]
    assert (piece["by"], piece["media_type"], piece["size"], piece["counts"]) == ("sue", "image/png", len(PNG), True)
    url = f"/api/v1/tickets/{ticket['id']}/evidence/{piece['id']}"
    silent = await desk.ask("app", "GET", url)
    assert (silent.status_code, silent.json()["parameter"]) == (400, "Gateway-Reason")
    shown = await desk.ask("app", "GET", url, gateway_reason=REASON)
    assert (shown.status_code, shown.content, shown.headers["content-type"]) == (200, PNG, "image/png")
    assert shown.headers["content-disposition"].startswith("attachment")
    assert "sandbox" in shown.headers["content-security-policy"]
    (entry, *_) = await desk.store.history("alice")
    assert (entry.action, entry.who, entry.why) == ("evidence.read", "app", REASON)
    assert entry.after == {"ticket": ticket["id"], "evidence": piece["id"]}
    for path in (desk.path / "evidence").rglob("*"):
        assert path.is_dir() or PNG not in path.read_bytes()


async def test_the_same_file_again_is_one_piece_and_one_file(desk) -> None:
    ticket = await placed(desk)
    first = (await attach(desk, ticket)).json()
    again = (await attach(desk, ticket)).json()
    assert (again["evidence"], again["version"], files(desk)) == (first["evidence"], first["version"], 1)
    assert len((await attach(desk, ticket, png(7))).json()["evidence"]) == 2
    listed = (await desk.ask("aud", "GET", f"/api/v1/tickets/{ticket['id']}/evidence")).json()["evidence"]
    assert len({one["digest"] for one in listed}) == files(desk) == 2


@pytest.mark.parametrize(
    ("content", "kind", "media", "status"),
    [
        (b"", "signed_note", "image/png", 400),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "signed_note", "image/svg+xml", 415),
        (PNG, "signed_note", "image/jpeg", 415),
        (PNG[:-4], "signed_note", "image/png", 415),
        (b"x" * (10 * 1024 * 1024 + 1), "signed_note", "image/png", 413),
        (PNG, "passport", "image/png", 400),
        (PNG, "identity_result", "image/png", 400),
    ],
)
async def test_what_is_no_evidence_is_not_kept(desk, content, kind, media, status) -> None:
    ticket = await placed(desk)
    assert (await attach(desk, ticket, content, kind, media=media)).status_code == status
    assert files(desk) == 0
    assert (await desk.desk.tickets.ticket(ticket["id"])).evidence == ()


async def test_a_closed_ticket_takes_no_file(desk) -> None:
    ticket = await placed(desk)
    body = {"outcome": "uphold", "why": WHY}
    url = f"/api/v1/tickets/{ticket['id']}"
    proposed = await desk.ask("sue", "POST", f"{url}/propose", body, if_match='"1"')
    await desk.ask("app", "POST", f"{url}/approve", {"why": WHY}, if_match=proposed.headers["etag"])
    refused = await attach(desk, ticket)
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:gateway:problem:not-possible")
    assert files(desk) == 0


@pytest.mark.parametrize("who", ["vera", "app", "aud", "adm"])
async def test_whoever_may_not_write_evidence_attaches_none(desk, who) -> None:
    ticket = await placed(desk)
    assert (await attach(desk, ticket, who=who)).status_code == 403
    assert files(desk) == 0


@pytest.mark.parametrize("who", ["vera", "adm"])
async def test_whoever_may_not_read_evidence_sees_none(desk, who) -> None:
    ticket = (await attach(desk, await placed(desk))).json()
    url = f"/api/v1/tickets/{ticket['id']}/evidence"
    assert (await desk.ask(who, "GET", url)).status_code == 403
    assert (
        await desk.ask(who, "GET", f"{url}/{ticket['evidence'][0]['id']}", gateway_reason=REASON)
    ).status_code == 403


@pytest.mark.parametrize("query", ["", "?kind=identity_result", "?kind=selfie_with_document"])
@pytest.mark.parametrize("who", ["sue", "bot"])
async def test_nobody_says_in_the_place_of_a_provider_what_it_found(desk, who, query) -> None:
    ticket = await placed(desk)
    body = {"kind": "identity_result", "result": RESULT}
    refused = await desk.ask(who, "POST", f"/api/v1/tickets/{ticket['id']}/evidence{query}", body)
    assert (refused.status_code, refused.json()["parameter"]) == (400, "kind")
    assert "/api/v1/identity-results" in refused.json()["detail"]
    assert (await desk.desk.tickets.ticket(ticket["id"])).evidence == ()


def signed(
    body: dict, name: str = "m-1", at: int = NOW // 10**6, key: bytes = SECRET.key
) -> tuple[bytes, dict[str, str]]:
    content = json.dumps(body).encode()
    signature = b64encode(hmac.digest(key, f"{name}.{at}.".encode() + content, "sha256")).decode()
    return content, {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": f"v1,{signature}"}


def found(ticket: dict, **more: object) -> dict:
    provider = {"document": "pass", "liveness": "pass", "face_match": 0.99, "provider_reference": "idp-9"}
    return {"ticket": ticket["id"], **provider, **more}


async def test_a_providers_signed_result_is_evidence_once(desk) -> None:
    ticket = await placed(desk)
    content, headers = signed(found(ticket))
    for _ in range(2):
        taken = await desk.ask(None, "POST", "/api/v1/identity-results", content, **headers)
        assert (taken.status_code, taken.json()) == (200, {"ticket": ticket["id"], "state": "evidenced"})
    (piece,) = (await desk.desk.tickets.ticket(ticket["id"])).evidence
    assert (piece.by, piece.result.passed) == ("idp", True)


async def test_a_failed_result_counts_for_nothing(desk) -> None:
    ticket = await placed(desk)
    content, headers = signed(found(ticket, liveness="fail"))
    taken = await desk.ask(None, "POST", "/api/v1/identity-results", content, **headers)
    assert taken.json()["state"] == "open"


async def test_a_result_that_is_not_believed_changes_nothing_and_is_counted(desk) -> None:
    ticket = await placed(desk)
    content, headers = signed(found(ticket), key=b"x" * 32)
    statuses = [
        (await desk.ask(None, "POST", "/api/v1/identity-results", content, **headers)).status_code for _ in range(12)
    ]
    assert (statuses[0], statuses[-1]) == (401, 429)
    stale = signed(found(ticket), at=NOW // 10**6 - 3600)
    desk.clock.at += 10**9
    assert (await desk.ask(None, "POST", "/api/v1/identity-results", stale[0], **stale[1])).status_code == 401
    assert (await desk.desk.tickets.ticket(ticket["id"])).evidence == ()


async def test_a_result_for_no_ticket_is_404_and_one_that_is_no_result_400(desk) -> None:
    content, headers = signed(found({"id": "T-AAAAAAAAAA"}))
    assert (await desk.ask(None, "POST", "/api/v1/identity-results", content, **headers)).status_code == 404
    content, headers = signed({"ticket": "x"})
    assert (await desk.ask(None, "POST", "/api/v1/identity-results", content, **headers)).status_code == 400


async def test_a_file_whose_ticket_never_came_to_name_it_is_known_to_the_store(desk, monkeypatch) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("the store is away")

    ticket = await placed(desk)
    assert (await attach(desk, ticket)).status_code == 200
    assert await desk.desk.tickets.unnamed_files(NOW + HOUR) == []
    with monkeypatch.context() as patched:
        patched.setattr(desk.desk.tickets, "attach", away)
        assert (await attach(desk, ticket, png(7))).status_code == 503
    (key,) = await desk.desk.tickets.unnamed_files(NOW + HOUR)
    assert (desk.path / "evidence" / key).exists()


async def test_a_file_that_is_there_already_is_neither_kept_nor_remembered(desk) -> None:
    ticket = await placed(desk)
    for _ in range(2):
        assert (await attach(desk, ticket)).status_code == 200
    assert await desk.desk.tickets.unnamed_files(NOW + HOUR) == []
    assert len([one for one in (desk.path / "evidence").rglob("*") if one.is_file()]) == 1
