"""Whatever archive it stands in: a simulation counts what replaying every decision, one by one, would count."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from math import isfinite
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.adapters.archive.alike import HeldMoment
from gateway.adapters.archive.documents import whole_document
from gateway.core import facts as facts_codec
from gateway.core.alike import ALONE
from gateway.core.decision import parse_instant, verdict_document
from gateway.core.facts import Facts
from gateway.core.pseudonyms import Pseudonyms
from gateway.core.terms import Effect
from gateway.policies.compile import Bundle
from gateway.policies.evaluate import evaluate
from gateway.policies.expression import parse
from gateway.policies.rules import Policy
from gateway.policies.schema import FACTS
from gateway.policies.simulate import Answer, Turn, answer_in, answer_of, named
from gateway.policies.simulated import SAMPLES, Simulation
from gateway.ports import Moment, RecordedDecision, Stretch, ruling_digest
from gateway.service.digested import digested
from gateway.service.simulation import Momentary, simulate
from tests.contract.conftest import Backend
from tests.contract.stretches import decision_id
from tests.policies.conftest import AT, LISTS, PLACE, bundle, certain, facts, rule

HOUR = 3_600_000_000
INSTANTS = (*range(AT - 3, AT + 4), AT - 2 * HOUR, AT - HOUR, AT + HOUR, AT + 3 * HOUR)
PSEUDONYMS = Pseudonyms(b"a key of thirty-two bytes, or so.")


def ruling_of(some: Facts, made_by: Bundle) -> bytes:
    known, unknown = facts_codec.to_json(some)
    verdict = verdict_document(evaluate(some, made_by))
    document = {
        "client_ip": {"address": "81.20.30.40", "reason": None, "how": "peer", "chain": []},
        "operation": str(some.operation),
        "facts": known,
        "unknown": unknown,
        "bundle": made_by.digest,
        "editions": [],
        "verdict": verdict,
        "reply": {"status": 200, "reason": None},
    }
    return orjson.dumps(document)


POINTED = (
    'account in ["alice"]',
    'account != "bob"',
    "asn == 7",
    "asn not in carriers",
    "amount_usd > 99.5",
    "withdrawn_today_usd >= amount_usd",
    "auth_age <= 60",
    "auth_age == 300",
)


def pointed(rng: Random) -> Bundle:
    """Return a bundle that asks about nothing but what stands beside a matter."""
    some = [rule(rng, "p", number, effect=effect) for number, effect in enumerate((Effect.GRANT, Effect.LIMIT) * 2)]
    texts = rng.sample(POINTED, len(some))
    rules = [
        replace(one, when=parse(text, lambda _: PLACE), when_text=text) for one, text in zip(some, texts, strict=True)
    ]
    return Bundle([Policy("p", "p", "tests", None, tuple(rules), (), PLACE)], LISTS, {}, "")


UNREAD = orjson.dumps(
    {
        "client_ip": {"address": None, "reason": None, "how": "peer", "chain": []},
        "operation": None,
        "facts": None,
        "unknown": None,
        "bundle": "",
        "editions": [],
        "verdict": None,
        "reply": {"status": 400, "reason": "ambiguous-request"},
    }
)


class Recorded:
    """Decisions made at random, some sharing a ruling, and the stretches that they come in."""

    def __init__(self, rng: Random, made_by: Bundle) -> None:
        self.documents: dict[bytes, bytes] = {}
        self.decisions: list[RecordedDecision] = []
        for _ in range(rng.randint(1, 8)):
            some = facts(rng, doubtful=rng.choice((0.05, 0.4)))._replace(at=rng.choice(INSTANTS))
            self._make(rng, UNREAD if rng.random() < 0.1 else ruling_of(some, made_by), some, made_by)
            for _ in range(rng.choice((0, 0, 2, 4))):
                # Of the same matter, where it is answered alike.
                some = some._replace(**{name: certain(rng, FACTS[name]) for name in rng.sample(ALONE, 2)})
                self._make(rng, ruling_of(some, made_by), some, made_by)

    def _make(self, rng: Random, document: bytes, some: Facts, made_by: Bundle) -> None:
        """Add decisions that share the ruling, as the gateway lets them: until its bundle may answer otherwise."""
        digest = ruling_digest(document)
        self.documents[digest] = document
        ends, older = made_by.next_change(some.at), None
        age = some.auth_age if isinstance(some.auth_age, int) else None
        if age is not None:
            older = made_by.next_auth_age(age)
        for _ in range(rng.randint(1, 4)):
            at = rng.choice([one for one in INSTANTS if one >= some.at and (ends is None or one < ends)])
            ages = [] if age is None else [one for one in range(age, age + 400) if older is None or one < older]
            auth_age = rng.choice([None, *rng.sample(ages, min(3, len(ages)))])
            number = len(self.decisions)
            self.decisions.append(
                RecordedDecision(decision_id(number, at), at, 1, auth_age, b"GET\0/\0host\0agent", digest)
            )

    def stretches(self, rng: Random) -> Iterator[Stretch]:
        left = list(self.decisions)
        rng.shuffle(left)
        number = 0
        while left:
            some, left = left[:5], left[5:]
            number += 1
            yield Stretch("w0", number, 0, 100, {one.ruling: self.documents[one.ruling] for one in some}, some)


class Plain:
    """The counts, by looking at each decision."""

    def __init__(self) -> None:
        self.decisions = 0
        self.left_out = 0
        self.found: dict[tuple[str, ...], list[tuple[bytes, str | None, bool, int | None]]] = {}

    def add(self, raw: bytes, some: Facts, turn: Turn) -> None:
        self.decisions += 1
        if turn.before == turn.after:
            return
        direction = {"deny": "refused", "challenge": "challenged", "allow": "allowed"}[turn.after.outcome]
        if turn.before.outcome == turn.after.outcome:
            direction = "reason"
        by = turn.before.by if turn.after.outcome == "allow" else turn.after.by
        amount = some.amount_usd
        priced = some.operation == "withdraw" and isinstance(amount, int | float) and isfinite(amount)
        cents = round(amount * 100) if priced else None  # type: ignore[operator]
        row = (raw, some.account if isinstance(some.account, str) else None, some.operation == "withdraw", cents)
        for place in (
            (direction,),
            *((direction, "rule", one) for one in by or ("(nothing granted)",)),
            (direction, "country", some.country if isinstance(some.country, str) else "(uncertain)"),
            (direction, "operation", str(some.operation)),
            (direction, "status", some.status if isinstance(some.status, str) else "(uncertain)"),
        ):
            self.found.setdefault(place, []).append(row)

    def same(self, simulation: Simulation, *, accounts: bool) -> None:
        told = simulation.to_json()
        assert told["decisions"] == self.decisions
        assert sum(told["left_out"].values()) == self.left_out
        places = {(name,): told[name] for name in simulation.directions if told[name]["decisions"]}
        for table in simulation.tables:
            for value, some in told[f"by_{table}"].items():
                places |= {(direction, table, value): tally for direction, tally in some.items()}
        assert places.keys() == self.found.keys()
        for place, tally in places.items():
            rows = self.found[place]
            ids = {str(UUID(bytes=row[0])) for row in rows}
            known = [row[3] for row in rows if row[3] is not None]
            assert tally["decisions"] == len(rows)
            assert not accounts or tally["accounts"] == len({row[1] for row in rows} - {None})
            assert tally["withdrawals"] == sum(row[2] for row in rows)
            assert tally["withdrawals_of_known_amount"] == len(known)
            assert tally["usd"] == sum(known) / 100
            assert len(set(tally["samples"])) == min(len(rows), SAMPLES)
            assert set(tally["samples"]) <= ids


def replayed(
    recorded: Recorded, candidate: Bundle, against: Bundle | None, since: int, until: int, *, erased: bool = False
) -> Plain:
    plain = Plain()
    for one in recorded.decisions:
        if not since <= one.at < until:
            continue
        document = whole_document(recorded.documents[one.ruling], one)
        if document["verdict"] is None:
            plain.left_out += 1
            continue
        some = facts_codec.from_json(parse_instant(document["at"]), document["facts"], document["unknown"])
        if erased and named([one for one in (candidate, against) if one is not None]) and _has_account(some):
            plain.left_out += 1
            continue
        before: Answer = answer_in(document["verdict"]) if against is None else answer_of(evaluate(some, against))
        plain.add(one.id, some, Turn(before, answer_of(evaluate(some, candidate))))
    return plain


def _has_account(some: Facts) -> bool:
    account = some.account
    return isinstance(account, str) or bool(getattr(account, "values", ()))


async def moments(opened: Sequence[Moment]) -> AsyncIterator[Moment]:
    for one in opened:
        yield one


@settings(max_examples=120)
@given(rng=st.randoms(use_true_random=False), digests=st.sampled_from(["none", "unknown", "known"]))
def test_a_simulation_equals_replaying_every_decision_one_by_one(backend: Backend, rng: Random, digests: str) -> None:
    made_by, candidate = bundle(rng), rng.choice((bundle, pointed))(rng)
    against = rng.choice((bundle, pointed))(rng) if rng.random() < 0.3 else None
    recorded = Recorded(rng, made_by)
    since, until = sorted(rng.sample((*INSTANTS, AT - 9 * HOUR, AT + 9 * HOUR), 2))

    async def run(folder: Path) -> None:
        async with AsyncExitStack() as stack:
            archive: Any = await stack.enter_async_context(backend(folder))
            untaken: list[Moment] = []
            for stretch in recorded.stretches(rng):
                taking = stretch if digests == "none" else digested(stretch, PSEUDONYMS)
                if rng.random() < 0.7:
                    await archive.take(taking)
                else:
                    untaken.append(HeldMoment.of(taking))
            assert isinstance(archive, Momentary)
            moment = await stack.enter_async_context(archive.moment())
            named_there = {PSEUDONYMS.account(one): one for one in ("alice", "bob", "carol")}
            simulation = await simulate(
                moments([moment, *untaken]),
                candidate,
                since=since,
                until=until,
                against=against,
                digests=named_there if digests == "known" else None,
            )
            plain = replayed(recorded, candidate, against, since, until, erased=digests == "unknown")
            plain.same(simulation, accounts=True)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(run(Path(folder)))


@pytest.mark.parametrize("seed", range(3))
async def test_rulings_of_before_there_were_matters_are_counted_too(
    backend: Backend, tmp_path: Path, seed: int
) -> None:
    rng = Random(seed)
    made_by, candidate = bundle(rng), bundle(rng)
    recorded = Recorded(rng, made_by)
    async with backend(tmp_path) as archive:
        for stretch in recorded.stretches(rng):
            await archive.take(stretch)
        if hasattr(archive, "_pool"):
            await archive._pool.execute("UPDATE rulings SET matter = NULL")
        elif hasattr(archive, "_writer"):
            archive._writer.execute("UPDATE rulings SET matter = NULL")
        assert isinstance(archive, Momentary)
        async with archive.moment() as moment:
            simulation = await simulate(moments([moment]), candidate, since=AT - 9 * HOUR, until=AT + 9 * HOUR)
    replayed(recorded, candidate, None, AT - 9 * HOUR, AT + 9 * HOUR).same(simulation, accounts=True)
