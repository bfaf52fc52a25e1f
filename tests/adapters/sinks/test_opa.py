import pytest

from gateway.adapters.sinks import SinkUnavailable
from gateway.adapters.sinks.opa import OpaLog, event
from tests.adapters.sinks.rig import AMBIGUOUS, Taken, accept, answers, document, number_of, service

LABELS = {"id": "gateway-1", "version": "0.1.0"}


def test_a_decision_has_the_fields_that_opa_s_documentation_lists() -> None:
    found = event(document(1), LABELS)

    assert found == {
        "labels": LABELS,
        "decision_id": document(1)["id"],
        "bundles": {"gateway": {"revision": "ab" * 32}},
        "path": "gateway/decision",
        "input": {
            name: document(1)[name] for name in ("request", "client_ip", "operation", "facts", "unknown", "editions")
        },
        "result": {"allow": False, "verdict": document(1)["verdict"], "reply": document(1)["reply"]},
        "requested_by": "81.20.30.40",
        "timestamp": "2025-11-21T04:40:00.001000Z",
        "metrics": {"timer_server_handler_ns": 250_000},
    }


def test_a_request_that_could_not_be_read_is_an_event_too() -> None:
    found = event(document(1, AMBIGUOUS), LABELS)
    assert found["result"]["allow"] is False
    assert found["result"]["ambiguous"] == {"why": "encoded-slash", "detail": "%2f"}
    assert "requested_by" not in found


async def test_a_batch_is_one_gzipped_json_array() -> None:
    taken: list[Taken] = []
    async with service(accept, taken) as url:
        sink = OpaLog(url, labels=LABELS)
        await sink.send([document(n) for n in range(5)])
        await sink.close()
    (one,) = taken
    assert (one.headers["Content-Type"], one.headers["Content-Encoding"]) == ("application/json", "gzip")
    assert [number_of(sent["decision_id"])[1] for sent in one.events()] == list(range(5))
    assert one.events()[0]["labels"] == {"app": "gateway", **LABELS}


async def test_bodies_are_bounded_and_in_order() -> None:
    taken: list[Taken] = []
    async with service(accept, taken) as url:
        sink = OpaLog(url, labels=LABELS, most_bytes=4000)
        await sink.send([document(n) for n in range(20)])
        await sink.close()
    assert len(taken) > 3
    assert [number_of(sent["decision_id"])[1] for one in taken for sent in one.events()] == list(range(20))


async def test_a_service_that_wants_less_at_once_gets_halves() -> None:
    taken: list[Taken] = []
    async with service(answers(413, 413), taken) as url:
        sink = OpaLog(url, labels=LABELS)
        await sink.send([document(n) for n in range(8)])
        await sink.close()
    assert [len(one.events()) for one in taken] == [8, 4, 2, 2, 4]
    assert [number_of(sent["decision_id"])[1] for one in taken[2:] for sent in one.events()] == list(range(8))


async def test_what_was_not_taken_is_said() -> None:
    async with service(answers(503), []) as url:
        sink = OpaLog(url, labels=LABELS)
        with pytest.raises(SinkUnavailable, match="answered 503"):
            await sink.send([document(1)])
        await sink.send([document(1)])
        await sink.close()
