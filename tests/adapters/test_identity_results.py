"""Results of a provider: believed where it signed them, evidence once, and nothing otherwise."""

import json
from typing import Any

import pytest

from gateway.adapters.identity_results import MAX_BYTES, IdentityResults, Problem, Result
from gateway.adapters.webhooks import Secret, signed_headers
from gateway.core.errors import StoreUnavailable
from gateway.desk import ticket as desk
from gateway.desk.evidence import EvidenceKind, IdentityResult, counts
from gateway.desk.kinds import TicketKind
from gateway.desk.ticket import Done
from tests.adapters.test_security_event_tokens import Clock, Names

NOW = Clock().at
SECONDS = NOW // 1_000_000
SECRET, OTHER = Secret(bytes(range(32))), Secret(bytes(32))
TICKET = "T-ABCDEFGH23"
FOUND = {"ticket": TICKET, "document": "pass", "liveness": "pass", "face_match": 0.93, "provider_reference": "check-7"}


def body(**changes: Any) -> bytes:
    return json.dumps({name: value for name, value in {**FOUND, **changes}.items() if value is not ...}).encode()


def headers(content: bytes, *, name: str = "evt_1", at: int = SECONDS, secret: Secret = SECRET) -> dict[str, str]:
    return signed_headers(name, at, content, [secret])


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
def results(names: Names) -> IdentityResults:
    return IdentityResults("acme-id", lambda: (SECRET,), seen=names, clock=Clock())


async def test_a_signed_result_is_a_piece_of_evidence(results: IdentityResults) -> None:
    found = await results.check(body(), headers(body()))
    assert isinstance(found, Result)
    assert (found.ticket, found.delivery, found.repeated) == (TICKET, "evt_1", False)
    assert found.evidence.kind == EvidenceKind.IDENTITY_RESULT
    assert (found.evidence.at, found.evidence.by) == (NOW, "acme-id")
    assert found.evidence.result == IdentityResult(True, True, 0.93, "check-7")
    assert counts(found.evidence, NOW)


@pytest.mark.parametrize("change", [{"document": "fail"}, {"liveness": "fail"}, {"face_match": 0.5}, {"face_match": 0}])
async def test_one_that_did_not_pass_is_kept_and_counts_for_nothing(
    results: IdentityResults, change: dict[str, Any]
) -> None:
    content = body(**change)
    found = await results.check(content, headers(content))
    assert isinstance(found, Result)
    assert not counts(found.evidence, NOW)


async def test_a_ticket_takes_it_and_takes_it_once(results: IdentityResults) -> None:
    opened = desk.open_ticket(TICKET, "alice", TicketKind.UNFAMILIAR_LOGIN, "cause", at=NOW)
    assert isinstance(opened, Done)
    found = await results.check(body(), headers(body()))
    again = await results.check(body(), headers(body(), at=SECONDS + 20))
    assert isinstance(found, Result)
    assert isinstance(again, Result)
    once = desk.attach(opened.ticket, found.evidence)
    assert isinstance(once, Done)
    assert len(once.ticket.evidence) == 1
    assert desk.attach(once.ticket, again.evidence) == Done(once.ticket)


async def test_a_repeat_is_known_once_the_first_was_attached(results: IdentityResults, names: Names) -> None:
    first = await results.check(body(), headers(body()))
    assert isinstance(first, Result)
    unattached = await results.check(body(), headers(body()))
    assert isinstance(unattached, Result)
    assert not unattached.repeated, "a process that died before attaching it gets it again"
    await results.attached(first)
    again = await results.check(body(), headers(body(), at=SECONDS + 100))
    assert isinstance(again, Result)
    assert again.repeated
    assert again.evidence.id == first.evidence.id
    other = await results.check(body(), headers(body(), name="evt_2"))
    assert isinstance(other, Result)
    assert not other.repeated
    assert other.evidence.id != first.evidence.id


@pytest.mark.parametrize(
    "sent",
    [
        headers(body(), secret=OTHER),
        headers(body(face_match=0.94)),
        headers(body(), at=SECONDS - 301),
        headers(body(), at=SECONDS + 301),
        {},
        {**headers(body()), "webhook-id": "evt_2"},
        {**headers(body()), "webhook-timestamp": str(SECONDS + 1)},
    ],
)
async def test_what_is_forged_or_old_is_not_believed(
    results: IdentityResults, names: Names, sent: dict[str, str]
) -> None:
    found = await results.check(body(), sent)
    assert isinstance(found, Problem)
    assert (found.status, names.known) == (401, {})


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (body(ticket=...), "`ticket`"),
        (body(ticket="T-abcdefgh23"), "`ticket`"),
        (body(ticket="T-ABCDEFGH23\n"), "`ticket`"),
        (body(ticket=7), "`ticket`"),
        (body(document="passed"), "`document`"),
        (body(document=True), "`document`"),
        (body(document=["pass"]), "`document`"),
        (body(liveness=...), "`liveness`"),
        (body(face_match="0.9"), "`face_match`"),
        (body(face_match=True), "`face_match`"),
        (body(face_match=1.01), "`face_match`"),
        (body(face_match=-0.01), "`face_match`"),
        (body().replace(b"0.93", b"NaN"), "NaN"),
        (body(provider_reference=""), "`provider_reference`"),
        (body(provider_reference="x" * 129), "`provider_reference`"),
        (body(provider_reference="a\nb"), "`provider_reference`"),
        (body()[:-1] + b',"document":"fail"}', "the same member twice"),
        (b"[]", "not a JSON object"),
        (b"", "not JSON"),
        (b"x" * (MAX_BYTES + 1), "at most"),
    ],
)
async def test_what_cannot_be_read_says_which_part(results: IdentityResults, content: bytes, says: str) -> None:
    found = await results.check(content, headers(content))
    assert isinstance(found, Problem)
    assert found.status == 400
    assert says in found.detail


async def test_what_a_provider_adds_is_passed_over(results: IdentityResults) -> None:
    content = body(country="PT", extra={"a": [1]})
    assert isinstance(await results.check(content, headers(content)), Result)


async def test_without_its_secret_nothing_is_judged_and_it_is_to_be_sent_again(names: Names) -> None:
    def gone() -> tuple[Secret, ...]:
        raise OSError("the file of secrets x: No such file or directory")

    results = IdentityResults("acme-id", gone, seen=names, clock=Clock())
    with pytest.raises(StoreUnavailable, match="identity results of acme-id: the file of secrets"):
        await results.check(body(), headers(body()))
