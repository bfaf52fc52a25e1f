import asyncio
import json

import pytest

from gateway.core.decision import (
    RequestLine,
    decision_document,
    instant_text,
    parse_instant,
    verdict_document,
)
from gateway.core.facts import from_json
from gateway.core.pseudonyms import Pseudonyms
from gateway.policies.bundle import load
from gateway.policies.evaluate import evaluate
from gateway.service.replay import Replayer
from tests.service.test_pipeline import EXCEPTION

SECOND = 1_000_000
NOON = 1_700_000_000 * SECOND


@pytest.fixture
def recorded(world, asked):
    def build(**change):
        world.clock.at = NOON + 5
        passage = asyncio.run(world.line.decide(asked(**change)))
        ruling, _, at, auth_age, took_us, _ = world.journal.records[-1]
        return decision_document(
            json.loads(ruling.document),
            decision_id=passage.decision_id.decode(),
            at=instant_text(at),
            request=RequestLine("GET", "/", "h", "ua"),
            took_us=took_us,
            auth_age=auth_age,
        )

    return build


@pytest.fixture
def replayer(world):
    return Replayer(lambda digest: {"house.yaml": world.policy} if digest == world.bundle.digest else None)


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"address": "9.9.9.9"},
        {"token": None},
        {"token": "forged"},
        {"method": "POST", "target": "/api/v1/withdrawals"},
        {"method": "POST", "target": "/api/v1/withdrawals", "at": NOON + 900 * SECOND},
        {"address": "nonsense"},
        {"target": "/%2e%2e/"},
    ],
)
def test_every_decision_replays_to_the_same_verdict(recorded, replayer, change) -> None:
    document = json.loads(json.dumps(recorded(**change)))
    assert replayer.replay(document).kind == "same"
    assert replayer.replay(document).text().startswith(document["id"])


def test_a_decision_made_from_what_was_settled_replays_as_well(recorded, replayer) -> None:
    first, later = recorded(), recorded(at=NOON + 30 * SECOND)
    assert later["facts"]["auth_age"] == first["facts"]["auth_age"] + 30
    assert replayer.replay(later).kind == "same"


def test_an_altered_record_is_found_out(recorded, replayer) -> None:
    document = recorded()
    document["facts"]["country"] = "US"
    outcome = replayer.replay(document)
    assert outcome.kind == "different"
    assert "outcome was 'allow', is 'deny'" in outcome.text()
    assert outcome.to_json()["replay"] == "different"


def test_a_bundle_that_is_not_at_hand_is_named_not_guessed(recorded, replayer) -> None:
    document = recorded() | {"bundle": "ab" * 32}
    outcome = replayer.replay(document)
    assert outcome.kind == "impossible"
    assert "abababababab is not in the archive" in outcome.text()


def test_an_archive_that_gives_another_bundle_is_not_believed(recorded, world) -> None:
    other = world.policy.replace("closed-country", "shut-country")
    outcome = Replayer(lambda _: {"house.yaml": other}).replay(recorded())
    assert outcome.kind == "impossible"
    assert "under the name of its bundle" in outcome.why


@pytest.mark.parametrize("damage", [{"at": "yesterday"}, {"facts": {"contry": "DE"}}, {"facts": 3}, {"verdict": 1}])
def test_a_damaged_record_is_called_damaged(recorded, replayer, damage) -> None:
    assert replayer.replay(recorded() | damage).kind != "same"


def test_a_decision_opened_by_an_exception_replays_and_without_the_exception_differs(recorded, world) -> None:
    texts = {"house.yaml": world.policy, "e.yaml": EXCEPTION}
    world.line.adopt(load(texts, sources_configured=None))
    document = recorded(address="9.9.9.9")
    assert document["verdict"]["outcome"] == "allow"
    assert Replayer(lambda _: texts).replay(document).kind == "same"
    without = load({"house.yaml": world.policy}, sources_configured=None)
    outcome = Replayer(lambda _: {"house.yaml": world.policy}).replay(document | {"bundle": without.digest})
    assert outcome.kind == "different"
    erased = json.loads(ONES.of_ruling(json.dumps(document).encode()))
    assert Replayer(lambda _: texts).replay(erased).why == "its account was erased, and a rule of its bundle names one"


ONES = Pseudonyms(b"a key of thirty-two bytes, or so.")


def test_what_was_erased_replays_to_the_same_verdict(recorded, replayer) -> None:
    document = recorded()
    erased = json.loads(ONES.of_ruling(json.dumps(document).encode()))
    assert erased["facts"]["account"] != document["facts"]["account"]
    assert replayer.replay(erased).kind == "same"


def test_an_account_that_a_rule_names_is_said_to_be_erased_and_not_a_difference(recorded, world) -> None:
    named = world.policy.replace("when: ", 'when: account == "alice" and ', 1)
    bundle = load({"house.yaml": named}, sources_configured=None)
    document = recorded() | {"bundle": bundle.digest}
    facts = from_json(parse_instant(document["at"]), document["facts"], document["unknown"])
    document["verdict"] = json.loads(json.dumps(verdict_document(evaluate(facts, bundle))))
    replayer = Replayer(lambda _: {"house.yaml": named})
    assert replayer.replay(document).kind == "same"
    outcome = replayer.replay(json.loads(ONES.of_ruling(json.dumps(document).encode())))
    assert outcome.kind in {"same", "impossible"}
    document["verdict"]["outcome"] = "challenge"
    outcome = replayer.replay(json.loads(ONES.of_ruling(json.dumps(document).encode())))
    assert (outcome.kind, outcome.why) == ("impossible", "its account was erased, and a rule of its bundle names one")
    assert replayer.replay(document).kind == "different"
